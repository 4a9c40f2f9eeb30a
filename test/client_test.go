package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
)

// client is the command-line client, built once for a deployment.
func (w *world) client(t *testing.T) string {
	t.Helper()
	w.buildClient.Do(func() {
		path := filepath.Join(w.box.Dir, "sym")
		c := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../functions/sym")
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		w.clientPath = path
	})
	require.NotEmpty(t, w.clientPath)
	return w.clientPath
}

// sym runs the client as somebody, and answers what it printed and how it ended.
func (w *world) sym(t *testing.T, who sandbox.Person, arguments ...string) (out, errors string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, w.client(t), arguments...)
	c.Env = []string{
		"HOME=" + t.TempDir(), "PATH=/nowhere", "SYM_API=" + w.deployment.APIEndpoint,
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + who.Keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + who.Keys.SecretAccessKey,
		"AWS_SESSION_TOKEN=" + who.Keys.SessionToken,
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	require.NoError(t, ctx.Err(), "%s", stderr.String())
	if exit, ok := asExit(err); ok {
		return stdout.String(), stderr.String(), exit.ExitCode()
	}
	require.NoError(t, err)
	return stdout.String(), stderr.String(), 0
}

func asExit(err error) (*exec.ExitError, bool) { return errors.AsType[*exec.ExitError](err) }

func inTerminal(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	bob := w.approver(t)

	out, stderr, code := w.sym(t, e.Person, "request", "readonly", "--duration", longEnough.String(),
		"--flow", w.deployment.Flow, "--reason", "Order 3 was charged twice", "--json")
	require.Zero(t, code, stderr)
	var r sandbox.Request
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	require.Equal(t, "requested", r.State)

	// What a script goes by is the exit code.
	_, stderr, code = w.sym(t, e.Person, "approve", r.ID)
	require.Equal(t, 3, code, "one's own is refused")
	require.Contains(t, stderr, "You asked for this access yourself")
	_, _, code = w.sym(t, e.Person, "show", "no-such-request")
	require.Equal(t, 4, code)
	_, _, code = w.sym(t, e.Person, "wait", r.ID, "--timeout", "1s")
	require.Equal(t, 7, code, "nobody has approved yet")

	// Somebody approves, and whoever waits is told.
	_, stderr, code = w.sym(t, bob, "approve", r.ID)
	require.Zero(t, code, stderr)
	_, stderr, code = w.sym(t, e.Person, "wait", r.ID)
	require.Zero(t, code, stderr)
	e.canRead(t, session)
	out, _, code = w.sym(t, bob, "list", "--state", "active")
	require.Zero(t, code)
	require.Contains(t, out, e.Email)
	held := time.Now()

	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)
	_, _, code = w.sym(t, bob, "deny", r.ID)
	require.Equal(t, 5, code, "it is too late")
	_, _, code = w.sym(t, e.Person, "wait", r.ID)
	require.Equal(t, 6, code, "it has ended")

	// The whole story, and who held what at that moment.
	out, _, code = w.sym(t, e.Person, "show", r.ID)
	require.Zero(t, code)
	for _, word := range []string{e.Email, "Order 3 was charged twice", approver, "expiry", "done"} {
		require.Contains(t, out, word)
	}
	out, stderr, code = w.sym(t, bob, "list", "--held-at", held.UTC().Format(time.RFC3339))
	require.Zero(t, code, stderr)
	require.Contains(t, out, e.Email)
}
