// Command story shows the whole on one machine: it builds the functions, starts
// the sandbox, applies the unmodified environments/sandbox to it, and tells one
// request from start to finish.
//
// At a terminal it then stays up, says how to use it, and stops everything on
// Ctrl-C. Without one it stops everything at once; it exits with 0 if the story
// held, and with 1 and the reason if not.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"sym-postgres-quickstart/test/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, newNarrator(os.Stdout))
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\nInterrupted. Everything that was started has been stopped.")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\nThe story did not hold:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n *narrator) (err error) {
	root, err := repository()
	if err != nil {
		return err
	}
	n.text("Sym Postgres Quickstart: a role for half an hour, and gone afterwards.\n")
	n.chapter("The stage")
	box, err := sandbox.Start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		n.say("Stopping everything.")
		if failed := box.Close(); failed != nil {
			err = fmt.Errorf("not everything could be stopped: %w", failed)
			return
		}
		n.say("Nothing is left running, and %s is gone.", box.Dir)
	}()
	n.say("The sandbox is AWS at %s; its folder is %s.", box.URL(), box.Dir)
	client := filepath.Join(box.Dir, "sym")
	d, err := deploy(ctx, n, box, root, client)
	if err != nil {
		return err
	}
	if err := box.InstallSlackApp(ctx, d); err != nil {
		return err
	}
	if err := tell(ctx, n, box, d, client); err != nil {
		return err
	}
	n.say("The story held.")
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	if err := invite(ctx, n, box, d); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// repository answers the folder that go.mod is in.
func repository() (string, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return "", errors.New("this is not the repository's folder: run `make sandbox` there")
	}
	return os.Getwd()
}
