package pgserver

import "syscall"

// dieWithParent has the kernel send an immediate shutdown when this process is gone.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
