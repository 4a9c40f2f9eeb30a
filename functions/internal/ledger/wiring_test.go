package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

func TestRoundTrips(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("warm", "bob", "readonly")
		trips := func(do func()) int64 {
			before := f.trips.Load()
			do()
			return f.trips.Load() - before
		}
		assert.EqualValues(f, 2, trips(func() { f.escalate("run", "alice", "readonly") }))
		assert.EqualValues(f, 2, trips(func() { f.escalate("run", "alice", "readonly") }))
		// The third looks for what was left behind, when the role is gone.
		assert.EqualValues(f, 3, trips(func() { f.deescalate("run") }))
		assert.EqualValues(f, 1, f.dials.Load(), "one connection does it all")
	})
}

func TestLostConnectionIsReplaced(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
			"WHERE usename = %s", database.Literal(f.broker))
		assert.True(f, f.deescalate("run").Changed)
		assert.EqualValues(f, 2, f.dials.Load())
	})
}

func TestLockedLedgerIsBusy(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "BEGIN; LOCK TABLE sym.grants")
		// It says so while there is time left to say it.
		f.within(4*time.Second, func(ctx context.Context) {
			_, err := f.Deescalate(ctx, End{Run: "run_" + f.suffix})
			require.IsType(f, database.DatabaseBusy{}, err)
		})
		exec(f, f.root, "ROLLBACK")
		assert.True(f, f.deescalate("run").Changed)
		assert.Zero(f, query[int](f, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`))
	})
}

func TestWithoutSetup(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DROP SCHEMA sym CASCADE")
		_, err := f.Escalate(f.Context(), f.request("run", "alice", "readonly"))
		var refusal *event.Refusal
		require.ErrorAs(f, err, &refusal)
		assert.Equal(f, event.NotInstalled, refusal.Code)
		_, err = f.Deescalate(f.Context(), End{Run: "run"})
		require.IsType(f, database.DatabaseRefused{}, err, "taking away is tried again")
		_, err = f.Sweep(f.Context())
		require.IsType(f, database.DatabaseRefused{}, err)
	})
}

func TestSetup(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.setup("readonly")
		f.setup("readonly", "Read Only")
		assert.False(f, f.escalate("run", "alice", "readonly").Changed, "it keeps the ledger")

		// The broker has no power of its own.
		require.False(f, query[bool](f, `SELECT rolsuper OR rolcreaterole OR rolcreatedb OR
			rolreplication OR rolbypassrls OR rolinherit FROM pg_roles WHERE rolname = $1`,
			f.broker))
		broker := f.dial(f.server.URLFor(f.broker, password, "db_"+f.suffix))
		for _, denied := range []string{
			"SELECT * FROM orders", "DELETE FROM sym.grants", "CREATE TABLE sym.t ()",
			"UPDATE sym.grants SET expires_at = now()", "UPDATE sym.users SET email = 'x'",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" +
				f.of("bob") + "'",
		} {
			if strings.Contains(denied, "pg_terminate") {
				f.login("bob")
			}
			_, err := broker.Exec(f.Context(), denied)
			var refused *pgconn.PgError
			require.ErrorAs(f, err, &refused, denied)
			require.Equal(f, "42501", refused.Code, denied)
		}
		if f.server.Major >= 16 {
			_, err := broker.Exec(f.Context(), "SET ROLE "+f.name("readonly"))
			require.ErrorContains(f, err, "permission denied")
		}
		// The people whom the ledger governs cannot even read it.
		_, err := f.login("alice").Exec(f.Context(), "SELECT * FROM sym.grants")
		require.ErrorContains(f, err, "permission denied for schema sym")

		for sentence, try := range map[string]func() error{
			"No roles are given": func() error { return f.trySetup(f.owner, f.broker) },
			`The role "nothing_` + f.suffix + `" does not exist`: func() error {
				return f.trySetup(f.owner, f.broker, "readonly", "nothing")
			},
			"has more rights than it may have": func() error {
				return f.trySetup(f.owner, f.ownerName+"x", "readonly")
			},
			"The broker cannot be": func() error {
				return f.trySetup(f.owner, f.ownerName, "readonly")
			},
			`The schema "sym" belongs to "` + f.ownerName: func() error {
				return f.trySetup(f.root, f.broker, "readonly")
			},
			"must not be handed out": func() error {
				return f.trySetup(f.owner, f.broker, "powerful")
			},
		} {
			if strings.HasPrefix(sentence, "has more") {
				exec(f, f.root, "CREATE ROLE %s CREATEROLE", name(f.ownerName+"x"))
			}
			if strings.HasPrefix(sentence, "must not") {
				exec(f, f.owner, "CREATE ROLE %s", f.name("powerful"))
				exec(f, f.root, "ALTER ROLE %s REPLICATION", f.name("powerful"))
			}
			require.ErrorContains(f, try(), sentence)
		}
	})
}

func TestLogHasALineForEachChangeAndNoSecret(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		lines := strings.Split(strings.TrimSpace(f.logged.String()), "\n")
		require.Len(f, lines, 2)
		assert.Contains(f, lines[0], "msg=granted run=run_"+f.suffix)
		assert.Contains(f, lines[1], "msg=revoked run=run_"+f.suffix)
		assert.NotContains(f, f.logged.String(), password)
	})
}
