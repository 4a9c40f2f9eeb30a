// Package compile compiles Go packages ahead of what needs them, and says how far it is.
package compile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"sym-postgres-quickstart/test/sandbox/progress"
)

// Ahead compiles packages and all that they import into Go's cache, so that nothing that builds or
// tests them afterwards compiles. The arguments are those of `go list`: patterns, and -test where
// the packages' tests are to be compiled as well. It tells how far it is at most every few seconds,
// and nothing where all is compiled. The name is what the work is remembered by.
func Ahead(ctx context.Context, name string, tell func(string), arguments ...string) error {
	total, err := Stale(ctx, arguments...)
	if err != nil || total == 0 {
		return err
	}
	work := progress.Begin("compile-"+name, "packages compiled", total).Steady()
	tell("Compiling: " + work.String())
	var failed bytes.Buffer
	export := command(ctx, append([]string{"list", "-export", "-v", "-deps", "-f", ""}, arguments...))
	reader, writer := io.Pipe()
	export.Stderr = writer
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		count(reader, work, tell, &failed)
	}()
	err = export.Run()
	_ = writer.Close()
	<-counted
	if err != nil {
		return fmt.Errorf("not everything compiles (%w): %s", err, &failed)
	}
	tell(fmt.Sprintf("Packages compiled: %d, in %.0f s.", total, work.End().Seconds()))
	return nil
}

// count counts the packages that the go command names when it begins with them, and keeps the
// other lines, which are errors.
func count(lines io.Reader, work *progress.Work, tell func(string), other io.Writer) {
	told := time.Now()
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		line := scanner.Text()
		name, _, _ := strings.Cut(line, " [")
		switch {
		case strings.ContainsAny(name, " :#\t") || name == "":
			fmt.Fprintln(other, line)
		case !isTestMain(name):
			if far := work.Step(); time.Since(told) > interval {
				told = time.Now()
				tell("Compiling: " + far)
			}
		}
	}
	_, _ = io.Copy(other, lines) // Whatever cannot be read as lines.
}

// interval is how often progress is told.
const interval = 5 * time.Second

// Stale counts the packages that are not compiled yet, named as for [Ahead].
func Stale(ctx context.Context, arguments ...string) (total int, err error) {
	var out, failed bytes.Buffer
	list := command(ctx, append([]string{"list", "-deps", "-f",
		"{{if .Stale}}{{.ImportPath}}\t{{.StaleReason}}{{end}}"}, arguments...))
	list.Stdout, list.Stderr = &out, &failed
	if err := list.Run(); err != nil {
		return 0, fmt.Errorf("the packages cannot be listed (%w): %s", err, &failed)
	}
	for line := range strings.Lines(out.String()) {
		// Programs are compiled, and not installed; a test's own main package is never kept.
		name, reason, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name != "" && !isTestMain(name) && !strings.HasPrefix(reason, "not installed but") {
			total++
		}
	}
	return total, nil
}

func isTestMain(name string) bool { return strings.HasSuffix(name, ".test") }

// command runs the go command; interrupted, it may remove its temporary files.
func command(ctx context.Context, arguments []string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", arguments...) // #nosec G204 -- the arguments are ours
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	return c
}
