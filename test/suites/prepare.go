package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sym-postgres-quickstart/test/sandbox/compile"
	"sym-postgres-quickstart/test/sandbox/machine"
)

// functions is where the functions' archives are built for all suites.
const functions = ".build/functions"

// prepare brings everything that more than one suite needs, so that none of them has to install,
// download or compile it within a deadline of its own: programs, moto, PostgreSQL's versions,
// Terraform and its provider, all packages, and the functions' archives. The processors compile
// while the network brings the rest.
func prepare(ctx context.Context) error {
	install, err := machine.Plan(ctx, "test", os.Stdout)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The compiler would do the same work twice for two that begin at once.
	tools := make(chan struct{})
	brought := make(chan error, 1)
	go func() {
		err := install()
		if err == nil {
			select {
			case <-tools:
				err = timed("Terraform, its provider, moto, PostgreSQL's versions", func() error {
					return goCommand(ctx, os.Stdout, "run", installer)
				})
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil {
			stop()
		}
		brought <- err
	}()
	err = compileAll(ctx, tools)
	if err != nil {
		stop()
	}
	if failed := <-brought; failed != nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	return err
}

const installer = "./test/sandbox/tools/install"

// compileAll compiles every package and every test, and builds the functions. It closes tools when
// the program that installs them is compiled.
func compileAll(ctx context.Context, tools chan<- struct{}) error {
	tell := func(far string) { fmt.Println(far) }
	if err := compile.Ahead(ctx, "tools", tell, installer); err != nil {
		return err
	}
	close(tools)
	if err := compile.Ahead(ctx, "suites", tell, "-test", "./...",
		"./test/sandbox/lambdaruntime/testdata/probe"); err != nil {
		return err
	}
	dir, err := filepath.Abs(functions)
	if err != nil {
		return err
	}
	return timed("The functions' archives", func() error {
		if err := goCommand(ctx, os.Stdout, "run", "./functions/build", "-here", "-out", dir); err != nil {
			return err
		}
		return os.Setenv("SANDBOX_FUNCTIONS", dir)
	})
}

// timed prints how long something took.
func timed(what string, do func() error) error {
	began := time.Now()
	err := do()
	if err == nil {
		fmt.Printf("%s: %.0f s.\n", what, time.Since(began).Seconds())
	}
	return err
}
