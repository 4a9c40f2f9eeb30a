package tools

import (
	"fmt"
	"os"
	"syscall"

	"sym-postgres-quickstart/test/sandbox/machine"
)

// lock makes a folder for what this package installs, and keeps other processes out of it until
// unlock is called, so that two that start at once do not install the same thing into each other.
func lock(dir string) (unlock func(), err error) {
	// #nosec G301 -- servers in it run as another user
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- in the user's own cache
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s cannot be locked: %w", dir, err)
	}
	return func() { _ = file.Close() }, nil
}

// cache answers a folder of [machine.Cache], locked.
func cache(name string) (dir string, unlock func(), err error) {
	if dir, err = machine.Cache(name); err == nil {
		unlock, err = lock(dir)
	}
	return dir, unlock, err
}

// serverCache answers a folder of [machine.ServerCache], locked.
func serverCache(name string) (dir string, unlock func(), err error) {
	if dir, err = machine.ServerCache(name); err == nil {
		unlock, err = lock(dir)
	}
	return dir, unlock, err
}
