package main

import "context"

// whoami is the command that shows who the Runtime takes the caller for.
func (p *program) whoami(ctx context.Context, o *options) error {
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	me, err := c.Me(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return p.printJSON(me.Raw)
	}
	p.pairs("", [][]cell{
		{{text: "You are"}, {printable(me.Email), bold}},
		cells("Signed by", printable(me.Caller)),
		cells("API", printable(c.Endpoint.String())),
	})
	p.next("Next: `sym flows` shows what can be asked for, `sym list --mine` what you have asked for.")
	return nil
}
