package machine

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// Postgres is a PostgreSQL server found on this machine.
type Postgres struct {
	// Major is the version, such as 18.
	Major int
	// Binaries is the folder of initdb and postgres.
	Binaries string
}

// PostgresServers finds the servers on this machine, one for each major version, newest first:
// in the folders named by POSTGRES_BINARIES (a list like PATH), in PATH, and where Debian,
// Red Hat, Homebrew and Postgres.app put them.
func PostgresServers() []Postgres {
	folders := filepath.SplitList(os.Getenv("POSTGRES_BINARIES"))
	if server, err := exec.LookPath("postgres"); err == nil {
		// Other programs stand beside it in PATH only by links to the real folder.
		if real, err := filepath.EvalSymlinks(server); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern) // The patterns are well-formed.
		folders = append(folders, found...)
	}

	var installed []Postgres
	for _, folder := range folders {
		// #nosec G703 -- the caller's own environment says where to look
		if _, err := os.Stat(filepath.Join(folder, "initdb")); err != nil {
			continue
		}
		major, err := PostgresVersion(folder)
		known := slices.ContainsFunc(installed, func(i Postgres) bool {
			return i.Major == major
		})
		if err == nil && !known {
			installed = append(installed, Postgres{Major: major, Binaries: folder})
		}
	}
	slices.SortFunc(installed, func(a, b Postgres) int { return cmp.Compare(b.Major, a.Major) })
	return installed
}

// PostgresVersion answers the major version of the server in a folder of binaries.
func PostgresVersion(binaries string) (int, error) {
	output, err := exec.Command(filepath.Join(binaries, "postgres"), "--version").Output() // #nosec G702 G204 -- a server that was found on this machine
	if err != nil {
		return 0, fmt.Errorf("there is no PostgreSQL server in %s: %w", binaries, err)
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", or "18beta1" before a release.
	_, rest, _ := bytes.Cut(output, []byte("(PostgreSQL) "))
	digits := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits <= 0 {
		return 0, fmt.Errorf("the version %q of PostgreSQL in %s is strange", output, binaries)
	}
	return strconv.Atoi(string(rest[:digits]))
}
