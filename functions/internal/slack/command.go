package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// commands answers the slash command.
func (h *Handler) commands(ctx context.Context, c call) events.APIGatewayV2HTTPResponse {
	command := c.form.Get("command")
	if !strings.HasPrefix(command, "/") {
		command = "/sym"
	}
	err := h.people.admit(ctx, origin{
		team: c.form.Get("team_id"), enterprise: c.form.Get("enterprise_id"),
		user: c.form.Get("user_id"),
	})
	if err != nil {
		return ephemeral(say(h.sentence(ctx, c.id, "a command", err)))
	}
	m, err := h.command(ctx, c, command, strings.Fields(c.form.Get("text")))
	if err != nil {
		m = new(say(h.sentence(ctx, c.id, "a command", err)))
	}
	if m == nil {
		return done()
	}
	return ephemeral(*m)
}

// command does what the words after the command say, and returns what to answer; nil is nothing.
func (h *Handler) command(ctx context.Context, c call, command string, said []string) (
	*message, error,
) {
	if len(said) == 0 {
		return new(usage(command)), nil
	}
	switch strings.ToLower(said[0]) {
	case "help":
		return new(usage(command)), nil
	case "req", "request":
		return nil, h.ask(ctx, c, strings.Join(said[1:], " "))
	case "list", "ls":
		return h.list(ctx, c)
	default:
		m := usage(command)
		unknown := fmt.Sprintf("There is no %s %s.", command, shorten(said[0], 40))
		m.text = notification("%s", unknown)
		m.blocks = append([]slackapi.Block{rich(lines(line{words("%s", unknown)}))}, m.blocks...)
		return &m, nil
	}
}

// usage is the answer to help.
func usage(command string) message {
	entry := func(what, does string) line {
		return line{code(command + " " + what), words(" %s", does)}
	}
	return message{
		text: notification("%s req, %s list or %s help", command, command, command),
		blocks: []slackapi.Block{rich(lines(
			entry("req", "asks for access: for what, for how long, and why"),
			entry("req FLOW", "the same, with the flow chosen"),
			entry("list", "shows who has what now and how long still, and what you wait for"),
			entry("help", "shows this"),
		))},
	}
}

// ask opens the modal of a new request.
func (h *Handler) ask(ctx context.Context, c call, flow string) error {
	person, flows, err := h.offeredTo(ctx, c.form.Get("user_id"))
	if err != nil {
		return err
	}
	choice, err := choose(flows, person, flow)
	if err != nil {
		return err
	}
	return h.opened(h.client.open(ctx, c.form.Get("trigger_id"), choice.modal()))
}

// offeredTo is who somebody is, and what can be asked for.
func (d desk) offeredTo(ctx context.Context, user string) (string, []request.Flow, error) {
	return together(
		func() (string, error) { return d.people.email(ctx, user) },
		func() ([]request.Flow, error) { return d.Service.Offered(ctx) },
	)
}

// opened makes a sentence of it where Slack opens no modal any more. The one call that opens it
// may be a repetition, whose first has.
func (h *Handler) opened(err error) error {
	switch {
	case codeIs(err, "exchanged_trigger_id", "trigger_exchanged"):
		return nil
	case codeIs(err, "expired_trigger_id", "trigger_expired", "invalid_trigger_id"):
		return request.Refuse(err, "slack_was_too_slow", "It took too long to open the form, and "+
			"Slack has given up. Try again: the second time is faster.")
	}
	return err
}

// list is the answer to list.
func (h *Handler) list(ctx context.Context, c call) (*message, error) {
	now := h.Now()
	person, open, err := together(
		func() (string, error) { return h.people.email(ctx, c.form.Get("user_id")) },
		func() ([]request.Request, error) { return h.Store.Open(ctx, mostOpen) },
	)
	if err != nil {
		return nil, err
	}
	held := only(open, func(r request.Request) bool { return r.HeldAt(now) })
	waiting := only(open, func(r request.Request) bool {
		return (r.State == request.Requested || r.State == request.Approved) && r.Requester == person
	})
	decide := only(open, func(r request.Request) bool { return waitsFor(r, person, now) })
	slices.SortStableFunc(held, func(a, b request.Request) int {
		return a.ExpiresAt.Compare(b.ExpiresAt)
	})
	var has, waits []line
	for _, r := range held[:min(mostListed, len(held))] {
		has = append(has, holding(r, person, now))
	}
	for _, r := range waiting[:min(mostListed, len(waiting))] {
		waits = append(waits, waitingLine(r))
	}
	var decides []line
	for _, r := range decide[:min(mostListed, len(decide))] {
		decides = append(decides, deciding(r))
	}
	m := &message{text: notification("%d have access now; you wait for %d", len(has), len(waits))}
	m.blocks = append(m.blocks,
		table("Who has what now", "Nobody has anything now.", has, len(held) > len(has))...)
	if len(waits) > 0 {
		m.blocks = append(m.blocks, table("What you wait for", "", waits, len(waiting) > len(waits))...)
	}
	if len(decides) > 0 {
		m.blocks = append(m.blocks,
			table("What waits for you", "", decides, len(decide) > len(decides))...)
	}
	return m, nil
}

// waitingLine describes a request that waits for an approval, or for the grant after it.
func waitingLine(r request.Request) line {
	l := line{code(r.Target.RoleName), words(" in the flow %s for %s, asked ", r.Flow,
		request.Lasting(r.Duration)), moment(r.CreatedAt)}
	if r.State == request.Approved {
		return append(l, words(", approved but not granted yet"))
	}
	return append(l, words(", waits until "), moment(r.DecideBy()))
}

// waitsFor tells whether a request waits for this person: for their approval, or for the review of
// broken glass. By whom is as of when it was asked for; the click asks anew.
func waitsFor(r request.Request, person string, now time.Time) bool {
	backup := r.BackupFrom()
	mayDecide := slices.Contains(r.Approvers, person) || slices.Contains(r.BackupApprovers, person) &&
		!backup.IsZero() && !now.Before(backup)
	switch {
	case !mayDecide, person == r.Requester:
		return false
	case r.State == request.Requested:
		return !slices.Contains(approvers(r), person)
	}
	return r.BreakGlass && r.State != request.Approved && !r.ReviewDue.IsZero()
}

// deciding is a line of what waits for a person.
func deciding(r request.Request) line {
	l := line{bold(r.Requester), words(" "), code(r.Target.RoleName), words(" in the flow %s for %s",
		r.Flow, request.Lasting(r.Duration))}
	if r.State != request.Requested {
		return append(l, words(", by broken glass: waits for its review"))
	}
	return append(l, words(", waits for approval until "), moment(r.DecideBy()))
}

// holding is a line of the list: who has what, and how long still.
func holding(r request.Request, person string, now time.Time) line {
	who := r.Requester
	if who == person {
		who = "you"
	}
	l := line{bold(who), words(" "), code(r.Target.RoleName), words(" in the flow %s, ", r.Flow)}
	if r.State == request.Revoking || !r.ExpiresAt.After(now) {
		return append(l, words("is being taken away"))
	}
	return append(l, words("%s left, until ", left(r.ExpiresAt.Sub(now))), moment(r.ExpiresAt))
}

// mostListed is how many requests a list in Slack shows of each kind.
const mostListed = 50

// only are the requests that fit.
func only(all []request.Request, fits func(request.Request) bool) []request.Request {
	return slices.DeleteFunc(slices.Clone(all), func(r request.Request) bool { return !fits(r) })
}

// table is a list with its title.
func table(title, none string, all []line, more bool) []slackapi.Block {
	blocks := []slackapi.Block{heading(title)}
	if len(all) == 0 {
		return append(blocks, rich(lines(line{words("%s", none)})))
	}
	const each = 10 // lines in a block, so that no block becomes too large
	for part := range slices.Chunk(all, each) {
		blocks = append(blocks, rich(lines(part...)))
	}
	if more {
		blocks = append(blocks, small("There are more. The command-line client and the API list "+
			"all of them."))
	}
	return blocks
}
