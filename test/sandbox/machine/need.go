// Package machine knows what the Makefile's targets need of this machine, finds it, and has the
// system's package manager install what is missing.
//
// It is built before anything else, on a machine without any compiled package: it uses little of
// the standard library and nothing beside it.
package machine

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// need is a program that a target needs and that the system's package manager has.
type need struct {
	name string
	// use says what it is needed for.
	use string
	// found answers whether it is on this machine.
	found func(context.Context) bool
	// packages has the names of its packages, by package manager.
	packages map[string]string
	// seconds is about how long its installation takes.
	seconds int
}

var (
	python = need{
		name: "Python 3 with venv", use: "runs moto, which stands in for AWS", seconds: 10,
		found: func(ctx context.Context) bool { return hasVenv(ctx) || Moto(ctx) != "" },
		packages: map[string]string{
			"apt-get": "python3 python3-venv", "dnf": "python3", "brew": "python",
		},
	}
	postgres = need{
		name: "PostgreSQL", use: "is the example database", seconds: 20,
		found: func(context.Context) bool { return len(PostgresServers()) > 0 },
		packages: map[string]string{
			"apt-get": "postgresql", "dnf": "postgresql-server", "brew": "postgresql@17",
		},
	}
	psql = need{
		name: "psql and pg_dump", use: "run setup.sql as an administrator does", seconds: 5,
		found: func(context.Context) bool { return inPath("psql") && inPath("pg_dump") },
		packages: map[string]string{
			"apt-get": "postgresql-client", "dnf": "postgresql", "brew": "libpq",
		},
	}
	chromium = need{
		name: "Chromium", use: "looks at the page of Slack's stand-in", seconds: 60,
		found: func(context.Context) bool { return Browser() != "" },
		packages: map[string]string{
			"apt-get": "chromium", "dnf": "chromium", "brew": "--cask google-chrome",
		},
	}
	npm = need{
		name: "npm", use: "brings the other versions of PostgreSQL", seconds: 90,
		found: func(context.Context) bool { return inPath("npm") || packagedServersInstalled() },
		packages: map[string]string{
			"apt-get": "npm", "dnf": "nodejs-npm", "brew": "node",
		},
	}
	ps = need{
		name: "ps", use: "shows the suites that processes have ended", seconds: 5,
		found:    func(context.Context) bool { return inPath("ps") },
		packages: map[string]string{"apt-get": "procps", "dnf": "procps-ng"},
	}
	shellcheck = need{
		name: "shellcheck", use: "checks the shell scripts", seconds: 5,
		found: func(context.Context) bool { return inPath("shellcheck") },
		packages: map[string]string{
			"apt-get": "shellcheck", "dnf": "ShellCheck", "brew": "shellcheck",
		},
	}
)

// needs has what each target of the Makefile needs beside Go and make.
var needs = map[string][]need{
	"sandbox": {python, postgres},
	"test":    {python, postgres, psql, chromium, npm, ps},
	"lint":    {shellcheck},
	"bench":   {postgres},
}

// missing answers what a target needs and this machine lacks.
func missing(ctx context.Context, target string) ([]need, error) {
	list, ok := needs[target]
	if !ok {
		return nil, fmt.Errorf("nothing is known of the target %q", target)
	}
	var lacks []need
	for _, n := range list {
		if !n.found(ctx) {
			lacks = append(lacks, n)
		}
	}
	return lacks, nil
}

func inPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// describe lists needs, one a line.
func describe(list []need) string {
	var text strings.Builder
	for _, n := range list {
		fmt.Fprintf(&text, "  %-19s %s\n", n.name, n.use)
	}
	return text.String()
}

func names(list []need) string {
	var all []string
	for _, n := range list {
		all = append(all, n.name)
	}
	return strings.Join(all, ", ")
}

// packagesOf answers the packages of a manager that have all of a list, and the needs that it has
// no package for.
func packagesOf(list []need, manager string) (packages []string, without []need) {
	for _, n := range list {
		if names := n.packages[manager]; names != "" {
			packages = append(packages, strings.Fields(names)...)
		} else {
			without = append(without, n)
		}
	}
	return packages, without
}

// packagedServersInstalled answers whether the suites need npm no more, since all of the versions
// that it brings are here.
func packagedServersInstalled() bool {
	wanted, err := WantedServers()
	if err != nil {
		return true // The suites say what is wrong with POSTGRES_VERSIONS.
	}
	here := map[int]bool{}
	for _, server := range PostgresServers() {
		here[server.Major] = true
	}
	for _, major := range wanted {
		release, known := PackagedServers[major]
		if here[major] || !known {
			continue
		}
		dir, err := ServerCache("postgres-" + release)
		if err != nil || !exists(filepath.Join(dir, "done")) {
			return false
		}
	}
	return true
}
