package process

import "syscall"

func endWithParent(attributes *syscall.SysProcAttr, last syscall.Signal) { attributes.Pdeathsig = last }
