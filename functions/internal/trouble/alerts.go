package trouble

import (
	"context"
	"fmt"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
)

// AlertsName is the name of [Alerts] as a sink.
const AlertsName = "alerts"

// Teller tells a human, or fails where it could not. [Reporter] is one.
type Teller interface {
	Tell(context.Context, request.Trouble) error
}

// Notes remember what has been told.
type Notes interface {
	Noted(ctx context.Context, id, name string) (bool, error)
	Note(ctx context.Context, id, name string) (first bool, err error)
}

// Alerts are a sink that tells humans of the records that need one: broken glass, workflows
// that could not do their part, and reviews that are due.
type Alerts struct {
	Teller Teller
	Notes  Notes
}

// Name implements [delivery.Sink].
func (a *Alerts) Name() string { return AlertsName }

// Deliver implements [delivery.Sink]. It notes afterwards what it has told: should the note be
// lost somebody is told twice, and never not at all.
func (a *Alerts) Deliver(ctx context.Context, item delivery.Item) error {
	t, ok := alert(item.Request, item.Record)
	if !ok {
		return nil
	}
	name := fmt.Sprintf("alert-%d", item.Record.Sequence)
	told, err := a.Notes.Noted(ctx, item.Request.ID, name)
	if err != nil || told {
		return err
	}
	if err := a.Teller.Tell(ctx, t); err != nil {
		return err
	}
	_, err = a.Notes.Note(ctx, item.Request.ID, name)
	return err
}

// alert is what a human has to know of a record, if anything.
func alert(r request.Request, record request.Record) (request.Trouble, bool) {
	t := request.Trouble{Whom: r.Requester, RequestID: r.ID}
	role := fmt.Sprintf("the role %q (target %s, flow %s)", r.Target.RoleName, r.Target.Name,
		r.Flow)
	switch {
	case record.Rule == request.RuleWorkflowFailure:
		t.What = fmt.Sprintf("The request %s of %s for %s is %s since its workflow could not do "+
			"its part: %s", r.ID, r.Requester, role, record.To, record.Reason)
		t.Do = "Look at the execution of the state machine and at the Runtime's log for the " +
			"reason, and repair it. " + r.Requester + " can ask again meanwhile."
		if record.To == request.Revoking {
			t.Do = "Look at the execution of the state machine for the reason. The access is " +
				"being taken away; " + r.Requester + " can ask again."
		}
	case record.Action == request.ActionRemind:
		if r.Review != nil {
			return t, false // somebody was faster
		}
		t.What = fmt.Sprintf("Nobody has reviewed yet that %s broke the glass for %s at %s, in "+
			"the request %s. Their reason was: %s", r.Requester, role, stamp(r), r.ID, r.Reason)
		t.Do = "An approver other than " + r.Requester + " looks at what the access was used " +
			"for, and writes that down as the review of the request."
	case r.BreakGlass && record.To == request.Approved && record.From != record.To:
		t.What = fmt.Sprintf("%s has broken the glass: %s is granted for %s without anybody's "+
			"approval, by the rule %s, in the request %s. Their reason: %s", r.Requester, role,
			request.Lasting(r.Duration), record.Rule, r.ID, r.Reason)
		t.Do = "If this should not be, revoke the request now. In any case an approver has to " +
			"review it afterwards."
	default:
		return t, false
	}
	return t, true
}

func stamp(r request.Request) string { return r.CreatedAt.UTC().Format("2006-01-02 15:04 UTC") }
