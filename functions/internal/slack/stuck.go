package slack

import (
	"context"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// stuckAfter is how long a grant or an end may take before its requester is told that it fails.
const stuckAfter = time.Minute

// tellStuck tells the requester, once, why an approved request is not granted, or why an access
// that should be over is not, and shows it in the channel's message.
func (m *Reminders) tellStuck(ctx context.Context, r request.Request, now time.Time) error {
	since := r.Decision
	if r.State == request.Revoking {
		since = r.Revocation
	}
	if since == nil || now.Before(since.At.Add(stuckAfter)) {
		return nil
	}
	if r = m.stuck(ctx, r); r.Stuck == nil {
		return nil
	}
	return m.once(ctx, r, "slack-stuck-"+string(r.State), func() error {
		channel, ts, err := m.Store.SlackMessage(ctx, r.ID)
		if err != nil {
			return err
		}
		if ts != "" {
			if err := m.toChannel(ctx, r, channel, ts); err != nil {
				return err
			}
		}
		kind := copyStuck
		if r.State == request.Revoking {
			kind = "" // it has no button
		}
		return m.direct(ctx, r, kind, stuckMessage(r))
	})
}

func stuckMessage(r request.Request) message {
	first := append(line{code(r.Target.RoleName), words(" in the flow %s: ", r.Flow)}, stateLine(r)...)
	what := "not granted yet"
	m := message{blocks: []slackapi.Block{rich(lines(first))}}
	if r.State == request.Revoking {
		what = "not ended yet"
	} else {
		m.blocks = append(m.blocks, slackapi.NewActionBlock("actions", withdraw(r)))
	}
	m.text = notification("%s in the flow %s is %s: %s", r.Target.RoleName, r.Flow, what,
		r.Stuck.Reason)
	m.blocks = append(m.blocks, small("Request "+r.ID))
	return m
}
