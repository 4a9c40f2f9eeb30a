package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// TestAssign checks that standard output has the SQL and nothing else.
func TestAssign(t *testing.T) {
	w := newWorld(t)
	t.Setenv("SYM_API", "")
	for _, test := range []struct{ user, email, sql string }{
		{"alice", "Alice@New.example.com", `SELECT sym.assign_user('alice', 'alice@new.example.com');`},
		{"o'brien", "o'brien@example.com", `SELECT sym.assign_user('o''brien', 'o''brien@example.com');`},
		{`a\'; DROP TABLE x; --`, "a@example.com",
			`SELECT sym.assign_user(E'a\\''; DROP TABLE x; --', 'a@example.com');`},
		{"größe", "a@example.com", `SELECT sym.assign_user('größe', 'a@example.com');`},
	} {
		r := w.sym("alice", "assign", "--", test.user, test.email)
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Equal(t, test.sql+"\n", r.out)
		assert.Contains(t, r.err, "Nothing has been changed yet.")
		assert.Contains(t, r.err, "as the owner of the schema sym")
	}
	for _, user := range []string{"", strings.Repeat("x", 64), strings.Repeat("ä", 32), "a\nb", "a\x00"} {
		r := w.sym("alice", "assign", user, "a@example.com")
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.err, "is not the name of a database user")
		assert.Empty(t, r.out)
	}
	assert.Empty(t, w.calls, "no call was made")
}

// previewer answers as the test says.
type previewer struct {
	foreseen request.Preview
	err      error
}

func (p previewer) Preview(context.Context, request.Request) (request.Preview, error) {
	return p.foreseen, p.err
}

// TestRefusedByTheDatabase checks the exit code and the message of a refused preview.
func TestRefusedByTheDatabase(t *testing.T) {
	w := newWorld(t)
	w.api.Service.Previewer = previewer{err: request.Refuse(nil, request.CannotBeGranted,
		"There is no database user alice.")}
	r := w.sym("alice", "request", "readonly", "--reason", "x")
	assert.Equal(t, result{exitRefused, "",
		"sym: There is no database user alice. (cannot_be_granted)\n"}, r)
}

// TestTheWholeTruth checks that a card shows SET ROLE and the possible and actual leftovers.
func TestTheWholeTruth(t *testing.T) {
	w := newWorld(t)
	could := []string{"It may create tables.", "Two.", "Three.", "Four.", "Five.", "Six.", "Seven."}
	w.api.Service.Previewer = previewer{foreseen: request.Preview{
		NeedsSetRole: true, CouldLeave: could,
	}}
	require.Equal(t, exitOK, w.sym("alice", "request", "readonly", "--reason", "x").code)
	shown := w.sym("bob", "show", w.id(1))
	assert.Regexp(t, `First +SET ROLE "readonly";  in every session: the database user does not `+
		`inherit the role`, shown.out)
	assert.Regexp(t, `Could leave +It may create tables\.\n +Two\.\n +Three\.\n +Four\.\n +`+
		`Five\.\n +and 2 more\n`, shown.out)
	w.approve("bob", w.id(1))
	w.advance(w.id(1), request.Active)
	shown = w.sym("alice", "show", w.id(1))
	assert.Contains(t, shown.err, `can use it, after running SET ROLE "readonly";. `)

	require.Equal(t, exitOK, w.sym("alice", "revoke", w.id(1)).code)
	r, err := w.store.Get(t.Context(), w.id(1))
	require.NoError(t, err)
	change := r.Change(request.Done, request.Act{
		Action: request.ActionEnd, By: request.ByWorkflow, At: w.clock.Now(), Rule: "revoked",
	})
	change.Request.LeftBehind = []request.Leftover{
		{Kind: "owned", What: "table public.mine\x1b[2J"},
		{Kind: "privilege", What: "SELECT on public.orders to PUBLIC", TakenBack: true},
	}
	change.Request.LeftBehindMore, change.Request.NotLookedFor = 3, "One did not answer."
	require.NoError(t, w.store.Apply(t.Context(), change))
	shown = w.sym("alice", "show", w.id(1))
	assert.Regexp(t, `Left behind +table public\.mine<U\+001B>\[2J\n +SELECT on public\.orders to `+
		`PUBLIC \(taken back\)\n +and 3 more\n +Left behind +unknown: One did not `+
		`answer\.\n`, shown.out)
	assert.NotContains(t, shown.out, "Could leave")
}

// TestWithdrawn withdraws an approved request with either command.
func TestWithdrawn(t *testing.T) {
	for _, command := range []string{"revoke", "deny"} {
		w := newWorld(t)
		id := w.asked()
		r := w.sym("bob", "approve", id)
		require.Equal(t, exitOK, r.code)
		assert.Contains(t, r.err, "or withdraw it with `sym revoke ID-")
		r = w.sym("alice", command, id)
		require.Equal(t, exitOK, r.code, r.err)
		assert.Contains(t, r.out, "is revoking")
		assert.Contains(t, r.err, "will not be granted")
		r = w.sym("alice", "wait", id)
		assert.Equal(t, exitNoAccess, r.code)
		assert.Contains(t, r.err, "was withdrawn: there is no access", "a grant may be under way")
		w.advance(id, request.Done)
		r = w.sym("alice", "wait", id, "--until", "done")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Regexp(t, `Withdrawn +by alice@example.com`, r.out)
		assert.Contains(t, r.err, "withdrawn before anything was granted")
	}
}
