package main

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"text/tabwriter"
)

// exits is what the exit codes mean.
const exits = `Exit codes
    0  it is done
    1  it failed: no credentials, no API, no answer, or a fault inside the Runtime
    2  the command, or what it asks for, is not right
    3  refused: you may not do this, a rule denies it, or the database would not grant it
    4  there is no such request
    5  it comes too late: the request is decided, or has ended
    6  the request ended without access (denied, expired, failed, over)
    7  the time to wait is up
  130  stopped with Ctrl-C
`

// version prints what the program was built from.
func (p *program) version() error {
	built := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		built = info.Main.Version + ", " + info.GoVersion
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				built += ", commit " + cut(setting.Value, 13)
			}
		}
	}
	_, err := fmt.Fprintln(p.out, "sym "+built)
	return err
}

// overview is what `sym help` prints.
func overview() string {
	var b strings.Builder
	b.WriteString("Ask for access to a database, and decide about it.\n\nCommands\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(w, "  sym %s\t%s\n", strings.TrimSpace(c.name+" "+
			strings.Join(c.arguments(), " ")), c.about)
	}
	fmt.Fprintf(w, "  sym help [COMMAND]\tits flags\n")
	fmt.Fprintf(w, "  sym version\twhat this was built from\n")
	_ = w.Flush() // a strings.Builder takes everything
	b.WriteString(`
For example
  sym request readonly --reason "Order 3 was charged twice" --duration 30m --wait
  sym list --state requested
  sym approve 09b01f02-5d0c-4a4e-9b5f-0a1b2c3d4e5f
  sym list --held-at "2026-03-03 14:00"

Where the API is
  --api or SYM_API       its address, as terraform output api_endpoint prints it
  --dir or SYM_DIR       the folder of the environment, where Terraform is asked for it
  else                   Terraform is asked in the current folder
  Its region is taken from the address, else from Terraform, AWS_REGION or your profile.

Who you are
  Calls are signed with your AWS credentials, from wherever the AWS CLI would take them. Sign in
  with aws sso login.

What is printed
  Tables for people, also into a pipe, where nothing is cut off and nothing is coloured (nor with
  NO_COLOR set). The API's JSON with --json, for programs. What to do next, and what went wrong,
  goes to standard error.

`)
	b.WriteString(exits)
	return b.String()
}

// help prints how a command is used, or which there are.
func (p *program) help(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(p.out, overview())
		return nil
	}
	c, found := find(args[0])
	if !found {
		return usagef("there is no command %q: `sym help` lists them", args[0])
	}
	usage := strings.Fields(c.name + " " + strings.Join(c.arguments(), " "))
	if !c.local {
		usage = append(usage, "[flags]")
	}
	fmt.Fprintf(p.out, "sym %s: %s.\n\n  sym %s\n", c.name, c.about, strings.Join(usage, " "))
	if c.more != "" {
		fmt.Fprint(p.out, "\n"+c.more)
	}
	if c.local {
		fmt.Fprint(p.out, "\n"+exits)
		return nil
	}
	fmt.Fprint(p.out, "\nFlags\n")
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	newOptions(c).flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s\t%s\n", strings.TrimSpace(f.Name+" "+strings.ToUpper(value)), usage)
	})
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprint(p.out, "\n"+exits)
	return nil
}
