package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// Sink brings what happened to a request to Slack: it keeps the message in the flow's channel up
// to date, and tells the requester.
type Sink struct{ desk }

// Name is the sink's among those that a record goes to.
func (s *Sink) Name() string { return "slack" }

// deliver brings one record to Slack. Doing it again posts nothing twice: the message is
// replaced by what the request is now, and who has been told is noted.
//
// It fails where another try may succeed. What only a human can put right has been reported by
// then, and does not stand in the way of the next record.
func (s *Sink) deliver(ctx context.Context, r request.Request, record request.Record) error {
	return errors.Join(s.toChannel(ctx, r), s.reviewDue(ctx, r, record), s.toRequester(ctx, r, record))
}

// toChannel posts the request's message, or brings it up to date.
func (d desk) toChannel(ctx context.Context, r request.Request) error {
	channel, ts, err := d.Store.SlackMessage(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("looking for the message of a request: %w", err)
	}
	if r.Channel == "" && ts == "" {
		return nil // the flow posts nowhere
	}
	m := channelMessage(r, d.account(ctx, r.Requester))
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
	channel, ts, err = d.client.post(ctx, r.Channel, m)
	if err != nil {
		return d.unreachable(ctx, r, r.Channel, err)
	}
	if err := d.Store.SaveSlackMessage(ctx, r.ID, channel, ts); err != nil {
		return fmt.Errorf("keeping where the message of a request is: %w", err)
	}
	return nil
}

// unreachable reports a channel that the app cannot post to, once for a request. Trying again
// would not help; as soon as it can, the next record brings the message.
func (d desk) unreachable(ctx context.Context, r request.Request, channel string, err error) error {
	var do string
	switch {
	case codeIs(err, "channel_not_found", "not_in_channel"):
		do = "Create the channel " + channel + ", or invite the app into it: a private channel " +
			"cannot be seen from outside. Then the next step of the request is posted."
	case codeIs(err, "is_archived"):
		do = "Take the channel " + channel + " out of the archive, or name another one in " +
			"flow_vars.request_channel and apply."
	case codeIs(err, "restricted_action", "restricted_action_read_only_channel",
		"restricted_action_non_threadable_channel", "restricted_action_thread_only_channel"):
		do = "Let the app post to the channel " + channel + ": a setting of the workspace forbids it."
	case codeIs(err, "missing_scope"):
		do = "Give the app the scopes that docs/slack-app.yaml names, and install it anew."
	default:
		return err
	}
	d.Log.ErrorContext(ctx, "a channel cannot be posted to", "request_id", r.ID,
		"channel", channel, "error", err)
	first, noteErr := d.Store.Note(ctx, r.ID, "slack-channel-trouble")
	if noteErr != nil {
		return noteErr
	}
	if first {
		d.Report(ctx, request.Trouble{
			What: "The request " + r.ID + " cannot be posted to Slack's channel " + channel + ": " +
				codeOf(err) + ". Nobody is asked there.",
			Whom: r.Requester, Do: do, RequestID: r.ID,
		})
	}
	return nil
}

// account is the requester's Slack account for a mention. It is not worth failing for.
func (d desk) account(ctx context.Context, email string) string {
	user, err := d.people.user(ctx, email)
	if err != nil {
		d.Log.WarnContext(ctx, "a person could not be looked up in Slack", "error", err)
	}
	return user
}

// toRequester tells the requester of a record, once.
func (s *Sink) toRequester(ctx context.Context, r request.Request, record request.Record) error {
	var others time.Time
	if record.To == request.Done && record.From != record.To {
		others = s.otherHold(ctx, r)
	}
	m := directMessage(r, record, others)
	if m == nil {
		return nil
	}
	return s.once(ctx, r, fmt.Sprintf("slack-dm-%d", record.Sequence), func() error {
		return s.direct(ctx, r, *m)
	})
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

// direct writes to the requester, if they are in Slack.
func (d desk) direct(ctx context.Context, r request.Request, m message) error {
	user, err := d.people.user(ctx, r.Requester)
	if err != nil {
		return err
	}
	if user == "" {
		d.Log.InfoContext(ctx, "the requester is not in Slack", "request_id", r.ID,
			"requester", r.Requester)
		return nil
	}
	_, _, err = d.client.post(ctx, user, m)
	if codeOf(err) != "" && !codeIs(err, tryAgain...) {
		d.Log.WarnContext(ctx, "the requester cannot be written to in Slack", "request_id", r.ID,
			"requester", r.Requester, "error", err)
		return nil
	}
	return err
}

// otherHold is until when other requests of the same person hold the same role. It is zero where
// that cannot be found out.
func (s *Sink) otherHold(ctx context.Context, r request.Request) (until time.Time) {
	page, err := s.Service.List(ctx, request.Query{
		Requester: r.Requester, Flow: r.Flow, Target: r.Target.Name, State: request.Active,
		Limit: 10,
	})
	if err != nil {
		s.Log.WarnContext(ctx, "other requests could not be looked for", "request_id", r.ID,
			"error", err)
	}
	for _, other := range page.Requests {
		if other.ID != r.ID && other.ExpiresAt.After(until) {
			until = other.ExpiresAt
		}
	}
	return until
}

// reviewDue brings a break-glass to mind that nobody has reviewed, below its message and in the
// channel.
func (s *Sink) reviewDue(ctx context.Context, r request.Request, record request.Record) error {
	if record.Action != request.ActionRemind || r.ReviewDue.IsZero() {
		return nil
	}
	return s.once(ctx, r, fmt.Sprintf("slack-remind-%d", record.Sequence), func() error {
		return s.below(ctx, r, reviewReminder(r))
	})
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
