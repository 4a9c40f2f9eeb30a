package slack

import (
	"context"
	"errors"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// Poster posts what needs a human.
type Poster struct{ desk }

// Post posts to the error channel: what failed, for whom, and what to do. Without such a channel
// it does nothing. It never reports its own trouble.
func (p *Poster) Post(ctx context.Context, t request.Trouble) error {
	if p == nil || p.ErrorChannel == "" {
		return nil
	}
	_, _, err := p.client.post(ctx, p.ErrorChannel, troubleMessage(t))
	return err
}

func troubleMessage(t request.Trouble) message {
	all := []line{{bold("What: "), words("%s", shorten(t.What, mostText))}}
	if t.Whom != "" {
		all = append(all, line{bold("For whom: "), words("%s", shorten(t.Whom, mostText))})
	}
	if t.Do != "" {
		all = append(all, line{bold("What to do: "), words("%s", shorten(t.Do, mostText))})
	}
	m := message{
		text:   notification("This needs a human: %s", t.What),
		blocks: []slackapi.Block{heading("⚠️ This needs a human"), rich(lines(all...))},
	}
	if t.RequestID != "" {
		m.blocks = append(m.blocks, small("Request "+t.RequestID))
	}
	return m
}

// noMessagesTab is Slack's refusal of every direct message of an app that is not set up for them.
const noMessagesTab = "messages_tab_disabled"

// unreachable decides what becomes of a message about a request that Slack did not take. What
// passes by itself is returned, to be tried again. What needs a human is reported, once for a
// request; it is returned as well where the message can come as soon as they have put it right,
// and else given up, since it would keep later ones waiting. Channel is empty for a direct message.
func (d desk) unreachable(ctx context.Context, r request.Request, channel string, err error) error {
	code := codeOf(err)
	missing, isMissing := errors.AsType[*NotConfigured](err)
	where := "Slack's channel " + channel
	if channel == "" {
		where = "Slack"
	}
	what := "The request " + r.ID + " cannot be posted to " + where + ": " + code +
		". Nobody is asked or told there."
	var do string
	again := false
	switch {
	case isMissing:
		code, again = "not_configured", true
		what = "The request " + r.ID + " cannot be posted to Slack. Nobody is asked or told there."
		do = missing.Error()
	case tokenRefused(err):
		again = true
		do = "Install the app anew and put its bot token into the Runtime's shared secret, see " +
			"docs/slack.md. What is new by then is posted then."
	case code == "missing_scope", code == "no_permission":
		again = true
		do = "Give the app the scopes that docs/slack-app.yaml names, and install it anew. What is " +
			"new by then is posted then."
	case !refusesForGood(err):
		return err
	case code == "channel_not_found", code == "not_in_channel":
		do = "Create the channel " + channel + ", or invite the app into it: a private channel " +
			"cannot be seen from outside. While the request waits for a decision it is posted as " +
			"soon as that is done."
	case code == "is_archived":
		do = "Take the channel " + channel + " out of the archive, or name another one in " +
			"flow_vars.request_channel and apply: it is where the next request is posted."
	case codeIs(err, "restricted_action", "restricted_action_read_only_channel",
		"restricted_action_non_threadable_channel", "restricted_action_thread_only_channel"):
		do = "Let the app post to the channel " + channel + ": a setting of the workspace forbids it."
	case code == noMessagesTab:
		do = "Switch the messages tab of the app on, under App Home, as docs/slack-app.yaml has it: " +
			"until then the app can write to nobody."
	default:
		do = "Look the error up in Slack's reference of chat.postMessage. The API and the " +
			"command-line client show the request meanwhile."
	}
	d.Log.ErrorContext(ctx, "Slack does not take a message", "request_id", r.ID,
		"channel", channel, "error", err)
	first, noteErr := d.Store.Note(ctx, r.ID, "slack-trouble-"+code)
	if first && noteErr == nil {
		d.Report(ctx, request.Trouble{What: what, Whom: r.Requester, Do: do, RequestID: r.ID})
	}
	if again {
		return err
	}
	return noteErr
}
