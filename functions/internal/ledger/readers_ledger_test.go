package ledger

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
)

// ledgerTriesReadersAgain is a run from its grant to its end, with a standby on which the
// REVOKE is late.
func ledgerTriesReadersAgain(r *replicated) {
	r.revoke() // What the other tests grant stands, and would stay.
	session := database.NewSession(func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.Connect(ctx, r.primary.URLFor("sym_broker", "secret", "postgres"))
	})
	defer session.Close()
	l := New(session, slog.New(slog.NewTextHandler(io.Discard, nil)),
		Options{Readers: r.readers(r.standby.Address())})
	_, err := l.Escalate(r.Context(), Request{Run: "run", User: "alice", Role: "reports",
		Requester: "alice@example.com", Duration: time.Hour})
	require.NoError(r, err)
	require.NoError(r, r.primary.CatchUp(r.Context(), r.standby))
	alice := r.borrower("alice")
	open := func() (done bool) {
		require.NoError(r, r.root.QueryRow(r.Context(), `SELECT revoked_at IS NOT NULL AND
			sessions_ended_at IS NULL FROM sym.grants WHERE run = 'run'`).Scan(&done))
		return done
	}

	// The role is gone where it can be taken, and the error says what is left.
	r.replay(false)
	_, err = l.Deescalate(r.Context(), End{Run: "run", User: "alice", Role: "reports"})
	r.unavailable(err, r.standby.Address()+": the REVOKE has not arrived there")
	var member bool
	require.NoError(r, r.root.QueryRow(r.Context(),
		"SELECT pg_has_role('alice', 'reports', 'MEMBER')").Scan(&member))
	assert.False(r, member)
	assert.True(r, open())
	require.NoError(r, r.reads(alice))

	// The sweep says so as well, and finishes it once the standby goes on.
	swept, err := l.Sweep(r.Context())
	require.ErrorContains(r, err, r.standby.Address())
	require.NotEmpty(r, swept.Failed)
	r.replay(true)
	require.NoError(r, r.primary.CatchUp(r.Context(), r.standby))
	_, err = l.Sweep(r.Context())
	require.NoError(r, err)
	assert.False(r, open())
	require.Error(r, r.reads(alice))

	// A repetition of the end has nothing more to do.
	answer, err := l.Deescalate(r.Context(), End{Run: "run", User: "alice", Role: "reports"})
	require.NoError(r, err)
	assert.False(r, answer.Changed)
}
