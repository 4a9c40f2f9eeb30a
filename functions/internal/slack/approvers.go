package slack

import (
	"context"
	"errors"
	"fmt"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// tellApprovers writes to those who are asked to approve a request, each once, where the flow wants
// that.
func (d desk) tellApprovers(ctx context.Context, r request.Request) error {
	if !r.TellApprovers.Messages() {
		return nil
	}
	asked := r.AskedNow(d.Now())
	var errs []error
	for _, who := range asked[:min(len(asked), mostMentions)] {
		errs = append(errs, d.once(ctx, r, "slack-ask-"+mark(who), func() error {
			return d.directTo(ctx, r, who, copyAsk, askMessage(r))
		}))
	}
	return errors.Join(errs...)
}

// askMessage asks an approver for their decision, or says how it went.
func askMessage(r request.Request) message {
	m := message{
		text: notification("%s asked for %s for %s: %s", r.Requester, r.Target.RoleName,
			request.Lasting(r.Duration), r.Reason),
		blocks: []slackapi.Block{about(r), rich(lines(append(terms(r), couldLeave(r)...)...))},
	}
	if r.State != request.Requested {
		m.blocks = append(m.blocks, rich(lines(outcome(r)...)), small("Request "+r.ID))
		return m
	}
	m.blocks = append(m.blocks, rich(lines(append([]line{stateLine(r)}, history(r)...)...)),
		slackapi.NewActionBlock("actions", buttons(r)...), small("Request "+r.ID))
	return m
}

// outcome says how a request was decided, in words that stay true whatever comes of it.
func outcome(r request.Request) []line {
	all := []line{{bold("Decided")}}
	for _, a := range r.Approvals[:min(len(r.Approvals), mostDeeds)] {
		all = append(all, deed(a, "approved it"))
	}
	switch d := r.Decision; {
	case d == nil:
		all = append(all, stateLine(r)) // it has failed
	case d.Action == request.ActionDeny && d.By == r.Requester:
		all = append(all, deed(*d, "withdrew it"))
	case d.Action == request.ActionDeny:
		all = append(all, deed(*d, "denied it"))
	case d.Action == request.ActionExpire:
		all = append(all, stateLine(r))
	}
	return all
}

// askedLine mentions those who are asked to approve a request, by their Slack accounts where they
// have one.
func askedLine(asked []string, accounts map[string]string) line {
	l := line{bold("Asked: ")}
	for i, email := range asked {
		if i > 0 {
			l = append(l, words(", "))
		}
		if i == mostMentions {
			return append(l, words("and %d more", len(asked)-i))
		}
		if id := accounts[email]; id != "" {
			l = append(l, mention(id))
		} else {
			l = append(l, words("%s", email))
		}
	}
	return l
}

// mentioned are the Slack accounts of those who are mentioned in the channel.
func (d desk) mentioned(ctx context.Context, r request.Request, asked []string) map[string]string {
	found := map[string]string{}
	if !r.TellApprovers.Mentions() {
		return found
	}
	for _, email := range asked[:min(len(asked), mostMentions)] {
		found[email] = d.account(ctx, email)
	}
	return found
}

// directTo writes to a person, if they are in Slack. A message with buttons has a kind, and is kept
// in mind so that it can lose them.
func (d desk) directTo(
	ctx context.Context, r request.Request, email, kind string, m message,
) error {
	user, err := d.people.user(ctx, email)
	if err != nil {
		return d.unreachable(ctx, r, "", err)
	}
	if user == "" {
		d.Log.InfoContext(ctx, "somebody is not in Slack", "request_id", r.ID, "person", email)
		return nil
	}
	channel, ts, err := d.client.post(ctx, user, m)
	if refusesForGood(err) && !codeIs(err, noMessagesTab) {
		d.Log.WarnContext(ctx, "somebody cannot be written to in Slack", "request_id", r.ID,
			"person", email, "error", err)
		return nil
	}
	if err != nil {
		return d.unreachable(ctx, r, "", err)
	}
	if kind == "" {
		return nil
	}
	if err := d.Store.AddSlackCopy(ctx, r.ID, kind, channel, ts); err != nil {
		return fmt.Errorf("keeping where a direct message is: %w", err)
	}
	return nil
}
