package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// cache answers a folder for what this package installs. It outlives a run.
// Until unlock is called no other process uses it, so that two that start at
// once do not install the same thing into each other.
func cache(name string) (dir string, unlock func(), err error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", nil, fmt.Errorf("there is no folder for what is installed: %w", err)
	}
	return cacheIn(base, name)
}

// cacheIn is cache below a folder of the caller's choice.
func cacheIn(base, name string) (dir string, unlock func(), err error) {
	dir = filepath.Join(base, "sym-postgres-quickstart", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		_ = lock.Close()
		return "", nil, fmt.Errorf("%s cannot be locked: %w", dir, err)
	}
	return dir, func() { _ = lock.Close() }, nil
}
