//go:build unix && !linux

package lambdaruntime

import (
	"os/exec"
	"syscall"
)

// setProcessGroup makes a process the first of its own group. If the sandbox is
// killed the process ends by itself, since its Runtime API is gone.
func setProcessGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func killProcessGroup(c *exec.Cmd) {
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
}

// residentMiB is not known here, so the memory limit is not enforced.
func (i *instance) residentMiB() int { return 0 }
