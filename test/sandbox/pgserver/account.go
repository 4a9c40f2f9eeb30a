package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the server runs as: nil for the caller's own.
type account struct{ uid, gid int }

// unprivileged finds whom to run as. PostgreSQL refuses to run as root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{uid, gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, " +
		"and there is no user postgres or nobody to run it as")
}

// own makes a folder that only the account can enter.
func (a *account) own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder for PostgreSQL could not be made: %w", err)
	}
	if a == nil {
		return nil
	}
	return os.Chown(dir, a.uid, a.gid)
}

// write makes a file that only the account can read.
func (a *account) write(path, text string) error {
	// #nosec G703 -- in the server's own folder
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("a file of PostgreSQL could not be written: %w", err)
	}
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// run makes a command run as the account.
func (a *account) run(cmd *exec.Cmd, dir, binaries string) {
	cmd.Dir = dir
	// PGPORT and its like, meant for the caller's clients, would change the server.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PG")
	}), "LC_ALL=C")
	// Relocated binaries bring their libraries along.
	libraries := filepath.Join(filepath.Dir(binaries), "lib")
	if found, _ := filepath.Glob(filepath.Join(libraries, "libpq.so*")); len(found) > 0 {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	if a != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}, // #nosec G115 -- ids of users are not negative
		}
	}
}
