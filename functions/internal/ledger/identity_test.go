package ledger

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// These are about rows whose names or numbers belong to somebody else by now.

// restored runs a test in a server to which the ledger of another one was brought by pg_dump.
func restored(t *testing.T, test func(from, f *fixture)) {
	for i, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			other := servers[(i+1)%len(servers)]
			if other == server {
				second, err := pgserver.Start(t.Context(), pgserver.Config{Binaries: server.Binaries()})
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, second.Stop()) })
				other = second
			}
			from := newFixture(t, other, false)
			// Roles have other numbers here.
			f := newFixtureAs(t, server, false, "UTF8", from.suffix)
			test(from, f)
		})
	}
}

// bring brings the ledger's rows from one server to another, with the numbers of a user and of
// a role that are somebody else there.
func bring(from, f *fixture) {
	f.Helper()
	rows := query[string](from, "SELECT json_agg(g)::text FROM sym.grants g")
	exec(f, f.root, "INSERT INTO sym.grants SELECT * FROM json_populate_recordset(NULL::sym.grants, %s)",
		database.Literal(rows))
	exec(f, f.root, "UPDATE sym.grants SET user_oid = %s::regrole, role_oid = %s::regrole",
		database.Literal(f.name("bob")), database.Literal(f.name("readwrite")))
}

func TestLedgerFromAnotherServerEndsNothingThere(t *testing.T) {
	restored(t, func(from, f *fixture) {
		from.escalate("over", "alice", "readonly")
		from.escalate("half over", "alice", "readwrite")
		from.expire("over")
		exec(from, from.root, "UPDATE sym.grants SET revoked_at = now() WHERE run LIKE 'half%%'")
		bring(from, f)

		alice, bob := f.login("alice"), f.login("bob")
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Revoked, 1, "the row is closed")
		require.NoError(f, bob.Ping(f.Context()), "the number was bob's here")
		require.NoError(f, alice.Ping(f.Context()), "the role was never hers here")
		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Revoked)
	})
}

// TestGrantFromAnotherServerGoesOn has the memberships brought along, as pg_dumpall does.
func TestGrantFromAnotherServerGoesOn(t *testing.T) {
	restored(t, func(from, f *fixture) {
		from.escalate("run", "alice", "readonly")
		bring(from, f)
		broker := f.dial(f.server.URLFor(f.broker, password, "db_"+f.suffix))
		exec(f, broker, "GRANT %s TO %s GRANTED BY CURRENT_USER", f.name("readonly"), f.name("alice"))
		bob := f.login("bob")

		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Repaired)
		assert.Empty(f, swept.Drift)
		require.True(f, f.reads("alice"), "an hour is left")
		assert.False(f, f.escalate("run", "alice", "readonly").Changed)
		f.escalate("other", "alice", "readonly")
		f.deescalate("other")
		require.True(f, f.reads("alice"), "the first run still has it")
		_, err = f.Deescalate(f.Context(), End{Run: "unknown_" + f.suffix,
			User: f.of("alice"), Role: f.of("readonly")})
		require.NoError(f, err)
		require.True(f, f.reads("alice"), "it accounts for the membership, too")

		alice := f.login("alice")
		f.expire("run")
		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Revoked, 1)
		require.False(f, f.reads("alice"))
		require.Error(f, alice.Ping(f.Context()))
		require.NoError(f, bob.Ping(f.Context()))
	})
}

func TestCopyOfTheDatabaseTakesNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.expire("run")
		for _, conn := range []*pgx.Conn{f.owner, f.root} {
			require.NoError(f, conn.Close(f.Context()))
		}
		f.session.Close()
		root := f.dial(f.server.URL())
		exec(f, root, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
			database.Literal("db_"+f.suffix))
		exec(f, root, "CREATE DATABASE %s TEMPLATE %s OWNER %s", f.name("copy"),
			name("db_"+f.suffix), name(f.ownerName))
		f.Cleanup(func() { f.drop(f.of("copy")) })
		f.root = f.dial(f.server.URLFor(f.server.Superuser, f.server.Password, "db_"+f.suffix))
		copied := f.dial(f.server.URLFor(f.ownerName, password, f.of("copy")))
		exec(f, copied, "CREATE ROLE %s", f.name("of the copy"))
		require.NoError(f, f.script(copied, postgreslambda.Setup, map[string]string{
			"broker": f.of("second"), "roles": f.of("of the copy"), "replace": "on"}))
		exec(f, copied, "ALTER ROLE %s PASSWORD %s", f.name("second"), database.Literal(password))

		settings, err := pgx.ParseConfig(f.server.URLFor(f.of("second"), password, f.of("copy")))
		require.NoError(f, err)
		second := f.ledgerAt(settings)
		_, err = second.Sweep(f.Context())
		require.NoError(f, err)
		require.True(f, f.reads("alice"), "it is for the first database's ledger to take it")
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Revoked, 1)
		require.False(f, f.reads("alice"))
	})
}

func TestRenamedUserWhoseNameSomebodyElseHas(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		old := f.login("alice")
		exec(f, old, "SET ROLE %s", f.name("readonly"))
		exec(f, f.owner, "ALTER ROLE %s RENAME TO %s", f.name("alice"), f.name("alice old"))
		another := f.person("alice")
		require.Len(f, f.membership("alice old", "readonly"), 1)

		answer := f.deescalate("run")
		assert.True(f, answer.Changed)
		assert.Equal(f, 1, answer.SessionsEnded)
		require.Empty(f, f.membership("alice old", "readonly"), "in the same call")
		require.Error(f, old.Ping(f.Context()))
		require.NoError(f, another.Ping(f.Context()))
	})
}

func TestUserWhoWasMadeAgainKeepsWhatIsTheirs(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		old := f.login("alice")
		exec(f, f.root, "DROP ROLE %s", f.name("alice"))
		again := f.person("alice")
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("alice"))

		answer := f.deescalate("run")
		assert.True(f, answer.Changed)
		assert.Equal(f, 1, answer.SessionsEnded)
		require.Error(f, old.Ping(f.Context()))
		require.NoError(f, again.Ping(f.Context()))
		require.Len(f, f.membership("alice", "readonly"), 1)
	})
}

func TestRenamedRoleWhoseNameAnotherHas(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.owner, "ALTER ROLE %s RENAME TO %s", f.name("readonly"), f.name("readonly old"))
		exec(f, f.owner, "CREATE ROLE %s", f.name("readonly"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("alice"))
		alice := f.login("alice")

		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.NotEmpty(f, swept.Drift)
		assert.Equal(f, event.DriftChanged, swept.Drift[0].Kind)
		assert.True(f, f.deescalate("run").Changed)
		require.Empty(f, f.membership("alice", "readonly old"))
		require.Len(f, f.membership("alice", "readonly"), 1, "another role of that name stays")
		require.Error(f, alice.Ping(f.Context()))
	})
}

// TestServerThatKeepsItsIdentifierToItself has a hardened server, where nobody may read its
// identifier.
func TestServerThatKeepsItsIdentifierToItself(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
		f.escalate("run", "alice", "readonly")
		assert.True(f, f.deescalate("run").Changed)
		require.False(f, f.reads("alice"))
	})
}
