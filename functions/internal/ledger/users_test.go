package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

// makingUsers sets the database up for making users, and returns a ledger that makes them.
func (f *fixture) makingUsers() *Ledger {
	f.Helper()
	require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
		"broker": f.broker, "roles": f.of("readonly"), "create_users": "on"}))
	return f.ledgerWith(f.broker, Options{MakeUsers: true})
}

func TestUnknownUserIsMade(t *testing.T) {
	everywhere(t, func(f *fixture) {
		making := f.makingUsers()
		granted, err := making.Escalate(f.Context(), f.request("run", "Zoë's", "readonly"))
		require.NoError(f, err)
		assert.True(f, granted.UserMade)
		again, err := making.Escalate(f.Context(), f.request("run", "Zoë's", "readonly"))
		require.NoError(f, err)
		assert.False(f, again.UserMade)

		// A login, no password, ten connections, nothing else, and marked as ours.
		require.True(f, query[bool](f, `SELECT rolcanlogin AND rolpassword IS NULL AND rolconnlimit = 10
			AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
			FROM pg_authid WHERE rolname = $1`, f.of("Zoë's")))
		require.Equal(f, "Made by sym for Zoë's@example.com", query[string](f,
			`SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1`,
			f.of("Zoë's")))
		require.True(f, query[bool](f,
			"SELECT made_at IS NOT NULL FROM sym.users WHERE username = $1", f.of("Zoë's")))
		require.Equal(f, []string{f.broker}, f.membership("Zoë's", "readonly"))

		// Nothing but the role is ever taken from them, and the user stays.
		exec(f, f.owner, "GRANT %s TO %s", f.name("readwrite"), f.name("Zoë's"))
		exec(f, f.owner, "GRANT SELECT ON orders TO %s", f.name("Zoë's"))
		_, err = making.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.NoError(f, err)
		swept, err := making.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Repaired)
		require.Empty(f, f.membership("Zoë's", "readonly"))
		require.Len(f, f.membership("Zoë's", "readwrite"), 1)
		require.True(f, query[bool](f,
			"SELECT has_table_privilege($1, 'orders', 'SELECT')", f.of("Zoë's")))

		// The next run finds the user, and nobody else gets it.
		granted, err = making.Escalate(f.Context(), f.request("next", "Zoë's", "readonly"))
		require.NoError(f, err)
		assert.False(f, granted.UserMade)
		request := f.request("other", "Zoë's", "readonly")
		request.Requester = "zoe@elsewhere.com"
		f.refused(event.UserTaken, request)
	})
}

func TestUserIsMadeOnceByManyAtOnce(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.makingUsers()
		results := make(chan error, 10)
		for i := range 10 {
			other := f.ledgerWith(f.broker, Options{MakeUsers: true})
			request := f.request("run"+string(rune('0'+i)), "zoe", "readonly")
			go func() {
				_, err := other.Escalate(f.Context(), request)
				results <- err
			}()
		}
		for range 10 {
			require.NoError(f, <-results)
		}
		require.Len(f, f.membership("zoe", "readonly"), 1)
	})
}

func TestMadeUserHasIAMLoginWhereTheServerKnowsIt(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object "+
			"THEN NULL; END $$")
		exec(f, f.root, "GRANT rds_iam TO %s WITH ADMIN OPTION", name(f.ownerName))
		making := f.makingUsers()
		_, err := making.Escalate(f.Context(), f.request("run", "zoe", "readonly"))
		require.NoError(f, err)
		require.True(f, query[bool](f, "SELECT pg_has_role($1, 'rds_iam', 'MEMBER')", f.of("zoe")))
		_, err = making.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.NoError(f, err)
		swept, err := making.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Repaired)
		require.True(f, query[bool](f, "SELECT pg_has_role($1, 'rds_iam', 'MEMBER')", f.of("zoe")),
			"their login stays")
		exec(f, f.root, "REVOKE rds_iam FROM %s CASCADE; DROP ROLE rds_iam", name(f.ownerName))
	})
}

func TestUsersAreMadeOnlyWhereBothSidesSaySo(t *testing.T) {
	everywhere(t, func(f *fixture) {
		// The function says so, the database does not.
		making := f.ledgerWith(f.broker, Options{MakeUsers: true})
		f.refusedBy(making, event.UsersNotMade, f.request("run", "zoe", "readonly"))
		// The database says so, the function does not.
		making = f.makingUsers()
		f.refused(event.UnknownUser, f.request("run", "zoe", "readonly"))
		// Names that no user can have.
		for _, user := range []string{"public", "none", "pg_zoe"} {
			request := f.request("run", "zoe", "readonly")
			request.User = user
			f.refusedBy(making, event.UserRefused, request)
		}
		// A refusal for another reason makes no user.
		f.refusedBy(making, event.UnknownRole, f.request("run", "zoe", "nothing"))
		require.False(f, query[bool](f,
			"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", f.of("zoe")))
		// The broker has no CREATEROLE in either case, and the next setup takes it back.
		require.False(f, query[bool](f,
			"SELECT rolcreaterole FROM pg_roles WHERE rolname = $1", f.broker))
		f.setup("readonly")
		f.refusedBy(making, event.UsersNotMade, f.request("run", "zoe", "readonly"))
	})
}

func TestUsersAreNotMadeByWhomCannot(t *testing.T) {
	everywhere(t, func(f *fixture) {
		variables := map[string]string{
			"broker": f.broker, "roles": f.of("readonly"), "create_users": "perhaps"}
		require.ErrorContains(f, f.script(f.owner, postgreslambda.Setup, variables),
			"it has to be on or off")
		exec(f, f.root, "ALTER ROLE %s NOCREATEROLE NOSUPERUSER", name(f.ownerName))
		exec(f, f.root, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), name(f.ownerName))
		variables["create_users"] = "on"
		require.ErrorContains(f, f.script(f.owner, postgreslambda.Setup, variables),
			"who may not make users")
	})
}

func TestSessionsGoOnWhereTheyAreToBeKept(t *testing.T) {
	everywhere(t, func(f *fixture) {
		keeping := f.ledgerWith(f.broker, Options{KeepSessions: true})
		f.escalate("run", "alice", "readonly")
		session := f.login("alice")
		exec(f, session, "SET ROLE %s", f.name("readonly"))
		ended, err := keeping.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.NoError(f, err)
		assert.True(f, ended.Changed)
		assert.Zero(f, ended.SessionsEnded)
		_, err = session.Exec(f.Context(), "SELECT * FROM orders")
		require.NoError(f, err, "it keeps the role until its end, as it was asked to")
		require.False(f, f.reads("alice"), "a new one has it no more")

		// What was left alone is not ended later by a function with another setting.
		_, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Zero(f, f.deescalate("run").SessionsEnded)
		require.NoError(f, session.Ping(f.Context()))
	})
}
