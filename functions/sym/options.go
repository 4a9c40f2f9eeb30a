package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/client"
)

// options are the flags and arguments of a command. Each command has some of them.
type options struct {
	command command
	flags   *flag.FlagSet
	args    []string

	api, dir, profile string
	json              bool

	reason, flow, key  string
	duration           time.Duration
	breakGlass, wait   bool
	state, target, who string
	mine, review, all  bool
	heldAt, next       string
	limit              int
	until              string
	timeout            time.Duration
}

// newOptions declares the flags of a command: those that every command has, and its own.
func newOptions(c command) *options {
	o := &options{command: c, flags: flag.NewFlagSet(c.name, flag.ContinueOnError)}
	o.flags.SetOutput(io.Discard) // what it would print is said in our words
	o.flags.Usage = func() {}
	if c.local {
		return o
	}
	o.flags.StringVar(&o.api, "api", "", "the `address` of the API, instead of SYM_API")
	o.flags.StringVar(&o.dir, "dir", "", "the `folder` that Terraform deployed from, instead of "+
		"SYM_DIR or this one")
	o.flags.StringVar(&o.profile, "profile", "", "the AWS `profile` to sign with, instead of "+
		"AWS_PROFILE")
	o.flags.BoolVar(&o.json, "json", false, "print the API's JSON")
	if c.flags != nil {
		c.flags(o)
	}
	return o
}

func (o *options) reasonFlag(usage string) { o.flags.StringVar(&o.reason, "reason", "", usage) }

func (o *options) askFlags() {
	o.flags.DurationVar(&o.duration, "duration", 0, "for how `long`, such as 30m or 1h30m; "+
		o.command.unlessDuration)
	o.flags.StringVar(&o.key, "key", "", "an idempotency `key`: the same key asks once, however "+
		"often it is run")
	o.flags.BoolVar(&o.wait, "wait", false, "wait until the access is active, as sym wait does")
	o.timeoutFlag()
}

func (o *options) timeoutFlag() {
	o.flags.DurationVar(&o.timeout, "timeout", 0, "stop waiting after so `long`; without it, "+
		"it waits as long as it takes")
}

// errHelp says that the flags ask for help.
var errHelp = flag.ErrHelp

// parse reads flags and arguments, which may stand in any order, and counts the latter.
func (o *options) parse(args []string) error {
	for {
		if err := o.flags.Parse(args); err != nil {
			if errors.Is(err, errHelp) {
				return err
			}
			return o.usage(err.Error())
		}
		rest := o.flags.Args()
		if len(rest) == 0 {
			break
		}
		if read := len(args) - len(rest); read > 0 && args[read-1] == "--" {
			o.args = append(o.args, rest...)
			break
		}
		o.args, args = append(o.args, rest[0]), rest[1:]
	}
	if o.api != "" && o.dir != "" {
		return o.usage("give --api or --dir, not both")
	}
	return o.checkArgs()
}

func (o *options) checkArgs() error {
	want := o.command.argument
	all := o.command.arguments()
	switch {
	case want == "" && len(o.args) > 0:
		return o.usage("it takes no argument, and there is " + quoted(o.args[0]))
	case len(o.args) < len(all):
		return o.usage("the " + all[len(o.args)] + " is missing")
	case len(o.args) > len(all):
		return o.usage("it takes one " + strings.Join(all, " and one ") + ", and there are more: " +
			quoted(o.args[len(all)]) + ". Put a text of several words into quotation marks")
	case want == argumentID && !client.IsID(o.args[0]):
		return o.usage(quoted(o.args[0]) + " is not the id of a request. `sym list` shows the ids")
	}
	return nil
}

// given tells whether a flag was written, whatever its value.
func (o *options) given(name string) bool {
	found := false
	o.flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// checkDuration refuses a duration that was written and is none.
func (o *options) checkDuration(name string, d time.Duration) error {
	if o.given(name) && (d < time.Second || d%time.Second != 0) {
		return o.usage("--" + name + " has to be whole seconds above zero, such as 30m or 1h30m")
	}
	return nil
}

func (o *options) usage(text string) error {
	text = strings.NewReplacer("flag provided but not defined: -", "there is no flag --",
		"flag needs an argument: -", "a value is missing after --", " for flag -", " for --",
		" for -", " for --").Replace(text)
	for flag, form := range map[string]string{
		"duration": "write it like 30m or 1h30m", "timeout": "write it like 30m or 1h30m",
		"limit": "write a whole number",
	} {
		text = strings.Replace(text, "for --"+flag+": parse error", "for --"+flag+": "+form, 1)
	}
	return usagef("%s: %s. `sym help %[1]s` says how it is used", o.command.name,
		strings.TrimSuffix(text, "."))
}
