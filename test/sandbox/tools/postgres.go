package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// Postgres makes sure that a PostgreSQL server is on this machine. It asks the
// system's package manager for one if there is none.
func Postgres(ctx context.Context) error {
	if len(pgserver.Installed()) > 0 {
		return nil
	}
	commands := [][]string{}
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		commands = [][]string{{"apt-get", "update"}, {"apt-get", "install", "-y", "postgresql"}}
	} else if _, err := exec.LookPath("brew"); err == nil {
		commands = [][]string{{"brew", "install", "postgresql@17"}}
	}
	for _, command := range commands {
		c := exec.CommandContext(ctx, command[0], command[1:]...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("PostgreSQL could not be installed: %s: %w: %.300s",
				strings.Join(command, " "), err, out)
		}
	}
	if len(pgserver.Installed()) == 0 {
		return fmt.Errorf("no PostgreSQL server is on this machine: install one " +
			"(Debian: sudo apt-get install postgresql; macOS: brew install postgresql@17)")
	}
	return nil
}
