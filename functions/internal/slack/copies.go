package slack

import (
	"context"
	"errors"
	"fmt"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// The kinds of direct messages with buttons, as the store keeps them.
const (
	copyAsk   = "ask"   // asks an approver
	copyHeld  = "held"  // tells the requester that they have access
	copyStuck = "stuck" // tells the requester that a grant fails
)

// renewCopies brings the direct messages about a request to what the request is now: what cannot be
// done any more has no button.
func (s *Sink) renewCopies(ctx context.Context, r request.Request, record request.Record) error {
	if record.Sequence < r.Version {
		return nil // the record that comes last brings them up to date
	}
	copies, err := s.Store.SlackCopies(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("looking for the direct messages about a request: %w", err)
	}
	decided := r.State != request.Requested
	closed := false
	if decided && len(copies) > 0 {
		if closed, err = s.Store.Noted(ctx, r.ID, askClosedNote); err != nil {
			return err
		}
	}
	var errs []error
	for _, c := range copies {
		kind, channel, ts := c[0], c[1], c[2]
		if kind == copyAsk && closed || kind == copyHeld && r.State == request.Active ||
			kind == copyStuck && r.State == request.Approved {
			continue
		}
		err := s.client.update(ctx, channel, ts, renewed(kind, r))
		if err != nil && !refusesForGood(err) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil || closed || !decided || len(copies) == 0 {
		return err
	}
	_, err = s.Store.Note(ctx, r.ID, askClosedNote)
	return err
}

// askClosedNote is what is noted of a request whose approvers' messages say how it was decided: they
// need not be changed any more. There may be many, and Slack counts calls.
const askClosedNote = "slack-ask-closed"

// renewed is a direct message about a request as it is now.
func renewed(kind string, r request.Request) message {
	if kind == copyAsk {
		return askMessage(r)
	}
	l := append(line{code(r.Target.RoleName), words(" in the flow %s: ", r.Flow)}, stateLine(r)...)
	if kind == copyHeld {
		l = line{words("You had "), code(r.Target.RoleName), words(" (%s) from ", labelOf(r.Target)),
			moment(r.GrantedAt), words(". ")}
		l = append(l, stateLine(r)...)
	}
	return message{
		text:   notification("%s in the flow %s: %s", r.Target.RoleName, r.Flow, r.State),
		blocks: []slackapi.Block{rich(lines(l)), small("Request " + r.ID)},
	}
}
