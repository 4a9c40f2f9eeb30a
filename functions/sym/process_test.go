package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/tools"
)

// process is the program as a process of its own.
func (w *world) process(person, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	w.signIn(person)
	self, err := os.Executable()
	require.NoError(w.t, err)
	command := exec.CommandContext(w.t.Context(), self, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), runsMain+"=1")
	var errs bytes.Buffer
	command.Stderr = &errs
	return command, &errs
}

// TestProcess runs the whole program: its exit code, its pipes, and where it finds the API.
func TestProcess(t *testing.T) {
	w := newWorld(t)
	command, _ := w.process("alice", "", "flows")
	out, err := command.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "postgres-readonly")
	assert.NotContains(t, string(out), "\x1b")

	command, errs := w.process("alice", "", "show", "gone")
	assert.Error(t, command.Run())
	assert.Equal(t, exitNotFound, command.ProcessState.ExitCode())
	assert.Contains(t, errs.String(), "(not_found)")
}

// TestProcessFindsTheAPI asks Terraform where the API is, in the folder that one names or is in.
func TestProcessFindsTheAPI(t *testing.T) {
	w := newWorld(t)
	terraform, err := tools.Terraform(t.Context())
	require.NoError(t, err)
	t.Setenv("PATH", filepath.Dir(terraform)+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("SYM_API", "")
	t.Setenv("AWS_REGION", "")
	dir, empty := t.TempDir(), t.TempDir()
	state := `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{` +
		`"api_endpoint":{"value":"` + w.URL + `","type":"string"},` +
		`"region":{"value":"` + region + `","type":"string"}},"resources":[]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "terraform.tfstate"), []byte(state), 0o600))

	run := func(in string, args ...string) (int, string) {
		t.Helper()
		command, errs := w.process("alice", in, append([]string{"flows"}, args...)...)
		out, _ := command.Output() // the exit code says it
		return command.ProcessState.ExitCode(), string(out) + errs.String()
	}
	for name, test := range map[string]struct {
		in   string
		args []string
		dir  string
	}{
		"the current folder": {in: dir},
		"--dir":              {in: empty, args: []string{"--dir", dir}},
		"SYM_DIR":            {in: empty, dir: dir},
		"--dir first":        {in: empty, args: []string{"--dir", dir}, dir: empty},
		"SYM_DIR first":      {in: dir, dir: dir},
	} {
		t.Setenv("SYM_DIR", test.dir)
		code, said := run(test.in, test.args...)
		assert.Equal(t, exitOK, code, "%s: %s", name, said)
	}
	t.Setenv("SYM_DIR", "")
	code, said := run(empty)
	assert.Equal(t, exitFailure, code)
	assert.Contains(t, said, "it is not known where the API is: ")

	require.NoError(t, os.WriteFile(filepath.Join(empty, "main.tf"), nil, 0o600))
	code, said = run(empty)
	assert.Equal(t, exitFailure, code)
	assert.Contains(t, said, "has no outputs yet")
	assert.Contains(t, said, "or give the address with --api or SYM_API.")
}

// TestProcessStopped stops it by the signal that Ctrl-C sends.
func TestProcessStopped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals are sent otherwise there")
	}
	w := newWorld(t)
	id := w.asked()
	asked := make(chan struct{}, 1)
	w.answer(func(http.ResponseWriter, *http.Request) bool {
		select {
		case asked <- struct{}{}:
		default:
		}
		return false
	})
	command, errs := w.process("alice", "", "wait", id)
	require.NoError(t, command.Start())
	<-asked
	require.NoError(t, command.Process.Signal(os.Interrupt))
	assert.Error(t, command.Wait())
	assert.Equal(t, exitInterrupted, command.ProcessState.ExitCode())
	assert.NotContains(t, errs.String(), "panic")
	assert.True(t, strings.HasSuffix(errs.String(), ".\n"), errs.String())
}
