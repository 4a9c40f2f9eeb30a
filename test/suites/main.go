// Command suites runs every suite of the repository in parts, one after another, and says at the
// end how long each part took.
//
//	go run ./test/suites
//
// The suite that deploys the whole runs last and by itself. It keeps the world's own deadlines,
// such as Slack's three seconds, and must not share the processors with another suite.
// `go test ./...` runs the same tests, all of them beside each other.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// deployed is the package of the suite that runs by itself.
const deployed = "sym-postgres-quickstart/test"

// part is one step of the whole.
type part struct {
	name string
	run  func(context.Context) error
	// needed says that the parts that follow cannot run without this one.
	needed bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runParts(ctx, []part{
		{name: "prepare", run: prepare, needed: true},
		{name: "suites", run: testAllButDeployed},
		{name: "deployed", run: testDeployed},
	}); err != nil {
		os.Exit(1)
	}
}

// runParts runs the parts in their order, and prints how each ended and how long it took. A part
// that fails does not keep the next ones from running, unless they need it.
func runParts(ctx context.Context, parts []part) error {
	var failed error
	var summary strings.Builder
	for _, p := range parts {
		began := time.Now()
		err := p.run(ctx)
		ended := "passed"
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			ended = "FAILED"
			failed = errors.Join(failed, err)
		}
		fmt.Fprintf(&summary, "  %-9s %5.0f s  %s\n", p.name, time.Since(began).Seconds(), ended)
		if err != nil && p.needed || ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\nHow long each part took:\n%s", summary.String())
	return failed
}

func testAllButDeployed(ctx context.Context) error {
	packages, err := allButDeployed(ctx)
	if err != nil {
		return err
	}
	fmt.Println("Each package reports when it is done.")
	return test(ctx, packages...)
}

func testDeployed(ctx context.Context) error {
	fmt.Println("The suite that deploys everything takes minutes, and reports at the end.")
	// What it deploys is built from source that the test program is not compiled from: a result from
	// before may be another source's.
	return test(ctx, "-count=1", deployed)
}

func test(ctx context.Context, arguments ...string) error {
	return goCommand(ctx, os.Stdout, append([]string{"test", "-timeout", "40m", "-parallel", "8"}, arguments...)...)
}

// allButDeployed lists the packages of this module but for the deployed suite.
func allButDeployed(ctx context.Context) ([]string, error) {
	var out bytes.Buffer
	if err := goCommand(ctx, &out, "list", "./..."); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Fields(out.String()), func(name string) bool {
		return name == deployed
	}), nil
}

// goCommand runs the go command. Interrupted, it lets the command stop what it has started.
func goCommand(ctx context.Context, out interface{ Write([]byte) (int, error) }, arguments ...string) error {
	c := exec.CommandContext(ctx, "go", arguments...) // #nosec G204 -- the arguments are ours
	c.Stdout, c.Stderr = out, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = time.Minute
	if err := c.Run(); err != nil {
		return fmt.Errorf("go %s: %w", arguments[0], err)
	}
	return nil
}
