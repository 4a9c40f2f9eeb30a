package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/client"
)

// defaultList is how many requests are listed where nothing else is said.
const defaultList = 20

func listFlags(o *options) {
	o.flags.StringVar(&o.state, "state", "", "only those in this `state`: requested, approved, "+
		"denied, expired, active, failed, revoking or done")
	o.flags.StringVar(&o.flow, "flow", "", "only of the flow with this `name`")
	o.flags.StringVar(&o.target, "target", "", "only of the target with this `name`")
	o.flags.StringVar(&o.who, "requester", "", "only by who has this e-mail `address`")
	o.flags.BoolVar(&o.mine, "mine", false, "only your own")
	o.flags.BoolVar(&o.review, "review", false, "only broken glass that nobody has reviewed")
	o.flags.StringVar(&o.heldAt, "held-at", "", "who had access at that `time`; all of them")
	o.flags.IntVar(&o.limit, "limit", defaultList, "`n` of them at most, 20 unless told")
	o.flags.BoolVar(&o.all, "all", false, "all of them")
	o.flags.StringVar(&o.next, "next", "", "go on after the `token` that the last list ended with")
}

// list is the command that lists requests.
func (p *program) list(ctx context.Context, o *options) error {
	q, err := p.query(o)
	if err != nil {
		return err
	}
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	page, err := c.List(ctx, q)
	if err != nil {
		return err
	}
	if o.json {
		if err := p.printPage(page); err != nil {
			return err
		}
	} else if q.HeldAt.IsZero() {
		p.listTable(page.Requests)
	} else {
		p.heldTable(page.Requests)
	}
	p.nextInList(q, page)
	return nil
}

func (p *program) query(o *options) (client.Query, error) {
	q := client.Query{
		State: o.state, Flow: o.flow, Target: o.target, Requester: o.who, Review: o.review,
		Limit: o.limit, Next: o.next,
	}
	switch {
	case o.mine && o.given("requester"):
		return q, o.usage("give --mine or --requester, not both")
	case o.given("limit") && o.limit < 1:
		return q, o.usage("--limit has to be a whole number above zero")
	case o.given("limit") && o.all:
		return q, o.usage("give --limit or --all, not both")
	case o.mine:
		q.Requester = "me"
	}
	for name, value := range map[string]string{
		"state": o.state, "flow": o.flow, "target": o.target, "requester": o.who,
		"held-at": o.heldAt,
	} {
		// A variable of a script that is empty by mistake must not list everything.
		if o.given(name) && value == "" {
			return q, o.usage("--" + name + " is empty")
		}
	}
	if o.heldAt != "" {
		at, err := p.parseMoment(o.heldAt)
		if err != nil {
			return q, o.usage(err.Error())
		}
		q.HeldAt = at
	}
	// Half an answer to who had access would be a wrong one.
	if o.all || o.heldAt != "" && !o.given("limit") {
		q.Limit = 0
	}
	return q, nil
}

func (p *program) printPage(page client.Page) error {
	out := struct {
		Requests []json.RawMessage `json:"requests"`
		Next     string            `json:"next,omitempty"`
	}{Requests: []json.RawMessage{}, Next: page.Next}
	for _, r := range page.Requests {
		out.Requests = append(out.Requests, r.Raw)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return p.printJSON(raw)
}

// listTable shows requests as they are now.
func (p *program) listTable(requests []client.Request) {
	if len(requests) == 0 {
		return
	}
	g := grid{
		heading: []string{"ID", "STATE", "REQUESTER", "TARGET", "WHEN", "REASON"}, cut: true,
		notes: map[int][]string{},
	}
	for i, r := range requests {
		if r.Stuck != nil {
			g.notes[i] = []string{p.stuck(r)}
		}
		g.rows = append(g.rows, []cell{
			{text: r.ID}, {string(r.State), colours[r.State]}, {text: printable(r.Requester)},
			{text: printable(r.Target)}, {text: p.when(r)}, {text: printable(r.Reason)},
		})
	}
	p.grid("", g)
}

// heldTable shows who had access.
func (p *program) heldTable(requests []client.Request) {
	if len(requests) == 0 {
		return
	}
	g := grid{
		heading: []string{"REQUESTER", "USER", "TARGET", "ROLE", "HELD", "ID", "REASON"},
		cut:     true,
	}
	for _, r := range requests {
		held := "since " + p.clock(r.GrantedAt)
		if !r.DoneAt.IsZero() {
			held = p.clock(r.GrantedAt) + " to " + p.clock(r.DoneAt)
		}
		g.rows = append(g.rows, cells(printable(r.Requester), printable(r.DatabaseUser),
			printable(r.Target), printable(r.Role), held, r.ID, printable(r.Reason)))
	}
	p.grid("", g)
}

// when is the time that matters in a request's state.
func (p *program) when(r client.Request) string {
	switch {
	case r.State == client.Requested:
		return "decide " + p.relative(r.DecideBy)
	case r.State == client.Active:
		return "ends " + p.relative(r.ExpiresAt)
	case r.Stuck != nil:
		return "stuck, last tried " + p.relative(r.Stuck.At)
	case !r.DoneAt.IsZero():
		return []string{"ended ", "withdrawn "}[boolean(r.Withdrawn())] + p.relative(r.DoneAt)
	case r.State == client.Failed && r.Review == nil && r.ReviewDue.IsZero():
		return "failed " + p.relative(r.UpdatedAt)
	case r.State == client.Failed:
		return "failed" // the review, or a reminder of it, is what changed the request last
	case r.State == client.Revoking && r.Revocation != nil:
		return "ending since " + p.relative(r.Revocation.At)
	case r.Decision != nil:
		return told(r.Decision.Action) + " " + p.relative(r.Decision.At)
	default:
		return "asked " + p.relative(r.CreatedAt)
	}
}

// nextInList says what was listed, and what to do with it.
func (p *program) nextInList(q client.Query, page client.Page) {
	n := len(page.Requests)
	if !q.HeldAt.IsZero() {
		one := []string{"requests were", "request was"}[boolean(n == 1)]
		p.next("%d %s active at %s.", n, one, p.moment(q.HeldAt))
		if q.HeldAt.After(p.now().Add(time.Second)) {
			p.next("That is yet to come: what is active then nobody knows today.")
		}
	}
	switch {
	case page.Next != "":
		p.next("There may be more: see all with --all, or go on with --next %s",
			printable(page.Next))
	case n == 0 && q.HeldAt.IsZero():
		p.next("No request fits. `sym flows` shows what can be asked for.")
	}
	switch {
	case n > 0 && q.Review:
		p.next("Next: `sym review ID --reason …` writes down what it was used for.")
	case n > 0:
		p.next("Next: `sym show ID` tells the whole story of one.")
	case q.HeldAt.IsZero():
	default:
		p.next("Next: `sym list` shows the requests there are.")
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flows is the command that shows what can be asked for.
func (p *program) flows(ctx context.Context, o *options) error {
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	all, err := c.Flows(ctx)
	if err != nil {
		return err
	}
	if o.json {
		if err := p.printJSON(all.Raw); err != nil {
			return err
		}
	} else {
		p.printFlows(all.Flows)
	}
	if len(all.Flows) == 0 {
		p.next("No flow is set up yet.")
		return nil
	}
	p.next("Next: ask with `sym request TARGET --reason …`.")
	return nil
}

func (p *program) printFlows(flows []client.Flow) {
	for i, flow := range flows {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		name := p.paint(bold, printable(flow.Name))
		if flow.Label != "" {
			name += "  " + printable(flow.Label)
		}
		fmt.Fprintln(p.out, name)
		if len(flow.Targets) == 0 {
			fmt.Fprintln(p.out, "  It has no targets yet.")
		}
		for _, t := range flow.Targets {
			fmt.Fprintf(p.out, "  %s  %s\n", p.paint(green, printable(t.Name)), printable(t.Label))
			rows := [][]cell{
				cells("Role", printable(t.Role)),
				cells("Duration", span(seconds(t.DefaultDuration))+", at most "+
					span(seconds(t.MaxDuration))),
			}
			switch {
			case t.Problem != "":
				rows = append(rows, []cell{{text: "Rules"}, {"cannot be used: " +
					printable(t.Problem), red}})
			case t.Rules != nil:
				rows = append(rows, cells("Rules", printable(t.Rules.Summary)))
			}
			p.pairs("    ", rows)
		}
	}
}
