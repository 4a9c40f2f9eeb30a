package main

import (
	"context"
	"fmt"

	"sym-postgres-quickstart/functions/internal/client"
)

// decide is the commands approve, deny, revoke and review.
func (p *program) decide(ctx context.Context, o *options) error {
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	r, err := c.Act(ctx, o.command.name, o.args[0], o.reason)
	if err != nil {
		return err
	}
	if o.json {
		err = p.printJSON(r.Raw)
	} else {
		_, err = fmt.Fprintln(p.out, decided(o.command.name, r))
	}
	p.nextAfter(o.command.name, r)
	return err
}

// decided says what a decision has done.
func decided(action string, r client.Request) string {
	what := fmt.Sprintf("%s for %s, %s", printable(r.Target), printable(r.Requester),
		span(seconds(r.Duration)))
	switch {
	case action == "review":
		return fmt.Sprintf("Request %s is reviewed (%s).", r.ID, what)
	case action == "approve" && r.State == client.Requested:
		return fmt.Sprintf("Request %s has your approval, %s (%s). It needs more of them.", r.ID,
			approvals(r), what)
	default:
		return fmt.Sprintf("Request %s is %s (%s).", r.ID, r.State, what)
	}
}

// nextAfter says what to do after a decision.
func (p *program) nextAfter(action string, r client.Request) {
	switch {
	case action == "approve" && r.State == client.Requested:
		more := r.ApprovalsNeeded - len(r.Approvals)
		p.next("Next: %d more %s, by somebody else, with `sym approve %s`.", more,
			[]string{"approvals", "approval"}[boolean(more == 1)], r.ID)
	case r.State == client.Active && (action == "approve" || action == "review"):
		p.next("Next: nothing. `sym revoke %s` ends it early, `sym show %[1]s` tells its story.",
			r.ID)
	case action == "review":
		p.next("Next: nothing. `sym show %s` tells its story.", r.ID)
	case action == "deny" && r.State == client.Denied:
		p.next("Next: nothing. Nothing was granted, and `sym show %s` tells its story.", r.ID)
	default:
		p.nextFor(r)
	}
}
