package main

import (
	"context"
	"slices"
	"strings"

	"sym-postgres-quickstart/functions/internal/client"
)

// request is the command that asks for access.
func (p *program) request(ctx context.Context, o *options) error {
	if err := o.checkAsk(); err != nil {
		return err
	}
	if strings.TrimSpace(o.reason) == "" {
		return o.usage("--reason is missing: the approver decides by it")
	}
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	flow := o.flow
	if flow == "" {
		if flow, err = onlyFlow(ctx, c, o); err != nil {
			return err
		}
	}
	r, err := c.Submit(ctx, client.Submission{
		Flow: flow, Target: o.args[0], Reason: o.reason, Duration: o.duration,
		BreakGlass: o.breakGlass, Key: o.key,
	})
	return p.asked(ctx, c, o, r, err)
}

// extend is the command that asks for an access once more.
func (p *program) extend(ctx context.Context, o *options) error {
	if err := o.checkAsk(); err != nil {
		return err
	}
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	r, err := c.Extend(ctx, o.args[0], client.Extension{
		Duration: o.duration, Reason: o.reason, Key: o.key,
	})
	return p.asked(ctx, c, o, r, err)
}

// checkAsk refuses what cannot be asked.
func (o *options) checkAsk() error {
	if o.given("timeout") && !o.wait {
		return o.usage("--timeout is of use with --wait only")
	}
	if err := o.checkDuration("timeout", o.timeout); err != nil {
		return err
	}
	return o.checkDuration("duration", o.duration)
}

// asked ends a command that has asked for something: it shows the request, or waits for it.
func (p *program) asked(
	ctx context.Context, c *client.Client, o *options, r client.Request, err error,
) error {
	if err != nil {
		if exitCode(err) == exitInterrupted {
			p.next("Whether the request was made is not known: look with `sym list --mine`.")
		}
		return err
	}
	if o.wait {
		p.next("Request %s is %s.", r.ID, r.State)
		return p.waitFor(ctx, c, o, r.ID, client.Active)
	}
	if err := p.printRequest(o, r); err != nil {
		return err
	}
	p.nextFor(r)
	return ended(r)
}

// ended is how the program ends where a request that was only just made has come to its end:
// its workflow could not be started, and the first try's answer was lost.
func ended(r client.Request) error {
	if r.State == client.Denied || r.State == client.Expired || r.State == client.Failed {
		return outcome{exitNoAccess, "the request " + r.ID + " is " + string(r.State) + ". " +
			printable(r.Failure)}
	}
	return nil
}

// onlyFlow is the flow that has the target, where only one has it.
func onlyFlow(ctx context.Context, c *client.Client, o *options) (string, error) {
	all, err := c.Flows(ctx)
	if err != nil {
		return "", err
	}
	var named, have []string
	for _, flow := range all.Flows {
		named = append(named, flow.Name)
		if slices.ContainsFunc(flow.Targets, func(t client.Target) bool {
			return t.Name == o.args[0] || t.Role == o.args[0]
		}) {
			have = append(have, flow.Name)
		}
	}
	switch {
	case len(have) == 1:
		return have[0], nil
	case len(have) > 1:
		return "", o.usage("several flows have the target " + quoted(o.args[0]) + ". Say which " +
			"with --flow: " + printable(strings.Join(have, ", ")))
	case len(named) == 1:
		return named[0], nil // the API says which targets there are
	case len(named) == 0:
		return "", outcome{exitFailure, "No flow is set up yet, so nothing can be asked for. Ask " +
			"whoever maintains the Runtime."}
	default:
		return "", o.usage("no flow has a target " + quoted(o.args[0]) + ". `sym flows` shows " +
			"what there is")
	}
}
