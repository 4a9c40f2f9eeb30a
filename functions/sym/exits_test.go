package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// TestUsage has everything that is refused before anybody is asked.
func TestUsage(t *testing.T) {
	w := newWorld(t)
	const some = "00000000-0000-4000-8000-000000000001"
	for line, want := range map[string]string{
		"ask":                                     `there is no command "ask"`,
		"help ask":                                `there is no command "ask"`,
		"show":                                    "the ID is missing",
		"show a b":                                `it takes one ID, and there are more: "b"`,
		"show ../flows":                           `"../flows" is not the id of a request`,
		"approve -- -1 x":                         `there are more: "x"`,
		"flows now":                               `it takes no argument, and there is "now"`,
		"list --foo":                              "there is no flag --foo",
		"list --limit x":                          `invalid value "x" for --limit: write a whole number`,
		"list --limit 0":                          "--limit has to be a whole number above zero",
		"list --limit 1 --all":                    "not both",
		"list --mine --requester a@example.com":   "not both",
		"list --state=":                           "--state is empty",
		"list --held-at=":                         "--held-at is empty",
		"list --held-at yesterday":                `"yesterday" is not a moment`,
		"list --api http://a --dir b":             "give --api or --dir, not both",
		"list --api ftp://example.com":            "is not the address of an API",
		"list --api http://example.com":           "is not encrypted: write https://",
		"list --api https://a:b@example.com":      "more than a host and a path",
		"request readonly":                        "--reason is missing",
		"request readonly --reason=":              "--reason is missing",
		"request --reason x":                      "the TARGET is missing",
		"request a --reason":                      "a value is missing after --reason",
		"request a --reason x --duration 30":      "write it like 30m or 1h30m",
		"request a --reason x --duration 0s":      "--duration has to be whole seconds above zero",
		"request a --reason x --duration 1.5s":    "--duration has to be whole seconds above zero",
		"request a --reason x --timeout 1m":       "--timeout is of use with --wait only",
		"extend " + some + " --timeout 1m":        "--timeout is of use with --wait only",
		"wait " + some + " --until approved":      "--until has to be active or done",
		"wait " + some + " --timeout 0s":          "--timeout has to be whole seconds above zero",
		"approve " + some + " --reason a --foo x": "there is no flag --foo",
		"assign":                              "the USER is missing",
		"assign alice":                        "the EMAIL is missing",
		"assign a b c":                        `it takes one USER and one EMAIL, and there are more: "c"`,
		"assign alice alice":                  `"alice" is not an e-mail address`,
		"assign alice \u0430lice@example.com": "is not an e-mail address",
		"assign --api x alice a@example.com":  "there is no flag --api",
	} {
		r := w.sym("alice", strings.Fields(line)...)
		assert.Equal(t, exitUsage, r.code, line)
		assert.Contains(t, r.err, want, line)
		assert.Regexp(t, `^sym: .*\.\n$`, r.err, line)
		assert.Empty(t, r.out, line)
	}
	assert.Empty(t, w.calls, "nobody was asked")
}

// TestHelp helps: every command, and each one's flags.
func TestHelp(t *testing.T) {
	w := newWorld(t)
	overview := w.sym("alice", "help")
	assert.Equal(t, exitOK, overview.code)
	for _, c := range commands() {
		assert.Contains(t, overview.out, "  sym "+c.name)
		for _, args := range [][]string{{"help", c.name}, {c.name, "--help"}, {c.name, "-h"}} {
			r := w.sym("alice", args...)
			assert.Equal(t, exitOK, r.code)
			assert.Empty(t, r.err)
			assert.Contains(t, r.out, "sym "+c.name+": "+c.about)
			assert.Equal(t, !c.local, strings.Contains(r.out, "--json"), c.name)
			assert.Contains(t, r.out, "Exit codes\n")
		}
	}
	for line := range strings.Lines(overview.out) {
		assert.LessOrEqual(t, len(line), 101, line)
	}
	for _, flag := range []string{"-h", "--help"} {
		assert.Equal(t, overview, w.sym("alice", flag))
	}
	r := w.sym("alice")
	assert.Equal(t, result{exitUsage, "", overview.out}, r, "nothing was asked for")
	r = w.sym("alice", "version")
	assert.Equal(t, exitOK, r.code)
	assert.Regexp(t, `^sym .*, go1\.\d+.*\n$`, r.out)
}

// TestExitCodes has an end of every kind that the API decides about.
func TestExitCodes(t *testing.T) {
	ask := func(reason string, more ...string) []string {
		return append([]string{"request", "readonly", "--reason", reason}, more...)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a wrong target": {[]string{"request", "gone", "--reason", "x"}, exitUsage,
			"(unknown_target)"},
		"too long":         {ask("x", "--duration", "61m"), exitUsage, "(duration_too_long)"},
		"ten thousand":     {ask(strings.Repeat("x", 10_000)), exitUsage, "(invalid_reason)"},
		"over the limit":   {ask(strings.Repeat("x", 65<<10)), exitUsage, "(body_too_large)"},
		"an odd key":       {ask("x", "--key", "a b"), exitUsage, "(invalid_idempotency_key)"},
		"no such request":  {[]string{"show", "gone"}, exitNotFound, "(not_found)"},
		"no such to wait":  {[]string{"wait", "gone"}, exitNotFound, "(not_found)"},
		"one's own":        {[]string{"approve", "1"}, exitRefused, "(self_approval)"},
		"another's":        {[]string{"extend", "3"}, exitRefused, "(not_your_request)"},
		"not to revoke":    {[]string{"revoke", "1"}, exitConflict, "(not_active)"},
		"a second verdict": {[]string{"deny", "2"}, exitConflict, "(already_decided)"},
		"a wrong state":    {[]string{"list", "--state", "open"}, exitUsage, "(invalid_state)"},
		"a wrong next":     {[]string{"list", "--next", "x"}, exitUsage, "(invalid_next)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.asked()
			second := w.asked()
			require.Equal(t, exitOK, w.sym("bob", "deny", second).code)
			require.Equal(t, exitOK, w.sym("dave", "request", "readonly", "--reason", "x").code)
			if n := strings.Index("123", test.args[1]); n >= 0 {
				test.args = []string{test.args[0], w.id(n + 1)}
			}
			r := w.sym("alice", test.args...)
			assert.Equal(t, test.code, r.code, r.err)
			assert.Contains(t, r.err, test.says)
			assert.Regexp(t, `^sym: [A-Z]`, r.err)
			assert.Empty(t, r.out)
		})
	}
}

// TestFailed makes a request whose workflow cannot be started: that is nobody's mistake.
func TestFailed(t *testing.T) {
	w := newWorld(t)
	w.workflows.SetErrors(errors.New("secret"), nil)
	r := w.sym("alice", "request", "readonly", "--reason", "x")
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "(workflow_not_started)")
	assert.Empty(t, w.pauses, "another try would only repeat it")
	page, err := w.store.List(t.Context(), request.Query{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Requests, 1)

	// The same key gives the request that has failed, and says so.
	w.workflows.SetErrors(nil, nil)
	key := []string{"request", "readonly", "--reason", "x", "--key", "k"}
	require.Equal(t, exitOK, w.sym("alice", key...).code)
	w.advance(w.id(1), request.Failed)
	r = w.sym("alice", key...)
	assert.Equal(t, exitNoAccess, r.code)
	assert.Contains(t, r.out, "  Failure   There is no user alice in the database.\n")
	assert.Contains(t, r.err, "is failed. There is no user alice in the database.\n")
}

// TestKey asks once, however often it is run.
func TestKey(t *testing.T) {
	w := newWorld(t)
	ask := []string{"request", "readonly", "--reason", "x", "--key", "deploy-4711"}
	first := w.sym("alice", ask...)
	assert.Equal(t, first, w.sym("alice", ask...))
	assert.Len(t, w.made, 1)
	ask[3] = "y"
	r := w.sym("alice", ask...)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "(idempotency_key_reused)")

	w.asked()
	w.asked()
	assert.Len(t, w.made, 3, "without a key each is another one")
}

// TestRetries tries again what may pass, with the same key: it is done once.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	n := 0
	w.answer(func(answer http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		n++
		switch n {
		case 1: // throttled
			answer.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(answer, `{"message":"Too Many Requests"}`)
		case 2: // cut off
			panic(http.ErrAbortHandler)
		case 3: // out of order
			answer.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(answer, `{"message":"Service Unavailable"}`)
		}
		return n <= 3
	})
	r := w.sym("alice", "request", "readonly", "--reason", "x")
	assert.Equal(t, exitOK, r.code, r.err)
	require.Len(t, w.calls, 5) // the flows, and four tries
	for _, c := range w.calls[1:] {
		assert.Equal(t, "POST /requests", c.line)
		assert.NotEmpty(t, c.key)
		assert.Equal(t, w.calls[1], c)
	}
	// On a connection that was in use Go's HTTP client does a first second try by itself, since
	// the key says that it may.
	assert.GreaterOrEqual(t, len(w.pauses), 2)
	for i, pause := range w.pauses {
		longest := 400 * time.Millisecond << i
		assert.LessOrEqual(t, pause, longest)
		assert.GreaterOrEqual(t, pause, longest/2)
	}

	w.answer(func(answer http.ResponseWriter, _ *http.Request) bool {
		answer.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(answer, `{"message":"Internal Server Error"}`)
		return true
	})
	w.calls = nil
	r = w.sym("alice", "show", "x")
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "The Runtime does not answer just now (500 Internal Server Error).")
	assert.Len(t, w.calls, 4)
}

// TestStrangers has answers that are not the API's.
func TestStrangers(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		code   int
		says   string
	}{
		"API Gateway without the route": {404, `{"message":"Not Found"}`, exitFailure,
			"is not the Runtime's API: it answers 404 Not Found."},
		"a refused signature": {403, `{"message":"Forbidden"}`, exitFailure,
			"API Gateway refused your signature"},
		"a web page":       {200, `<html>`, exitFailure, "is not the Runtime's API"},
		"a redirect":       {302, ``, exitFailure, "it answers 302 Found"},
		"no request":       {200, `{}`, exitFailure, "is not the Runtime's API"},
		"null":             {200, `null`, exitFailure, "is not the Runtime's API"},
		"an id with ESC":   {200, `{"id":"\u001b[2J","state":"active"}`, exitFailure, "is not"},
		"a state with ESC": {200, `{"id":"x","state":"\u001b[2J"}`, exitFailure, "is not"},
		"a code with ESC": {400, `{"error":{"code":"\u001b[2J","message":"\u001b]0;x\u0007"}}`,
			exitUsage, "sym: <U+001B>]0;x<U+0007> (<U+001B>[2J)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answer(func(answer http.ResponseWriter, _ *http.Request) bool {
				answer.Header().Set("Location", "https://example.com")
				answer.WriteHeader(test.status)
				_, _ = io.WriteString(answer, test.body)
				return true
			})
			r := w.sym("alice", "show", "x")
			assert.Equal(t, test.code, r.code)
			assert.Contains(t, r.err, test.says)
			assert.NotContains(t, r.err+r.out, "\x1b")
			assert.Len(t, w.calls, 1, "no second try, and nothing is followed")
		})
	}
	for name, body := range map[string]string{"list": `{}`, "flows": `{"flows":null}`} {
		w := newWorld(t)
		w.answer(func(answer http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(answer, body)
			return true
		})
		assert.Equal(t, exitFailure, w.sym("alice", name).code)
	}
}

// TestUnreachable has no API, no credentials, and no region.
func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	w.Close()
	r := w.sym("alice", "list")
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "The API at "+w.URL+" could not be reached: ")
	assert.Len(t, w.pauses, 3)

	r = w.sym("alice", "list", "--api", "https://nowhere.invalid")
	assert.Equal(t, exitFailure, r.code)
	assert.NotEmpty(t, r.err)

	t.Setenv("AWS_REGION", "")
	r = w.sym("alice", "list")
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "set AWS_REGION to the region it was deployed to.")

	r = w.run(t.Context(), "alice", nil, "list", "--profile", "other")
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, `there is no AWS profile "other"`)
}

// TestNoCredentials cannot sign, and says what to do.
func TestNoCredentials(t *testing.T) {
	w := newWorld(t)
	p := w.program(io.Discard, io.Discard)
	var errs strings.Builder
	p.err = &errs
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_WEB_IDENTITY_TOKEN_FILE",
	} {
		t.Setenv(name, "")
	}
	assert.Equal(t, exitFailure, p.run(t.Context(), []string{"list"}))
	assert.Contains(t, errs.String(), "`aws sso login`")
	assert.Empty(t, w.calls)
}

// TestFull says that output cannot be written.
func TestFull(t *testing.T) {
	w := newWorld(t)
	w.signIn("alice")
	var errs strings.Builder
	p := w.program(full{}, &errs)
	assert.Equal(t, exitFailure, p.run(t.Context(), []string{"flows"}))
	assert.Contains(t, errs.String(), "cannot write output: no space left")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestStopped is stopped while it asks: it may have been done, and the person is told.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	w.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			stop()
			<-r.Context().Done() // the client has gone
		}
		return r.Method == http.MethodPost
	})
	r := w.run(ctx, "alice", nil, "request", "readonly", "--reason", "x")
	assert.Equal(t, result{exitInterrupted, "", "Whether the request was made is not known: look " +
		"with `sym list --mine`.\nsym: Stopped before the API answered. What was asked for may " +
		"have been done.\n"}, r)
}
