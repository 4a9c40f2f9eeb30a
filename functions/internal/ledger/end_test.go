package ledger

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

func TestSessionsEndWithTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		taken, reading, idle := f.login("alice"), f.login("alice"), f.login("alice")
		exec(f, taken, "SET ROLE %s", f.name("readonly"))
		exec(f, reading, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders")
		bob := f.login("bob")

		assert.Equal(f, 3, f.deescalate("run").SessionsEnded)
		for _, conn := range []*pgx.Conn{taken, reading, idle} {
			_, err := conn.Exec(f.Context(), "SELECT")
			require.Error(f, err)
		}
		require.NoError(f, bob.Ping(f.Context()))

		// A new session is not part of the run, so a repeated end leaves it alone.
		fresh := f.login("alice")
		assert.Zero(f, f.deescalate("run").SessionsEnded)
		require.NoError(f, fresh.Ping(f.Context()))
	})
}

func TestSessionsEndLaterWhereTheFirstTimeWasCutShort(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		session := f.login("alice")
		exec(f, f.owner, "REVOKE EXECUTE ON FUNCTION sym.end_sessions FROM %s", name(f.broker))
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.IsType(f, database.DatabaseRefused{}, err)
		require.False(f, f.reads("alice"), "what could be taken was taken")
		require.NoError(f, session.Ping(f.Context()))

		exec(f, f.owner, "GRANT EXECUTE ON FUNCTION sym.end_sessions TO %s", name(f.broker))
		_, err = f.Sweep(f.Context())
		require.NoError(f, err)
		require.Error(f, session.Ping(f.Context()))
	})
}

func TestAnswerSaysThroughWhatTheRoleIsStillHeld(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s; CREATE ROLE %s", f.name("team"), f.name("department"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("department"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("department"), f.name("team"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("team"), f.name("alice"))
		f.escalate("run", "alice", "readonly")
		session := f.login("alice")
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("department")}, ended.StillMemberThrough)
		assert.Zero(f, ended.SessionsEnded)
		require.NoError(f, session.Ping(f.Context()))
		require.Empty(f, f.membership("alice", "readonly"))
	})
}

func TestDroppedAndRenamed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("dropped", "alice", "readonly")
		session := f.login("alice")
		exec(f, f.root, "DROP ROLE %s", f.name("alice"))
		ended := f.deescalate("dropped")
		assert.True(f, ended.Changed)
		assert.Equal(f, 1, ended.SessionsEnded)
		require.Error(f, session.Ping(f.Context()))

		f.escalate("renamed", "bob", "readonly")
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("bob"), f.name("robert"))
		require.Len(f, f.membership("robert", "readonly"), 1)
		f.deescalate("renamed")
		require.Empty(f, f.membership("robert", "readonly"))
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("robert"), f.name("bob"))

		f.escalate("role dropped", "bob", "Read Only")
		exec(f, f.root, "DROP OWNED BY %s; DROP ROLE %s", f.name("Read Only"), f.name("Read Only"))
		assert.True(f, f.deescalate("role dropped").Changed)
	})
}

func TestAnotherBrokerEndsTheRunsOfTheFirst(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		second := f.of("second broker")
		require.ErrorContains(f, f.trySetup(f.owner, second, "readonly"),
			`The broker of this ledger is "`+f.broker+`", not "`+second)
		require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": second, "roles": f.of("readonly"), "replace": "on"}))
		exec(f, f.owner, "ALTER ROLE %s PASSWORD %s", name(second), database.Literal(password))
		other := f.ledgerOf(second)

		// From 16 on only the grantor or a member of it may; anyone else gets an error.
		if f.server.Major >= 16 {
			_, err := other.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
			require.IsType(f, database.DatabaseRefused{}, err)
			require.True(f, f.reads("alice"))
			exec(f, f.root, "GRANT %s TO %s WITH INHERIT TRUE", name(f.broker), name(second))
		}
		ended, err := other.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.NoError(f, err)
		assert.True(f, ended.Changed)
		require.False(f, f.reads("alice"))
	})
}

func TestSweepEndsWhatHasExpired(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("over", "alice", "readonly")
		f.escalate("going on", "bob", "readonly")
		f.expire("over")
		session := f.login("alice")

		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Equal(f, event.Swept{
			Revoked: []event.Revoked{{
				Run: "over_" + f.suffix, User: f.of("alice"), Role: f.of("readonly")}},
			Failed: []event.Failed{}, Repaired: []event.Revoked{}, Drift: []event.Drift{},
		}, swept)
		require.False(f, f.reads("alice"))
		require.True(f, f.reads("bob"))
		require.Error(f, session.Ping(f.Context()))

		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Revoked)
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("stuck", "alice", "readonly")
		f.escalate("over", "bob", "readwrite")
		f.expire("stuck")
		f.expire("over")
		exec(f, f.root, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE 'not this one'; END $$`)
		exec(f, f.root, `CREATE TRIGGER refuse BEFORE UPDATE ON sym.grants FOR EACH ROW
			WHEN (old.run LIKE 'stuck%%') EXECUTE FUNCTION refuse()`)

		swept, err := f.Sweep(f.Context())
		require.IsType(f, SweepIncomplete{}, err)
		require.Len(f, swept.Failed, 1)
		assert.Equal(f, "stuck_"+f.suffix, swept.Failed[0].Run)
		require.Len(f, swept.Revoked, 1)
		require.False(f, f.reads("bob"))
		require.False(f, f.reads("alice"), "the role goes, whether or not that can be noted")
		assert.Contains(f, swept.Failed[0].Message, "was taken from")

		exec(f, f.root, "DROP TRIGGER refuse ON sym.grants")
		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		require.Len(f, swept.Revoked, 1)
	})
}
