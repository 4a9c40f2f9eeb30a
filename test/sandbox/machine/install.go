package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// manager is a package manager.
type manager struct {
	program string
	// update brings its lists up to date, where it does not do so by itself.
	update, install []string
	asRoot          bool
}

// managers are tried in their order: the first one in PATH is the system's.
var managers = []manager{
	{
		program: "apt-get", asRoot: true, update: []string{"update", "-qq"},
		install: []string{"install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"},
	},
	{program: "dnf", asRoot: true, install: []string{"install", "-y", "-q"}},
	{program: "brew", install: []string{"install", "-q"}},
}

// Ensure sees to it that this machine has what a target of the Makefile needs. It installs what is
// missing, where the system's package manager can and this user may, and says on out what it does.
// Otherwise the error names everything that is missing, and the command that installs it.
func Ensure(ctx context.Context, target string, out io.Writer) error {
	install, err := Plan(ctx, target, out)
	if err != nil {
		return err
	}
	return install()
}

// Plan is the part of [Ensure] that takes no time: it finds out what is missing, refuses what it
// cannot install, and asks for a password where sudo wants one and somebody can type it. What it
// answers does the rest.
func Plan(ctx context.Context, target string, out io.Writer) (install func() error, err error) {
	lacks, err := missing(ctx, target)
	if err != nil || len(lacks) == 0 {
		return func() error { return nil }, err
	}
	m, found := systemManager()
	if !found {
		return nil, refusal(target, lacks, "", "there is no package manager here that it knows. "+
			"Install them as your system does")
	}
	packages, without := packagesOf(lacks, m.program)
	if len(without) > 0 {
		return nil, refusal(target, lacks, m.byHand(packages),
			fmt.Sprintf("no package of %s is known for: %s", m.program, names(without)))
	}
	seconds := 10
	for _, n := range lacks {
		seconds += n.seconds
	}
	fmt.Fprintf(out, "make %s needs what %s installs now, which takes about %d s:\n%s",
		target, m.program, seconds, describe(lacks))
	as, may := m.user(ctx)
	if !may {
		return nil, refusal(target, lacks, m.byHand(packages),
			"this user may not install them without a password")
	}
	return func() error {
		began := time.Now()
		if err := m.run(ctx, as, packages); err != nil {
			return refusal(target, lacks, m.byHand(packages), err.Error())
		}
		if lacks, _ := missing(ctx, target); len(lacks) > 0 {
			return refusal(target, lacks, "", fmt.Sprintf("%s installed %s, and yet they are not found",
				m.program, strings.Join(packages, " ")))
		}
		fmt.Fprintf(out, "%s installed %s in %.0f s.\n", m.program, strings.Join(packages, ", "),
			time.Since(began).Seconds())
		return nil
	}, nil
}

// refusal says what is missing, why it was not installed, and how to install it.
func refusal(target string, lacks []need, byHand, why string) error {
	text := fmt.Sprintf("make %s needs what this machine lacks:\n%sIt could not be installed: %s.",
		target, describe(lacks), why)
	if byHand != "" {
		text += "\nTo install it by hand:\n  " + byHand
	}
	return errors.New(text)
}

// euid is who this process runs as.
var euid = os.Geteuid

func systemManager() (manager, bool) {
	for _, m := range managers {
		if inPath(m.program) {
			return m, true
		}
	}
	return manager{}, false
}

// user answers what a command has to begin with to run as the user that may install packages. A
// sudo that wants a password is used where somebody can type it, and nowhere else.
func (m manager) user(ctx context.Context) (as []string, may bool) {
	if !m.asRoot || euid() == 0 {
		return nil, true
	}
	if !inPath("sudo") {
		return nil, false
	}
	without := []string{"sudo", "-n"}
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
		return without, true
	}
	if !somebodyTypes() {
		return nil, false
	}
	// It asks now, before anything else is printed, and remembers for some minutes.
	ask := exec.CommandContext(ctx, "sudo", "-v")
	ask.Stdin, ask.Stdout, ask.Stderr = os.Stdin, os.Stdout, os.Stderr
	return without, ask.Run() == nil
}

// somebodyTypes answers whether standard input is a terminal. The shell knows on every system.
func somebodyTypes() bool {
	test := exec.Command("sh", "-c", "test -t 0")
	test.Stdin = os.Stdin
	return os.Getenv("CI") == "" && test.Run() == nil
}

// run brings the lists up to date and installs packages. Where the lists cannot be brought up to
// date, as one source of many does not answer, the packages may be there all the same.
func (m manager) run(ctx context.Context, as, packages []string) error {
	var update error
	if m.update != nil {
		update = m.command(ctx, as, m.update)
	}
	if err := m.command(ctx, as, append(append([]string{}, m.install...), packages...)); err != nil {
		return errors.Join(update, err)
	}
	return nil
}

func (m manager) command(ctx context.Context, as, arguments []string) error {
	command := append(append([]string{}, as...), "env", "DEBIAN_FRONTEND=noninteractive", m.program)
	command = append(command, arguments...)
	c := exec.CommandContext(ctx, command[0], command[1:]...) // #nosec G204 -- a package manager, with names from this package
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = 10 * time.Second
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s failed (%w): %s", m.program, arguments[0], err, end(said.String(), 400))
	}
	return nil
}

// byHand is the command for somebody to type.
func (m manager) byHand(packages []string) string {
	sudo := ""
	if m.asRoot && euid() != 0 {
		sudo = "sudo "
	}
	install := sudo + m.program + " install " + strings.Join(packages, " ")
	if m.update == nil {
		return install
	}
	return sudo + m.program + " update && " + install
}

// end is the end of a text.
func end(text string, length int) string {
	text = strings.TrimSpace(text)
	if len(text) > length {
		return "…" + strings.ToValidUTF8(text[len(text)-length:], "")
	}
	return text
}
