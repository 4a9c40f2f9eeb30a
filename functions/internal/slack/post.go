package slack

import (
	"context"
	"fmt"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// toChannel posts the request's message, or brings the one that is there up to date.
//
// Should Slack have taken a message whose answer was lost, it is posted once more: Slack knows no
// idempotency here. The buttons of the first do no harm, since whoever clicks is asked who they
// are, and what they may is looked up then.
func (d desk) toChannel(ctx context.Context, r request.Request, channel, ts string) error {
	if r.Channel == "" && ts == "" {
		return nil // the flow posts nowhere
	}
	asked := r.AskedNow(d.Now())
	m := channelMessage(d.stuck(ctx, r), d.account(ctx, r.Requester), asked,
		d.mentioned(ctx, r, asked))
	if ts != "" {
		err := d.client.update(ctx, channel, ts, m)
		if err == nil || !codeIs(err, "message_not_found", "cant_update_message",
			"edit_window_closed") {
			return d.unreachable(ctx, r, channel, err)
		}
		// Somebody has deleted it, or the app was made anew.
		if r.Channel == "" {
			return nil
		}
	}
	channel, ts, err := d.client.post(ctx, r.Channel, m)
	if err != nil {
		return d.unposted(ctx, r, d.unreachable(ctx, r, r.Channel, err))
	}
	if err := d.Store.SaveSlackMessage(ctx, r.ID, channel, ts); err != nil {
		return fmt.Errorf("keeping where the message of a request is: %w", err)
	}
	return nil
}

// unpostedNote is what is noted of a request whose message was given up. Reminders.Run tries it
// again while the request waits for a decision.
const unpostedNote = "slack-unposted"

func (d desk) unposted(ctx context.Context, r request.Request, err error) error {
	if err != nil {
		return err // it is delivered again
	}
	_, err = d.Store.Note(ctx, r.ID, unpostedNote)
	return err
}

// below posts under a request's message, and shows it in the channel too.
func (d desk) below(ctx context.Context, r request.Request, m message) error {
	channel, ts, err := d.Store.SlackMessage(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("looking for the message of a request: %w", err)
	}
	var options []slackapi.MsgOption
	if ts != "" {
		options = append(options, slackapi.MsgOptionTS(ts), slackapi.MsgOptionBroadcast())
	} else if channel = r.Channel; channel == "" {
		return nil
	}
	_, _, err = d.client.post(ctx, channel, m, options...)
	return d.unreachable(ctx, r, channel, err)
}

// direct writes to the requester; see directTo.
func (d desk) direct(ctx context.Context, r request.Request, kind string, m message) error {
	return d.directTo(ctx, r, r.Requester, kind, m)
}

// once does something about a request unless it was done before.
//
// It is noted after it was done: should the note be lost, somebody reads the same twice. Noted
// before, it could be that they never do.
func (d desk) once(ctx context.Context, r request.Request, name string, do func() error) error {
	done, err := d.Store.Noted(ctx, r.ID, name)
	if err != nil || done {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if _, err := d.Store.Note(ctx, r.ID, name); err != nil {
		return fmt.Errorf("noting what was posted: %w", err)
	}
	return nil
}

// stuck is a request with the reason why it is stuck, if it is. It is not worth failing for.
func (d desk) stuck(ctx context.Context, r request.Request) request.Request {
	r, err := request.WithStuck(ctx, d.Store, r)
	if err != nil {
		d.Log.WarnContext(ctx, "why a request is stuck could not be read", "request_id", r.ID,
			"error", err)
	}
	return r
}

// account is the requester's Slack account for a mention. It is not worth failing for.
func (d desk) account(ctx context.Context, email string) string {
	user, err := d.people.user(ctx, email)
	if err != nil {
		d.Log.WarnContext(ctx, "a person could not be looked up in Slack", "error", err)
	}
	return user
}
