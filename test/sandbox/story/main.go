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
	"time"

	"golang.org/x/term"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/slack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, newNarrator(os.Stdout))
	switch {
	case errors.Is(err, context.Canceled):
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
	// Terraform mostly waits, so there is time to build meanwhile.
	built := make(chan error, 1)
	client := filepath.Join(box.Dir, "sym")
	d, err := deploy(ctx, n, box, root, func() { go func() { built <- buildClient(ctx, root, client) }() })
	if err != nil {
		return err
	}
	if err := <-built; err != nil {
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

// rules make it worth while to ask for the other role by hand: two approve what can write, and
// Alice may break the glass.
const rules = `{
  readwrite = {
    approvals   = 2
    break_glass = { people = ["` + asks + `"], max_duration_seconds = 300 }
  }
}`

// deploy builds the functions and applies environments/sandbox. It calls meanwhile once the
// apply begins.
func deploy(ctx context.Context, n *narrator, box *sandbox.Sandbox, root string, meanwhile func()) (
	sandbox.Deployment, error,
) {
	n.say("Building the functions for this machine.")
	packages, architecture, err := box.Build(ctx, root)
	if err != nil {
		return sandbox.Deployment{}, fmt.Errorf("the functions were not built: %w", err)
	}
	dir, err := box.Workspace(root, "sandbox")
	if err != nil {
		return sandbox.Deployment{}, err
	}
	work := box.Workdir(dir, map[string]string{
		"package_dir": packages, "architecture": architecture,
		"slack_workspace_id": slack.Workspace, "rules": rules,
	})
	n.say("terraform apply environments/sandbox. An Aurora cluster and its instance take\n" +
		"a minute, since the AWS provider waits 30 seconds for each, wherever it is.")
	meanwhile()
	began := time.Now()
	var last time.Time
	var reached sandbox.Progress
	err = work.Apply(ctx, func(p sandbox.Progress) {
		reached = p
		if n.live || time.Since(last) > 10*time.Second {
			last = time.Now()
			n.progress("%d of %d resources", p.Done, p.Total)
		}
	})
	if err != nil {
		return sandbox.Deployment{}, err
	}
	n.say("Applied %d resources in %.0f s.", reached.Total, time.Since(began).Seconds())
	return work.Deployment(ctx)
}

// repository answers the folder that go.mod is in.
func repository() (string, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return "", errors.New("this is not the repository's folder: run `make sandbox` there")
	}
	return os.Getwd()
}
