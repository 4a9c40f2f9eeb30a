// Command prepare sees to it that this machine has what a target of the Makefile needs. What is
// missing is installed, or named all at once with the command that installs it. Meanwhile it
// compiles packages, named as to `go list`, and says how far it is.
//
//	go run ./test/sandbox/machine/prepare sandbox|test|lint|bench [packages]
//
// It is itself compiled in seconds where nothing is compiled yet.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"sym-postgres-quickstart/test/sandbox/compile"
	"sym-postgres-quickstart/test/sandbox/machine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "Which target is to be prepared? sandbox, test, lint or bench")
		os.Exit(2)
	}
	if err := prepare(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare(ctx context.Context, target string, packages []string) error {
	install, err := machine.Plan(ctx, target, os.Stdout)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	installed := make(chan error, 1)
	go func() {
		err := install()
		if err != nil {
			stop()
		}
		installed <- err
	}()
	if len(packages) > 0 {
		err = compile.Ahead(ctx, target, func(far string) { fmt.Println(far) }, packages...)
	}
	if failed := <-installed; failed != nil {
		return failed
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}
