package slack

import (
	"context"
	"fmt"
	"strings"

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
			entry("req NAME", "the same, with a flow, a target or a role chosen"),
			entry("list", "shows what waits for you, who has what and until when, and what you wait for"),
			entry("help", "shows this"),
		))},
	}
}

// ask opens the modal of a new request.
func (h *Handler) ask(ctx context.Context, c call, said string) error {
	person, flows, err := h.offeredTo(ctx, c.form.Get("user_id"))
	if err != nil {
		return err
	}
	choice, err := choose(flows, person, said)
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
