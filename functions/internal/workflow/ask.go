package workflow

import (
	"context"
	"errors"

	"sym-postgres-quickstart/functions/internal/request"
)

// ask keeps the token that a decision will be sent to. If the decision is there already then
// whoever took it found no token, and the step sends it itself; the orders in which the two
// may happen stand at deliver in the package request.
func (s *Steps) ask(ctx context.Context, id, token string) (Output, error) {
	r, err := s.Store.StoreAskToken(ctx, id, token)
	if err != nil {
		return Output{}, err
	}
	if r.State != request.Requested {
		return Output{State: r.State}, s.signal(ctx, r, token)
	}
	return Output{State: r.State}, nil
}

// hold keeps the token that an early revoke will be sent to. If that has come already, between
// the grant and this step, then it found no token, and the step sends it itself.
func (s *Steps) hold(ctx context.Context, id, token string) (Output, error) {
	r, err := s.Store.StoreHoldToken(ctx, id, token)
	if err != nil {
		return Output{}, err
	}
	if r.State != request.Active {
		return Output{State: r.State}, s.signal(ctx, r, token)
	}
	return Output{State: r.State}, nil
}

// signal answers a wait. That nobody waits any more is fine: then somebody else has answered.
func (s *Steps) signal(ctx context.Context, r request.Request, token string) error {
	err := s.Workflows.Signal(ctx, token, r.State)
	if errors.Is(err, request.ErrNotWaiting) {
		s.Log.InfoContext(ctx, "nobody waits for the signal any more", "request_id", r.ID)
		return nil
	}
	if err != nil {
		return &WorkflowUnavailable{err}
	}
	return nil
}
