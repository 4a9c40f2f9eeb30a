package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

// escalate has the role granted. A repetition finds the request active and grants nothing
// again; a try that was given up by the workflow, and comes to its end only now, finds it
// failed, and its grant was taken back or refused by the function's ledger.
func (s *Steps) escalate(ctx context.Context, id string) (Output, error) {
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return Output{}, err
	}
	if r.State != request.Approved {
		return s.granted(r), nil
	}
	answer, err := s.send(ctx, r, event.Escalate)
	if err != nil {
		return Output{}, err
	}
	if refusal := answer.Refusal(); refusal != nil {
		return s.settle(ctx, r, false, func(r request.Request) request.Change {
			return r.Change(request.Failed, s.machine(request.ActionFail, request.RuleRefused,
				strings.Join(answer.Errors, " ")))
		})
	}
	var body event.Escalated
	if err := json.Unmarshal(answer.Body, &body); err != nil || body.Run != s.run(r) ||
		body.ExpiresAt.IsZero() {
		return Output{}, notAnAnswer("when the grant of this run expires", answer)
	}
	out, err := s.settle(ctx, r, true, func(r request.Request) request.Change {
		act := s.machine(request.ActionGrant, request.RuleGranted, describeGrant(body))
		if r.State == request.Revoking {
			act.Reason += " The request was withdrawn meanwhile, so the role is taken back at once."
			return s.grantedNow(r.Note(act), body)
		}
		return s.grantedNow(r.Change(request.Active, act), body)
	})
	if err == nil && out.State == request.Failed {
		// It was given up meanwhile. Nobody else will take back what has just been granted.
		_, err = s.takeAway(ctx, r)
	}
	return out, err
}

// grantedNow records in a request the grant as the function reports it.
func (s *Steps) grantedNow(change request.Change, body event.Escalated) request.Change {
	r := &change.Request
	r.GrantedAt = change.Record.At
	if !body.GrantedAt.IsZero() {
		// An earlier try may have granted it, whose answer was lost.
		r.GrantedAt = body.GrantedAt.UTC().Truncate(time.Millisecond)
	}
	r.ExpiresAt = body.ExpiresAt.UTC().Truncate(time.Millisecond)
	r.DatabaseUser = body.User
	r.NeedsSetRole, r.CouldLeave = body.NeedsSetRole, bounded(body.CouldLeave)
	return change
}

// settle writes what escalate came to. If the request has gone on to another state meanwhile
// then that stands; a record that changes no state, such as a review, is no reason to stop. A grant
// of a request that was withdrawn at that moment is recorded, too.
func (s *Steps) settle(
	ctx context.Context, r request.Request, grants bool,
	change func(request.Request) request.Change,
) (Output, error) {
	for range races {
		c := change(r)
		err := s.Store.Apply(ctx, c)
		if err == nil {
			return s.granted(c.Request), nil
		}
		if !errors.Is(err, request.ErrConflict) {
			return Output{}, err
		}
		if r, err = s.Store.Get(ctx, r.ID); err != nil {
			return Output{}, err
		}
		withdrawn := r.State == request.Revoking && r.Withdrawn()
		if r.State != request.Approved && !(withdrawn && grants) {
			return s.granted(r), nil
		}
	}
	return Output{}, errRaces
}

// granted says how the workflow goes on from a state.
func (s *Steps) granted(r request.Request) Output {
	switch r.State {
	case request.Active:
		left := r.ExpiresAt.Sub(s.now())
		// Rounded up: the workflow must not wake before the expiry and call it one.
		return Output{
			State: r.State, HoldSeconds: max(1, int64((left+time.Second-1)/time.Second)),
		}
	case request.Revoking:
		// Somebody revoked it before the state Hold, or withdrew it before the grant. Deescalate
		// comes after Hold, which sees that and goes on at once.
		return Output{State: request.Active, HoldSeconds: 1}
	default:
		return Output{State: r.State}
	}
}

func describeGrant(body event.Escalated) string {
	text := fmt.Sprintf("The role %q is granted to the database user %q.", body.Role, body.User)
	if body.NeedsSetRole {
		text += fmt.Sprintf(" The user does not inherit it: run SET ROLE %s before using "+
			"it.", request.QuoteName(body.Role))
	}
	if body.Standing {
		text += " The user was a member before and stays one afterwards."
	}
	return text
}
