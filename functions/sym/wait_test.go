package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// TestWait waits for an approval and for the grant, and writes a line for every change.
func TestWait(t *testing.T) {
	w := newWorld(t)
	w.after(40*time.Second, func() { w.approve("bob", w.id(1)) })
	w.after(43*time.Second, func() { w.advance(w.id(1), request.Active) })
	r := w.sym("alice", "request", "readonly", "--reason", "Order 3", "--wait")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "Request "+id1+"  active\n")
	assert.Contains(t, r.out, "Connect   psql 'host=db.internal dbname=app user=alice'\n")
	assert.Equal(t, "Request "+id1+" is requested.\n"+
		"15:00:00  requested, waits for approval, at most until 16:00:00 (in 1 h)\n"+
		"15:00:47  active, until 15:30:43 (in 29 min)\n"+
		"Next: alice@example.com can use it. `sym revoke "+id1+"` ends it early, and the requester "+
		"asks for more with `sym extend "+id1+"`.\n",
		r.err)

	// Less and less often, and again from the beginning after a change.
	for i, pause := range w.pauses {
		if i > 0 && pause < w.pauses[i-1] {
			break
		}
		assert.LessOrEqual(t, pause, seldomest)
	}
	assert.Less(t, len(w.pauses), 12)
}

// TestWaitEnds has every way in which a wait can end.
func TestWaitEnds(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		happen func(w *world)
		code   int
		says   string
	}{
		"it is active already": {nil, func(w *world) {
			w.approve("bob", w.id(1))
			w.advance(w.id(1), request.Active)
		}, exitOK, ""},
		"somebody denies": {nil, func(w *world) {
			w.after(time.Minute, func() { w.sym("bob", "deny", w.id(1)) })
		}, exitNoAccess, "is denied: there is no access to wait for."},
		"nobody decides": {nil, func(w *world) {
			w.after(time.Hour, func() { w.advance(w.id(1), request.Expired) })
		}, exitNoAccess, "is expired: there is no access to wait for."},
		"the grant is refused": {nil, func(w *world) {
			w.approve("bob", w.id(1))
			w.after(time.Second, func() { w.advance(w.id(1), request.Failed) })
		}, exitNoAccess, "is failed: there is no access to wait for."},
		"it was active and is over": {nil, func(w *world) {
			w.approve("bob", w.id(1))
			w.advance(w.id(1), request.Active)
			w.advance(w.id(1), request.Revoking)
		}, exitNoAccess, "was active and has ended."},
		"the time is up": {[]string{"--timeout", "90s"}, nil, exitTimeout,
			"is still requested, and the time to wait is up."},
		"until it is done": {[]string{"--until", "done"}, func(w *world) {
			w.approve("bob", w.id(1))
			w.advance(w.id(1), request.Active)
			w.after(30*time.Minute, func() { w.advance(w.id(1), request.Revoking) })
			w.after(31*time.Minute, func() { w.advance(w.id(1), request.Done) })
		}, exitOK, ""},
		"until it is done, and it never was": {[]string{"--until", "done"}, func(w *world) {
			w.after(time.Minute, func() { w.sym("alice", "deny", w.id(1)) })
		}, exitNoAccess, "is denied: there is no access to wait for."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.asked()
			if test.happen != nil {
				test.happen(w)
			}
			r := w.sym("alice", append([]string{"wait", w.id(1)}, test.args...)...)
			assert.Equal(t, test.code, r.code, r.err)
			assert.Contains(t, r.err, test.says)
			assert.Contains(t, r.out, "Request "+id1+"  "+string(w.state(w.id(1)))+"\n",
				"how it stands is shown in any case")
		})
	}
}

// TestWaitIsPunctual waits no longer than it was told, and looks when something is due.
func TestWaitIsPunctual(t *testing.T) {
	w := newWorld(t)
	id := w.asked()
	begin := w.clock.Now()
	assert.Equal(t, exitTimeout, w.sym("alice", "wait", id, "--timeout", "100s").code)
	assert.Equal(t, 100*time.Second, w.clock.Now().Sub(begin))

	w.approve("bob", id)
	w.advance(id, request.Active)
	end := w.clock.Now().Add(30 * time.Minute)
	w.after(30*time.Minute, func() {
		w.advance(id, request.Revoking)
		w.advance(id, request.Done)
	})
	assert.Equal(t, exitOK, w.sym("alice", "wait", id, "--until", "done").code)
	assert.LessOrEqual(t, w.clock.Now().Sub(end), 2*time.Second)
}

// TestWaitOnTerminal shows how things stand in one line, which is gone in the end.
func TestWaitOnTerminal(t *testing.T) {
	w := newWorld(t)
	w.asked()
	w.after(3*time.Second, func() { w.approve("bob", w.id(1)) })
	w.after(5*time.Second, func() { w.advance(w.id(1), request.Active) })
	r := w.run(t.Context(), "alice", terminal(40), "wait", w.id(1))
	assert.Equal(t, exitOK, r.code)
	progress, next, found := strings.Cut(r.err, "\r\x1b[KNext: ")
	require.True(t, found, "%q", r.err)
	assert.NotContains(t, next, "\r")
	assert.NotContains(t, progress, "\n")
	drawn := strings.Split(strings.TrimPrefix(progress, eraseTheLine), eraseTheLine)
	assert.GreaterOrEqual(t, len(drawn), 5, "it moves every second")
	for _, line := range drawn {
		assert.Less(t, len([]rune(line)), 40, "the cursor stays in the line: %q", line)
	}
	assert.Equal(t, "requested, waits for approval, at most…", drawn[0])
	assert.Equal(t, "active, until 15:30:05 (in 29 min)", drawn[len(drawn)-1])
}

// TestWaitShowsApprovals counts them.
func TestWaitShowsApprovals(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, exitOK, w.sym("alice", "request", "admin", "--reason", "x").code)
	w.after(3*time.Second, func() { w.approve("bob", w.id(1)) })
	w.after(60*time.Second, func() { w.approve("carol", w.id(1)) })
	w.after(62*time.Second, func() { w.advance(w.id(1), request.Active) })
	r := w.sym("alice", "wait", w.id(1))
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.err, "waits for approval (0 of 2), at most")
	assert.Contains(t, r.err, "waits for approval (1 of 2), at most")
}

// TestWaitStopped ends a wait by Ctrl-C: the request goes on.
func TestWaitStopped(t *testing.T) {
	w := newWorld(t)
	id := w.asked()
	ctx, stop := context.WithCancel(t.Context())
	w.after(30*time.Second, stop)
	r := w.run(ctx, "alice", nil, "wait", id)
	assert.Equal(t, exitInterrupted, r.code)
	assert.Empty(t, r.out)
	assert.Contains(t, r.err, "Stopped waiting. The request "+id1+" goes on: `sym wait "+id1+
		"` waits for it again.\n")
	assert.Equal(t, request.Requested, w.state(id))
}

// TestWaitThroughOutage goes on where the API does not answer for a while, and gives up where
// that lasts.
func TestWaitThroughOutage(t *testing.T) {
	w := newWorld(t)
	id := w.asked()
	out := false
	w.answer(func(answer http.ResponseWriter, _ *http.Request) bool {
		if out {
			answer.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(answer, `{"message":"Service Unavailable"}`)
		}
		return out
	})
	w.after(10*time.Second, func() { out = true })
	w.after(100*time.Second, func() {
		out = false
		w.approve("bob", id)
		w.advance(id, request.Active)
	})
	r := w.sym("alice", "wait", id)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.err, "no answer, trying again: The Runtime does not answer just now")

	id = w.asked()
	w.after(10*time.Second, func() { out = true })
	begin := w.clock.Now()
	r = w.sym("alice", "wait", id)
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "sym: The Runtime does not answer just now")
	assert.Greater(t, w.clock.Now().Sub(begin), giveUpAfter)
	assert.Less(t, w.clock.Now().Sub(begin), 2*giveUpAfter)

	// From the beginning there may be something wrong with the address.
	begin = w.clock.Now()
	assert.Equal(t, exitFailure, w.sym("alice", "wait", id).code)
	assert.Less(t, w.clock.Now().Sub(begin), 10*time.Second)
}
