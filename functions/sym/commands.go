package main

import (
	"context"
	"slices"
)

// command is something that the client can do.
type command struct {
	name           string
	argument       string // what its one argument is called; empty where it takes none
	about          string // one line
	more           string // whatever else there is to say
	unlessDuration string // what applies without --duration
	flags          func(*options)
	run            func(*program, context.Context, *options) error
}

// What arguments are called.
const (
	argumentID     = "ID"
	argumentTarget = "TARGET"
)

// commands are in the order in which one meets them.
func commands() []command {
	return []command{
		{
			name: "flows", about: "what can be asked for, for how long, and who approves",
			run: (*program).flows,
		},
		{
			name: "request", argument: argumentTarget, about: "ask for access",
			more: "TARGET is a target's name, or its role's. The flow is needed only where several " +
				"flows have\nsuch a target. With --wait the exit codes are those of sym wait.\n",
			unlessDuration: "without it, for the target's default",
			flags: func(o *options) {
				o.reasonFlag("`why`: the approver decides by it")
				o.flags.StringVar(&o.flow, "flow", "", "the flow's `name`")
				o.flags.BoolVar(&o.breakGlass, "break-glass", false, "have it at once, where the "+
					"rules let you; everybody is told, and somebody reviews it afterwards")
				o.askFlags()
			},
			run: (*program).request,
		},
		{
			name: "wait", argument: argumentID, about: "wait until a request is active, or done",
			more: "It looks again and again, less often as time goes by, and shows how long still.\n" +
				"Where no terminal is, it writes a line for every change.\n",
			flags: func(o *options) {
				o.flags.StringVar(&o.until, "until", "active", "wait for this `state`: active or "+
					"done")
				o.timeoutFlag()
			},
			run: (*program).wait,
		},
		{
			name: "approve", argument: argumentID, about: "let somebody have what they asked for",
			flags: func(o *options) { o.reasonFlag("`why`, if there is something to say") },
			run:   (*program).decide,
		},
		{
			name: "deny", argument: argumentID,
			about: "refuse a request; or withdraw it, if it is your own",
			flags: func(o *options) { o.reasonFlag("`why`: the requester is told") },
			run:   (*program).decide,
		},
		{
			name: "revoke", argument: argumentID, about: "end access before its time",
			flags: func(o *options) { o.reasonFlag("`why`, if there is something to say") },
			run:   (*program).decide,
		},
		{
			name: "extend", argument: argumentID, about: "ask for access of yours once more",
			more:           "It is a request of its own, and has to be approved like any other.\n",
			unlessDuration: "without it, for as long as before",
			flags: func(o *options) {
				o.reasonFlag("`why`; without it, for the reason of before")
				o.askFlags()
			},
			run: (*program).extend,
		},
		{
			name: "review", argument: argumentID,
			about: "write down what a break-glass was used for",
			more:  "Who could have approved it may review it, save for its requester.\n",
			flags: func(o *options) { o.reasonFlag("`what` you found") },
			run:   (*program).decide,
		},
		{
			name: "list", about: "requests, the newest first; or who had access at a moment",
			more: "A TIME is written as \"2026-03-03 14:00\" in your own time zone, as 14:00 for " +
				"today, as now,\nor with a zone of its own, as 2026-03-03T14:00:00Z.\n",
			flags: listFlags,
			run:   (*program).list,
		},
		{
			name: "show", argument: argumentID, about: "the whole story of a request",
			run: (*program).show,
		},
	}
}

func find(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}
