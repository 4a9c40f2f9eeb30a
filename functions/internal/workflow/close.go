package workflow

import (
	"context"
	"errors"

	"sym-postgres-quickstart/functions/internal/request"
)

// close ends a request that nobody has decided, and says how every other one stands. It comes
// after the wait for a decision and at the workflow's end; a decision that was taken at the
// last moment wins over it.
func (s *Steps) close(ctx context.Context, id string) (Output, error) {
	for range races {
		r, err := s.Store.Get(ctx, id)
		if err != nil {
			return Output{}, err
		}
		if r.State != request.Requested {
			return Output{State: r.State}, nil
		}
		err = s.Store.Apply(ctx, r.Change(request.Expired, s.nobodyDecided(r)))
		if err == nil {
			return Output{State: request.Expired}, nil
		}
		if !errors.Is(err, request.ErrConflict) {
			return Output{}, err
		}
	}
	return Output{}, errRaces
}

func (s *Steps) nobodyDecided(r request.Request) request.Act {
	if s.now().Before(r.DecideBy().Add(-margin)) {
		return s.machine(request.ActionExpire, request.RuleWorkflowFailure,
			"The workflow could not wait for a decision.")
	}
	return s.machine(request.ActionExpire, request.RuleApprovalTimeout,
		request.NobodyDecided)
}
