// Package process starts programs that end with this one, however it ends.
package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a running program, the first of a process group of its own.
type Process struct {
	command *exec.Cmd
	exited  chan struct{}
	err     error
}

// Start starts a program. A Ctrl-C at this process's terminal does not reach
// it. On Linux it gets the signal last when this process is gone; elsewhere
// nothing offers that.
func Start(command *exec.Cmd, last syscall.Signal) (*Process, error) {
	p := &Process{command: command, exited: make(chan struct{})}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	endWithParent(command.SysProcAttr, last)
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that started the program
		// ends, not when its process does: the thread has to stay.
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			p.err = command.Wait()
		}
		close(p.exited)
	}()
	return p, <-started
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits until the program has ended, and answers how, as [exec.Cmd.Wait]
// does.
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}

// PID is the program's process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Signal sends the program a signal. One that has ended gets none, which is an
// error.
func (p *Process) Signal(signal syscall.Signal) error { return p.command.Process.Signal(signal) }

// Kill ends the program and all that it has started, and waits until it has
// ended.
func (p *Process) Kill() {
	// It may have ended by itself.
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.exited
}
