// Sym is the command-line client: it asks for access, decides about it, and waits for it,
// through the Runtime's HTTP API and with the caller's AWS credentials. `sym help` lists what it
// can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends us at once
	p := &program{
		out:         os.Stdout,
		err:         os.Stderr,
		getenv:      os.Getenv,
		now:         time.Now,
		sleep:       sleep,
		location:    time.Local,
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		width:       columns,
	}
	return p.run(ctx, os.Args[1:])
}

// columns is how wide the terminal is; zero where that cannot be told.
func columns() int {
	for _, file := range []*os.File{os.Stdout, os.Stderr} {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
