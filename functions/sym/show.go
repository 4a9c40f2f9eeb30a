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
	zone, _ := records[0].At.In(p.location).Zone()
	fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, "Story"))
	rows := [][]cell{heading("TIME ("+zone+")", "WHO", "DID", "STATE", "RULE")}
	notes := map[int][]string{}
	for _, record := range records {
		state := string(record.To)
		if record.From == record.To {
			state = "stays " + state
		}
		rows = append(rows, []cell{
			{text: record.At.In(p.location).Format(time.DateTime)}, {text: printable(record.By)},
			{text: told(record.Action)}, {state, colours[record.To]},
			{text: printable(record.Rule)},
		})
		for i, line := range lines(record.Reason) {
			notes[len(rows)] = append(notes[len(rows)], []string{"reason: ", "        "}[min(i, 1)]+
				line)
		}
		if record.Because != "" {
			notes[len(rows)] = append(notes[len(rows)], "because "+printable(record.Because))
		}
	}
	p.annotated(rows, notes)
}

// annotated prints a table with lines below some of its rows.
func (p *program) annotated(rows [][]cell, notes map[int][]string) {
	writer := &interleaved{p: p, notes: notes}
	wide := *p
	wide.width = func() int { return 0 }
	wide.table(writer, "  ", rows)
}

// interleaved writes notes after the rows that they belong to.
type interleaved struct {
	p     *program
	notes map[int][]string
	row   int
}

func (w *interleaved) Write(line []byte) (int, error) {
	n, err := w.p.out.Write(line)
	w.row++
	for _, note := range w.notes[w.row] {
		fmt.Fprintln(w.p.out, "      "+w.p.paint(dim, note))
	}
	return n, err
}
