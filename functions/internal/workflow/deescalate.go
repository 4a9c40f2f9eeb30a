package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

// deescalate has the role taken away, and fails until it is. It is also the way out of an
// escalate that came to no end: whatever that has granted, or will still try to, the function's
// ledger ends it for this run.
func (s *Steps) deescalate(ctx context.Context, id string) (Output, error) {
	var body event.Deescalated // what the function said so far
	for range races {
		r, err := s.Store.Get(ctx, id)
		if err != nil {
			return Output{}, err
		}
		switch r.State {
		case request.Active:
			err := s.Store.Apply(ctx, r.Change(request.Revoking, s.timeIsUp(r)))
			if err != nil && !errors.Is(err, request.ErrConflict) {
				return Output{}, err
			}
			continue // look again at what has been written, by us or by who revoked it
		case request.Revoking, request.Approved:
		default:
			return Output{State: r.State}, nil // nothing is granted, or no more
		}

		answer, err := s.takeAway(ctx, r)
		if err != nil {
			return Output{}, err
		}
		body = together(body, answer)
		change := s.ending(r, body)
		err = s.Store.Apply(ctx, change)
		if err == nil {
			return Output{State: change.Request.State}, nil
		}
		// An escalate that was given up may have written active in between: once more then.
		if !errors.Is(err, request.ErrConflict) {
			return Output{}, err
		}
	}
	return Output{}, errRaces
}

// takeAway has the function revoke the role.
func (s *Steps) takeAway(ctx context.Context, r request.Request) (event.Deescalated, error) {
	answer, err := s.send(ctx, r, event.Deescalate)
	if err != nil {
		return event.Deescalated{}, err
	}
	// A refusal may never change, but access that stays must never look like access that ended:
	// the state machine goes on trying and raises the alarm.
	if refusal := answer.Refusal(); refusal != nil {
		return event.Deescalated{}, &connector.PostgresFunctionError{
			Type:    "Refused",
			Message: fmt.Sprintf("%s (%s)", strings.Join(answer.Errors, " "), refusal.Code),
		}
	}
	var body event.Deescalated
	if err := json.Unmarshal(answer.Body, &body); err != nil || body.Run != s.run(r) {
		return event.Deescalated{}, notAnAnswer("what became of this run", answer)
	}
	return body, nil
}

// together joins the answers of two tries: the second says what it did itself, and the request's
// end has to tell of both.
func together(first, second event.Deescalated) event.Deescalated {
	if first.Run == "" {
		return second
	}
	second.Changed = second.Changed || first.Changed
	second.SessionsEnded += first.SessionsEnded
	if second.User == "" {
		second.User, second.Role = first.User, first.Role
	}
	if len(second.LeftBehind) == 0 {
		second.LeftBehind, second.LeftBehindMore = first.LeftBehind, first.LeftBehindMore
	}
	return second
}

// ending prepares the end of a request whose role has been taken away.
func (s *Steps) ending(r request.Request, body event.Deescalated) request.Change {
	to, act := request.Done, s.machine(request.ActionEnd, request.RuleRevoked, describeEnd(r, body))
	if r.State == request.Approved {
		to, act = request.Failed, s.machine(request.ActionFail, request.RuleWorkflowFailure,
			"The access could not be granted in time. Whatever had been granted has been taken "+
				"back."+describeLeft(body))
	}
	change := r.Change(to, act)
	if r.GrantedAt.IsZero() && wasGranted(body) {
		// The answer to the grant was lost. The role was not held before the approval.
		change.Request.GrantedAt, change.Request.DoneAt = approvedAt(r), change.Record.At
		change.Request.DatabaseUser = body.User
	}
	keepLeft(&change.Request, body)
	return change
}

// wasGranted tells whether the function has ever granted the run. It names the user of a run that
// its ledger knows. An unknown run counts as changed too: it is noted as ended.
func wasGranted(body event.Deescalated) bool { return body.User != "" }

// approvedAt is when a request was approved.
func approvedAt(r request.Request) time.Time {
	if r.Decision != nil {
		return r.Decision.At
	}
	return r.UpdatedAt
}

// timeIsUp is what ends a grant that no person has ended: its expiry, or a workflow that could
// not hold it.
func (s *Steps) timeIsUp(r request.Request) request.Act {
	if s.now().Before(r.ExpiresAt.Add(-margin)) {
		return s.machine(request.ActionRevoke, request.RuleWorkflowFailure,
			"The workflow could not hold the grant and ends it before its time.")
	}
	return s.machine(request.ActionRevoke, request.RuleExpiry, "The time is over.")
}

func describeEnd(r request.Request, body event.Deescalated) string {
	text := fmt.Sprintf("The role %q has been taken away.", r.Target.RoleName)
	switch {
	case r.Withdrawn() && !wasGranted(body):
		text = fmt.Sprintf("The role %q was never granted, and a late grant will be refused.",
			r.Target.RoleName)
	case !body.Changed:
		text = fmt.Sprintf("The role %q had been taken away before.", r.Target.RoleName)
	}
	switch n := body.SessionsEnded; {
	case n == 1:
		text += " One open session was ended."
	case n > 1:
		text += fmt.Sprintf(" %d open sessions were ended.", n)
	}
	if len(body.StillMemberThrough) > 0 {
		text += " The user still has it through " + strings.Join(body.StillMemberThrough, ", ") +
			"."
	}
	return text + describeLeft(body)
}
