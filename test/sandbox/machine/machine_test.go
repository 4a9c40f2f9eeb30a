package machine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bare makes a machine that has the shell, and the programs that are given as scripts.
func bare(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"sh", "env", "touch", "chmod", "sleep"} {
		for _, from := range []string{"/bin", "/usr/bin"} {
			if exists(filepath.Join(from, name)) {
				require.NoError(t, os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)))
				break
			}
		}
	}
	for name, script := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name),
			[]byte("#!/bin/sh\necho \"$0 $*\" >> "+dir+"/asked\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return dir
}

func asked(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "asked"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return strings.ReplaceAll(string(text), dir+"/", "")
}

func as(t *testing.T, user int) {
	t.Helper()
	before := euid
	euid = func() int { return user }
	t.Cleanup(func() { euid = before })
}

func TestWhatIsMissingIsInstalledOnce(t *testing.T) {
	as(t, 0)
	dir := bare(t, map[string]string{"apt-get": `
		[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
		if [ "$1" = install ]; then touch "${0%/*}/shellcheck"; chmod +x "${0%/*}/shellcheck"; fi`})
	var out bytes.Buffer
	require.NoError(t, Ensure(t.Context(), "lint", &out))
	assert.Contains(t, out.String(), "make lint needs what apt-get installs now, which takes about")
	assert.Regexp(t, "shellcheck +checks the shell scripts", out.String())
	assert.Contains(t, out.String(), "apt-get installed shellcheck in")
	assert.Contains(t, asked(t, dir), "apt-get update -qq\napt-get install -y")

	out.Reset()
	require.NoError(t, os.Remove(filepath.Join(dir, "asked")))
	require.NoError(t, Ensure(t.Context(), "lint", &out))
	assert.Empty(t, out.String())
	assert.Empty(t, asked(t, dir))
}

func TestEverythingThatIsMissingIsNamedAtOnce(t *testing.T) {
	as(t, 1000)
	for name, programs := range map[string]map[string]string{
		"no sudo":               {"apt-get": "exit 1"},
		"a sudo that would ask": {"apt-get": "exit 1", "sudo": `[ "$1" = -n ] && exit 1; sleep 1000`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bare(t, programs)
			// Nobody is at this terminal, or there is none.
			t.Setenv("CI", "true")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := Plan(ctx, "test", &bytes.Buffer{})
			require.ErrorContains(t, err, "this user may not install them without a password")
			for _, missing := range []string{
				"Python 3", "psql and pg_dump", "Chromium", "ps ",
				"sudo apt-get update && sudo apt-get install ", "python3-venv", "postgresql-client", "chromium", "procps",
			} {
				assert.ErrorContains(t, err, missing)
			}
			assert.NotContains(t, asked(t, dir), "apt-get")
		})
	}
}

func TestWhatCannotBeInstalledIsSaid(t *testing.T) {
	as(t, 0)
	t.Run("there is no package manager", func(t *testing.T) {
		bare(t, nil)
		err := Ensure(t.Context(), "lint", &bytes.Buffer{})
		require.ErrorContains(t, err, "no package manager")
		require.ErrorContains(t, err, "shellcheck")
	})
	t.Run("it fails", func(t *testing.T) {
		bare(t, map[string]string{"apt-get": "echo 'E: Unable to locate package shellcheck'; exit 100"})
		err := Ensure(t.Context(), "lint", &bytes.Buffer{})
		require.ErrorContains(t, err, "E: Unable to locate package shellcheck")
		require.ErrorContains(t, err, "To install it by hand:\n  apt-get update && apt-get install shellcheck")
	})
	t.Run("it says that it did, and did not", func(t *testing.T) {
		bare(t, map[string]string{"dnf": "exit 0"})
		err := Ensure(t.Context(), "lint", &bytes.Buffer{})
		require.ErrorContains(t, err, "dnf installed ShellCheck, and yet they are not found")
	})
	t.Run("the manager has no such package", func(t *testing.T) {
		bare(t, map[string]string{"brew": "exit 0"})
		_, err := Plan(t.Context(), "test", &bytes.Buffer{})
		require.ErrorContains(t, err, "no package of brew is known for: ps")
	})
	t.Run("nobody knows the target", func(t *testing.T) {
		require.ErrorContains(t, Ensure(t.Context(), "dance", &bytes.Buffer{}), `"dance"`)
	})
}
