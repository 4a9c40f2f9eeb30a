package main

import (
	"context"
	"slices"
)

// command is something that the client can do.
type command struct {
	name           string
	argument       string // what its argument is called; empty where it takes none
	second         string // what its second argument is called; empty where it takes none
	local          bool   // does not call the API, so it has no flags
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

// arguments are the names of the command's arguments.
func (c command) arguments() []string {
	var all []string
	for _, name := range []string{c.argument, c.second} {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// commands are in the order in which one meets them.
func commands() []command { return slices.Concat(askCommands(), actCommands(), lookCommands()) }

// askCommands are for asking for access.
func askCommands() []command {
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
	}
}

// actCommands change a request.
func actCommands() []command {
	return []command{
		{
			name: "approve", argument: argumentID, about: "let somebody have what they asked for",
			flags: func(o *options) { o.reasonFlag("`why`, if there is something to say") },
			run:   (*program).decide,
		},
		{
			name: "deny", argument: argumentID,
			about: "refuse a request; or withdraw it, if it is your own",
			more:  "A request that is approved but not granted yet is withdrawn, as with sym revoke.\n",
			flags: func(o *options) { o.reasonFlag("`why`: the requester is told") },
			run:   (*program).decide,
		},
		{
			name: "revoke", argument: argumentID, about: "end access before its time",
			more: "A request that is approved but not granted yet is withdrawn: it will not be " +
				"granted, and\na grant in progress is taken back.\n",
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
	}
}

// lookCommands change nothing.
func lookCommands() []command {
	return []command{
		{
			name: "list", about: "requests, the newest first; or who had access at a moment",
			more: "A TIME is written as \"2026-03-03 14:00\" in your own time zone, as 14:00 for " +
				"today, as now,\nor with a zone of its own, as 2026-03-03T14:00:00Z or " +
				"\"2026-03-03 14:00+01:00\". In the hour\nthat a change of the clocks repeats, a zone " +
				"is required.\n",
			flags: listFlags,
			run:   (*program).list,
		},
		{
			name: "show", argument: argumentID, about: "the whole story of a request",
			run: (*program).show,
		},
		{
			name: "whoami", about: "who the Runtime takes you for",
			more: "It is the e-mail address that your AWS credentials stand for. If they stand for " +
				"nobody, it says\nhow that can be changed.\n",
			run: (*program).whoami,
		},
		{
			name: "assign", argument: "USER", second: "EMAIL", local: true,
			about: "print the SQL that gives a database user to a person's new address",
			more: "If somebody's address has changed, their requests are refused: the database user " +
				"belongs to the\nold address. A database administrator runs the printed SQL, as the " +
				"owner of the schema sym:\n\n" +
				"  sym assign alice alice@new.example.com | psql \"host=… dbname=… user=…\"\n\n" +
				"It calls neither the API nor the database.\n",
			run: (*program).assign,
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
