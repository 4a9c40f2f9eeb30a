package main

import (
	"context"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/client"
)

// show is the command that tells the whole story of a request.
func (p *program) show(ctx context.Context, o *options) error {
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	r, err := c.Show(ctx, o.args[0])
	if err != nil {
		return err
	}
	if err := p.printRequest(o, r); err != nil {
		return err
	}
	if !o.json {
		p.story(r.Audit)
	}
	p.nextFor(r)
	return nil
}

// story prints the audit records: what happened, in its order, by whom and why.
func (p *program) story(records []client.Record) {
	if len(records) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, "Story"))
	when, stamp := p.stamps(records)
	g := grid{
		heading: []string{when, "WHO", "DID", "STATE", "RULE"}, notes: map[int][]string{},
	}
	for i, record := range records {
		state := string(record.To)
		if record.From == record.To {
			state = "stays " + state
		}
		g.rows = append(g.rows, []cell{
			{text: stamp(record.At)}, {text: printable(record.By)}, {text: told(record.Action)},
			{printable(state), colours[record.To]}, {text: printable(record.Rule)},
		})
		for n, line := range lines(record.Reason) {
			g.notes[i] = append(g.notes[i], []string{"reason: ", "        "}[min(n, 1)]+line)
		}
		if record.Because != "" {
			g.notes[i] = append(g.notes[i], "because "+printable(record.Because))
		}
	}
	p.grid("  ", g)
}

// stamps is how the times of records are written. Their zone stands in the heading, unless the
// clocks were changed in between.
func (p *program) stamps(records []client.Record) (heading string, stamp func(time.Time) string) {
	zone, offset := records[0].At.In(p.location).Zone()
	form := time.DateTime
	heading = "TIME (" + zone + ")"
	for _, record := range records {
		if _, other := record.At.In(p.location).Zone(); other != offset {
			form, heading = time.DateTime+" MST", "TIME"
		}
	}
	return heading, func(t time.Time) string { return t.In(p.location).Format(form) }
}
