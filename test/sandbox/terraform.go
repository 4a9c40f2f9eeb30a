package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sym-postgres-quickstart/test/sandbox/process"
)

// Workdir is a folder in which Terraform deploys to the sandbox.
type Workdir struct {
	Dir     string
	sandbox *Sandbox
	vars    []string
}

// Workdir prepares to deploy the environment in dir, with variables.
func (s *Sandbox) Workdir(dir string, variables map[string]string) *Workdir {
	w := &Workdir{Dir: dir, sandbox: s}
	for name, value := range variables {
		w.vars = append(w.vars, "-var", name+"="+value)
	}
	return w
}

// Progress is how far an apply is.
type Progress struct{ Done, Total int }

var (
	planned  = regexp.MustCompile(`^Plan: (\d+) to add`)
	finished = regexp.MustCompile(`: Creation complete after`)
)

// Init runs terraform init.
func (w *Workdir) Init(ctx context.Context) error {
	_, err := w.run(ctx, nil, "init", "-input=false", "-no-color")
	return err
}

// Apply runs terraform apply, for everything or for the targets and what they need. It tells
// progress of every resource that is done.
func (w *Workdir) Apply(ctx context.Context, progress func(Progress), targets ...string) error {
	arguments := append([]string{"apply", "-auto-approve", "-input=false", "-no-color"}, w.vars...)
	for _, target := range targets {
		arguments = append(arguments, "-target="+target)
	}
	var p Progress
	_, err := w.run(ctx, func(line string) {
		if match := planned.FindStringSubmatch(line); match != nil {
			p.Total, _ = strconv.Atoi(match[1])
			progress(p)
		} else if finished.MatchString(line) {
			p.Done++
			progress(p)
		}
	}, arguments...)
	return err
}

// Deployment reads what was deployed.
func (w *Workdir) Deployment(ctx context.Context) (Deployment, error) {
	out, err := w.run(ctx, nil, "output", "-json", "-no-color")
	if err != nil {
		return Deployment{}, err
	}
	return ReadDeployment(out)
}

func (w *Workdir) run(ctx context.Context, each func(line string), args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, w.sandbox.Terraform, args...) // #nosec G204 -- to run Terraform is what this is for
	c.Dir = w.Dir
	c.Env = w.sandbox.Environ()
	// Asked to stop, Terraform stops its provider, too; killed, it would not.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	failure, err := os.CreateTemp(w.sandbox.Dir, "terraform-*.err")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	defer failure.Close()
	c.Stdout, c.Stderr = writer, failure
	// It holds the reading end itself, too: a pipe that breaks with us would kill
	// it before it has stopped its provider.
	c.ExtraFiles = []*os.File{reader}
	p, err := process.Start(c, syscall.SIGTERM)
	_ = writer.Close()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(reader, &out))
	for {
		line, err := lines.ReadString('\n')
		if each != nil {
			each(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			break
		}
	}
	if err := p.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		said, _ := os.ReadFile(failure.Name())
		return nil, errors.Join(fmt.Errorf("terraform %s failed: %w", args[0], err),
			errors.New(strings.TrimSpace(string(said))))
	}
	return out.Bytes(), nil
}
