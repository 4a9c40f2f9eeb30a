package lambdaruntime

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// setProcessGroup makes a process the first of its own group, which ends with
// the sandbox even if the sandbox is killed.
func setProcessGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killProcessGroup(c *exec.Cmd) {
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
}

// residentMiB is how much memory the process holds now, in MiB.
func (i *instance) residentMiB() int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", i.process.Process.Pid))
	fields := bytes.Fields(data)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(string(fields[1]))
	return pages * os.Getpagesize() >> 20
}
