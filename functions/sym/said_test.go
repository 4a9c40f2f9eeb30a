package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// TestStuckRequests checks that a list and a card say why an approved request is not granted, and
// why an ended one is not over.
func TestStuckRequests(t *testing.T) {
	w := newWorld(t)
	id := w.asked()
	w.approve("bob", id)
	w.clock.Advance(2 * time.Minute)
	require.NoError(t, w.store.KeepFailure(t.Context(), id, request.Failure{
		Step: request.StepEscalate, Reason: "The database\x1b[2J cannot be reached.", At: w.clock.Now(),
	}))
	w.clock.Advance(time.Minute)
	r := w.sym("alice", "list")
	assert.Regexp(t, `approved .*stuck, last tried 1 min ago`, r.out)
	assert.Contains(t, r.out, "not granted yet; the last try, at 15:02:00 (1 min ago), failed: The "+
		"database<U+001B>[2J cannot be reached.")
	r = w.sym("alice", "show", id)
	assert.Regexp(t, `Stuck +not granted yet; the last try, at .* cannot be reached\.`, r.out)
	assert.Contains(t, r.err, "Next: it is tried again. ")
	assert.NotContains(t, r.err, "in a moment")

	w.advance(id, request.Active)
	assert.NotContains(t, w.sym("alice", "show", id).out, "Stuck")
	w.advance(id, request.Revoking)
	require.NoError(t, w.store.KeepFailure(t.Context(), id, request.Failure{
		Step: request.StepDeescalate, Reason: "The database is busy.", At: w.clock.Now(),
	}))
	r = w.sym("alice", "show", id)
	assert.Regexp(t, `Stuck +not taken away yet; the last try, .* failed: The database is busy\.`, r.out)
	assert.Contains(t, r.err, "until the role is gone")
}

// TestWhatAListCallsARequest checks that no request is called by something that is over.
func TestWhatAListCallsARequest(t *testing.T) {
	w := newWorld(t)
	failed, ending := w.asked(), w.asked()
	for _, id := range []string{failed, ending} {
		w.approve("bob", id)
	}
	w.clock.Advance(time.Minute)
	w.advance(failed, request.Failed)
	w.advance(ending, request.Active)
	w.advance(ending, request.Revoking)
	w.clock.Advance(time.Minute)
	r := w.sym("alice", "list")
	assert.Regexp(t, `failed .*failed 1 min ago`, r.out)
	assert.Regexp(t, `revoking .*ending since 1 min ago`, r.out)
	assert.NotContains(t, r.out, "approved")
}

// TestReviewOfWhatHasEnded checks that nobody is told to revoke what is over.
func TestReviewOfWhatHasEnded(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, exitOK, w.sym("alice", "request", "admin", "--break-glass",
		"--reason", "ORDER-1").code)
	w.clock.Advance(time.Minute)
	id := w.id(1)
	w.advance(id, request.Active)
	w.advance(id, request.Revoking)
	w.advance(id, request.Done)
	r := w.sym("bob", "review", id, "--reason", "It was right.")
	require.Equal(t, exitOK, r.code, r.err)
	assert.Regexp(t, "^Next: nothing\\. `sym show ID-0*1` tells its story\\.\n$", r.err)
}

// TestWhoami checks that a person learns who they are here, and a stranger how to become known.
func TestWhoami(t *testing.T) {
	w := newWorld(t)
	r := w.sym("alice", "whoami")
	require.Equal(t, exitOK, r.code, r.err)
	assert.Regexp(t, `(?m)^You are +alice@example\.com$`, r.out)
	assert.Regexp(t, `(?m)^Signed by +arn:aws:iam::111122223333:user/alice$`, r.out)
	assert.Contains(t, r.out, w.URL)
	assert.JSONEq(t, `{"email":"alice@example.com","caller":"arn:aws:iam::111122223333:user/alice"}`,
		w.sym("alice", "whoami", "--json").out)
	r = w.sym("nobody", "whoami")
	assert.Equal(t, exitRefused, r.code)
	assert.Contains(t, r.err, "arn:aws:iam::111122223333:user/nobody")
	assert.Contains(t, r.err, "callers")
}
