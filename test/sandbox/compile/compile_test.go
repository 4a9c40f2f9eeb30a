package compile

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// module makes a module with a program, a package and its test.
func module(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":      "module example\n\ngo 1.26\n",
		"main.go":     "package main\n\nimport \"example/inner\"\n\nfunc main() { inner.Do() }\n",
		"inner/do.go": text,
		"inner/do_test.go": "package inner\n\nimport \"testing\"\n\n" +
			"func TestDo(t *testing.T) { Do() }\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	t.Chdir(dir)
	// How long it took is remembered elsewhere; what is compiled stays where it is.
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

func TestAheadCompilesOnceAndSaysHowFarItIs(t *testing.T) {
	// A package that nobody has compiled yet.
	module(t, "package inner\n\nfunc Do() string { return \""+rand.Text()+"\" }\n")
	var told []string
	tell := func(text string) { told = append(told, text) }
	require.NoError(t, Ahead(t.Context(), "example", tell, "./..."))
	require.NotEmpty(t, told)
	assert.Regexp(t, `^Compiling: 0 of \d+ packages`, told[0])
	assert.Regexp(t, `^Packages compiled: \d+, in \d+ s\.$`, told[len(told)-1])

	// What is compiled is not compiled again, and there is nothing to tell.
	told = nil
	require.NoError(t, Ahead(t.Context(), "example", tell, "./..."))
	assert.Empty(t, told)

	// The tests are packages of their own.
	require.NoError(t, Ahead(t.Context(), "example", tell, "-test", "./..."))
	assert.NotEmpty(t, told)
	told = nil
	require.NoError(t, Ahead(t.Context(), "example", tell, "-test", "./..."))
	assert.Empty(t, told)
}

func TestAheadSaysWhatDoesNotCompile(t *testing.T) {
	module(t, "package inner\n\nfunc Do() { undefined() }\n")
	err := Ahead(t.Context(), "example", func(string) {}, "./...")
	require.ErrorContains(t, err, "undefined: undefined")
	require.ErrorContains(t, err, "do.go:3")
}
