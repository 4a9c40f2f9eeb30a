package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/client"
)

// The exit codes, which `sym help` explains.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitRefused     = 3
	exitNotFound    = 4
	exitConflict    = 5
	exitNoAccess    = 6
	exitTimeout     = 7
	exitInterrupted = 130 // what a shell gives to a program that Ctrl-C has ended
)

// program is one call of the client, with the world around it.
type program struct {
	out, err                 io.Writer
	getenv                   func(string) string
	now                      func() time.Time
	sleep                    func(context.Context, time.Duration) error
	location                 *time.Location
	outTerminal, errTerminal bool
	width                    func() int // of the terminal; zero where there is none
}

// run does what the arguments say and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	out := &outlet{Writer: p.out}
	p.out = out
	err := p.dispatch(ctx, args)
	if err == nil && out.err != nil {
		err = fmt.Errorf("cannot write output: %w", out.err)
	}
	if err == nil {
		return exitOK
	}
	if text := sentence(err); text != "" {
		fmt.Fprintln(p.err, "sym: "+text)
	}
	return exitCode(err)
}

// outlet remembers that something could not be written, so that not every line has to ask.
type outlet struct {
	io.Writer
	err error
}

func (o *outlet) Write(data []byte) (int, error) {
	n, err := o.Writer.Write(data)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(p.err, overview())
		return quiet{exitUsage}
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return p.help(rest)
	case "version", "-version", "--version":
		return p.version()
	}
	c, found := find(name)
	if !found {
		return usagef("there is no command %q: `sym help` lists them", name)
	}
	o := newOptions(c)
	if err := o.parse(rest); err != nil {
		if errors.Is(err, errHelp) {
			return p.help([]string{name})
		}
		return err
	}
	return c.run(p, ctx, o)
}

// usageError is a command that cannot be understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// outcome ends the program with a code and a sentence where nothing has failed: the request has
// ended, or the time is up.
type outcome struct {
	code int
	text string
}

func (o outcome) Error() string { return o.text }

// quiet ends the program with a code, since everything has been said.
type quiet struct{ code int }

func (quiet) Error() string { return "" }

// exitCode is what a script learns of an error.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if o, ok := errors.AsType[outcome](err); ok {
		return o.code
	}
	if q, ok := errors.AsType[quiet](err); ok {
		return q.code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	refusal, ok := errors.AsType[*client.Refusal](err)
	if !ok {
		return exitFailure
	}
	switch refusal.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return exitUsage
	case http.StatusUnprocessableEntity:
		return exitRefused // by the target's function
	case http.StatusUnauthorized, http.StatusForbidden:
		if refusal.Code == client.CodeForbidden {
			return exitFailure // API Gateway takes the signature, or the right to call, for none
		}
		return exitRefused
	case http.StatusConflict:
		if refusal.Code == "idempotency_key_reused" {
			return exitUsage
		}
		return exitConflict
	case http.StatusNotFound:
		if refusal.Code == "not_found" {
			return exitNotFound
		}
	}
	return exitFailure
}

// sentence is an error as it is shown: the API's own words with their code, and ours with a full
// stop.
func sentence(err error) string {
	if err == context.Canceled {
		return "Stopped."
	}
	text := printable(err.Error())
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && refusal.Code != "" {
		return text + " (" + printable(refusal.Code) + ")"
	}
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return text
}
