package ledger

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	osexec "os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

// privileges lists what the broker was granted, from the catalogue.
const privileges = `
	SELECT 'connect' FROM pg_database, aclexplode(datacl) a
	WHERE datname = current_database() AND a.grantee = $1::regrole
	UNION ALL SELECT lower(privilege_type) || ' on schema ' || nspname
	FROM pg_namespace, aclexplode(nspacl) a WHERE a.grantee = $1::regrole
	UNION ALL SELECT lower(privilege_type) || ' on ' || relname
	FROM pg_class, aclexplode(relacl) a WHERE a.grantee = $1::regrole
	UNION ALL SELECT lower(privilege_type) || ' (' || attname || ') on ' || relname
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl) a
	WHERE a.grantee = $1::regrole
	UNION ALL SELECT lower(privilege_type) || ' on ' || proname
	FROM pg_proc, aclexplode(proacl) a WHERE a.grantee = $1::regrole
	UNION ALL SELECT 'admin of a role' FROM pg_auth_members
	WHERE member = $1::regrole AND admin_option
	UNION ALL SELECT 'login' FROM pg_roles WHERE oid = $1::regrole AND rolcanlogin
	ORDER BY 1`

// TestEveryPrivilegeIsThereForSomething revokes each of the broker's privileges in turn, as the
// catalogue lists them, and shows what breaks. So every privilege has a use, and this list is
// complete.
func TestEveryPrivilegeIsThereForSomething(t *testing.T) {
	everywhere(t, func(f *fixture) {
		require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": f.broker, "roles": f.of("readonly"), "create_users": "on"}))
		// Everybody may connect to a new database, which would hide the broker's own right.
		exec(f, f.root, "REVOKE CONNECT ON DATABASE %s FROM PUBLIC", name("db_"+f.suffix))
		exec(f, f.root, "GRANT CONNECT ON DATABASE %s TO %s", name("db_"+f.suffix), f.name("alice"))
		exec(f, f.owner, "REVOKE %s, %s FROM %s",
			f.name("readwrite"), f.name("Read Only"), name(f.broker))

		number := 0
		escalate := func(l *Ledger, user string) error {
			number++
			_, err := l.Escalate(f.Context(), f.request(fmt.Sprint("run", number), user, "readonly"))
			return err
		}
		deescalate := func(l *Ledger) error {
			_, err := l.Deescalate(f.Context(), End{Run: fmt.Sprint("run", number, "_", f.suffix)})
			return err
		}
		begin := func(l *Ledger) error { return escalate(l, "alice") }
		end := func(l *Ledger) error { return deescalate(l) }
		makeUser := func(l *Ledger) error { return escalate(l, fmt.Sprint("zoe", number)) }
		// A transaction that is open at an end, and over when a sweep looks again.
		look := func(l *Ledger) error {
			alice := f.login("alice")
			exec(f, alice, "BEGIN; SELECT 1")
			err := errors.Join(escalate(l, "bob"), end(l))
			exec(f, alice, "COMMIT")
			_, swept := l.Sweep(f.Context())
			return errors.Join(err, swept)
		}
		broker := name(f.broker)
		tests := []struct {
			privilege, revoke, grant string
			breaks                   func(*Ledger) error
			keep                     bool
		}{
			{"admin of a role", "REVOKE ADMIN OPTION FOR " + f.name("readonly") + " FROM " + broker,
				"GRANT " + f.name("readonly") + " TO " + broker + " WITH ADMIN OPTION", begin, false},
			{"connect", "REVOKE CONNECT ON DATABASE " + name("db_"+f.suffix) + " FROM " + broker,
				"GRANT CONNECT ON DATABASE " + name("db_"+f.suffix) + " TO " + broker, begin, false},
			{"login", "ALTER ROLE " + broker + " NOLOGIN", "ALTER ROLE " + broker + " LOGIN",
				begin, false},
			{"usage on schema sym", "", "", begin, false},
			{"select on grants", "", "", begin, false},
			{"insert on grants", "", "", begin, false},
			{"update (revoked_at) on grants", "", "", end, false},
			{"update (sessions_ended_at) on grants", "", "", end, true},
			{"update (open_then) on grants", "", "", end, true},
			{"update (open_from) on grants", "", "", look, false},
			{"update (told) on grants", "", "", look, false},
			{"select on users", "", "", begin, false},
			{"insert (username) on users", "", "", begin, false},
			{"insert (email) on users", "", "", begin, false},
			{"select on locks", "", "", begin, false},
			{"insert on locks", "", "", begin, false},
			{"update on locks", "", "", begin, false},
			{"select on allowed", "", "", begin, false},
			{"execute on create_user", "", "", makeUser, false},
		}
		var known []string
		for _, test := range tests {
			known = append(known, test.privilege)
		}
		// The functions by which the broker works: each is called in a grant, an end or a sweep.
		for _, function := range query[[]string](f, `SELECT ARRAY(SELECT proname::text FROM pg_proc
			WHERE pronamespace = 'sym'::regnamespace AND proname NOT IN ('create_user', 'assign_user'))`) {
			known = append(known, "execute on "+function)
		}
		slices.Sort(known)
		rows, err := f.root.Query(f.Context(), privileges, broker)
		require.NoError(f, err)
		granted, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(f, err)
		slices.Sort(granted)
		require.Equal(f, known, granted, "the table of this test is what setup.sql grants")

		for _, test := range tests {
			what, on, _ := strings.Cut(test.privilege, " on ")
			if test.revoke == "" {
				object := map[string]string{"grants": "sym.grants", "users": "sym.users",
					"locks": "sym.locks", "allowed": "sym.allowed", "schema sym": "SCHEMA sym"}[on]
				if object == "" {
					object = "FUNCTION sym." + on
				}
				test.revoke = "REVOKE " + what + " ON " + object + " FROM " + broker
				test.grant = "GRANT " + what + " ON " + object + " TO " + broker
			}
			// Every try has a connection of its own, since some privileges count when it is
			// made.
			fresh := func() *Ledger {
				return f.ledgerWith(f.broker, Options{MakeUsers: true, KeepSessions: test.keep})
			}
			// From 16 on the right to hand out a role stays while a membership depends on it.
			if test.privilege != "admin of a role" {
				require.NoError(f, begin(fresh()), test.privilege)
			}
			exec(f, f.owner, "%s", test.revoke)
			err := test.breaks(fresh())
			require.Error(f, err, "without %s", test.privilege)
			f.Logf("without %-38s %v", test.privilege+":", err)
			exec(f, f.owner, "%s", test.grant)
			require.NoError(f, test.breaks(fresh()), "with %s again", test.privilege)
		}
	})
}

// TestGovernedUsersCannotTouchTheLedger has a person with a granted role try to change the ledger.
func TestGovernedUsersCannotTouchTheLedger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readwrite")
		alice := f.login("alice")
		exec(f, alice, "SET ROLE %s", f.name("readwrite"))
		before := query[string](f, "SELECT string_agg(g::text, '' ORDER BY run) FROM sym.grants g")
		for _, try := range []string{
			"SELECT FROM sym.grants", "UPDATE sym.grants SET expires_at = 'infinity'",
			"DELETE FROM sym.grants", "TRUNCATE sym.grants", "DROP TABLE sym.grants",
			"INSERT INTO sym.grants (run, revoked_at) VALUES ('x', now())",
			"UPDATE sym.users SET email = 'x'", "CREATE TABLE sym.mine ()",
			"CREATE FUNCTION sym.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"SELECT sym.end_sessions('run')", "SELECT sym.create_user('mine', 'x')",
			"ALTER FUNCTION sym.danger(oid) SECURITY DEFINER", "DROP SCHEMA sym CASCADE",
			"SET ROLE " + name(f.broker), "SET SESSION AUTHORIZATION " + name(f.broker),
			"GRANT " + f.name("readwrite") + " TO " + f.name("bob"),
			"ALTER ROLE " + name(f.broker) + " PASSWORD 'mine'",
		} {
			_, err := alice.Exec(f.Context(), try)
			var refused *pgconn.PgError
			require.ErrorAs(f, err, &refused, try)
			require.Equal(f, "42501", refused.Code, "%s: %s", try, refused.Message)
		}
		require.Equal(f, before,
			query[string](f, "SELECT string_agg(g::text, '' ORDER BY run) FROM sym.grants g"))
	})
}

// setup1 is setup.sql as it was before the ledger knew which users we made.
//
//go:embed testdata/setup-1.sql
var setup1 string

func TestSetupUpgradesAnOlderLedger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DROP SCHEMA sym CASCADE")
		require.NoError(f, f.script(f.owner, setup1, map[string]string{
			"broker": f.broker, "roles": f.of("readonly")}))
		// What the older function has granted.
		broker := f.dial(f.server.URLFor(f.broker, password, "db_"+f.suffix))
		for run, user := range map[string]string{"first": "alice", "run": "bob"} {
			exec(f, broker, "GRANT %s TO %s GRANTED BY CURRENT_USER", f.name("readonly"), f.name(user))
			exec(f, broker, `INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid,
				requester, granted_at, expires_at, grantor) SELECT %s, u.rolname, u.oid, r.rolname,
				r.oid, %s, now(), now() + interval '1 hour', us.oid
				FROM pg_roles u, pg_roles r, pg_roles us WHERE u.rolname = %s AND r.rolname = %s
				AND us.rolname = current_user`, database.Literal(run+"_"+f.suffix),
				database.Literal(user+"@example.com"), database.Literal(f.of(user)),
				database.Literal(f.of("readonly")))
		}

		// Before setup.sql has been run, nothing is granted, and what is granted can end.
		f.refused(event.NotInstalled, f.request("new", "alice", "readwrite"))
		_, err := f.Deescalate(f.Context(), End{Run: "first_" + f.suffix})
		require.ErrorContains(f, err, "was taken from")
		require.False(f, f.reads("alice"))

		require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": f.broker, "roles": f.of("readonly"), "create_users": "on"}))
		assert.True(f, f.deescalate("first").Changed)
		assert.False(f, f.escalate("run", "bob", "readonly").Changed)
		assert.True(f, f.deescalate("run").Changed)
		require.False(f, f.reads("bob"))
		_, err = f.ledgerWith(f.broker, Options{MakeUsers: true}).Escalate(
			f.Context(), f.request("new", "zoe", "readonly"))
		require.NoError(f, err)
		// The older file granted more of this table.
		require.False(f, query[bool](f,
			"SELECT has_column_privilege($1, 'sym.users', 'made_at', 'INSERT')", f.broker))
	})
}

// shape is everything that setup.sql could leave behind.
func (f *fixture) shape() string {
	f.Helper()
	return query[string](f, `SELECT concat_ws(E'\n',
		(SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE '%'||$1),
		(SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace
			WHERE nspname !~ '^pg_(toast_)?temp'),
		(SELECT string_agg(m::text, ' ' ORDER BY m::text) FROM (SELECT roleid::regrole, member::regrole
			FROM pg_auth_members WHERE member::regrole::text LIKE '%'||$1||'%') m))`, f.suffix)
}

func TestUninstallRemovesAllThatSetupMade(t *testing.T) {
	everywhere(t, func(f *fixture) {
		uninstall := func(revoke string) error {
			return f.script(f.owner, postgreslambda.Uninstall,
				map[string]string{"broker": f.broker, "revoke": revoke})
		}
		require.NoError(f, uninstall("off"))
		require.NoError(f, uninstall("off"), "and again")
		require.False(f, query[bool](f,
			"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", f.broker))
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("bob"))
		before := f.shape()

		f.setup("readonly", "readwrite")
		exec(f, f.owner, "ALTER ROLE %s PASSWORD %s", name(f.broker), database.Literal(password))
		f.Ledger = f.ledgerOf(f.broker)
		f.escalate("run", "alice", "readonly")
		f.escalate("standing", "bob", "readonly")
		err := uninstall("off")
		require.ErrorContains(f, err, "Roles are still handed out: ")
		require.ErrorContains(f, err, f.of("readonly")+" of "+f.of("alice"))
		require.True(f, f.reads("alice"), "it changed nothing")

		// What somebody has put into the schema is not removed with it.
		exec(f, f.owner, "CREATE VIEW sym.report AS SELECT run FROM sym.grants")
		require.ErrorContains(f, uninstall("on"), "depend")
		exec(f, f.owner, "DROP VIEW sym.report")

		require.NoError(f, uninstall("on"))
		require.Equal(f, before, f.shape())
		require.False(f, f.reads("alice"))
		require.True(f, f.reads("bob"), "what stood before stays")
	})
}

func TestOneBrokerIsForOneDatabase(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "CREATE DATABASE %s OWNER %s", f.name("second"), name(f.ownerName))
		second := f.dial(f.server.URLFor(f.ownerName, password, f.of("second")))
		f.Cleanup(func() { _ = second.Close(context.Background()) })
		require.ErrorContains(f, f.trySetup(second, f.broker, "readonly"),
			`has rights in the database "db_`+f.suffix+`" already`)
		// Up to 15 a membership is one row, and one broker would take what the other gave.
		err := f.trySetup(second, f.of("second_broker"), "readonly")
		if f.server.Major < 16 {
			require.ErrorContains(f, err, fmt.Sprintf("The role \"%s\" is handed out by the broker "+
				"\"%s\" of the database \"db_%s\"", f.of("readonly"), f.broker, f.suffix))
			err = f.trySetup(second, f.of("second_broker"), "unshared")
			require.ErrorContains(f, err, "does not exist")
			exec(f, f.owner, "CREATE ROLE %s", f.name("unshared"))
			err = f.trySetup(second, f.of("second_broker"), "unshared")
		}
		require.NoError(f, err)
	})
}

// TestOwnerNeedsToEndSessions shows what the owner of sym.end_sessions has to be allowed.
func TestOwnerNeedsToEndSessions(t *testing.T) {
	everywhere(t, func(f *fixture) {
		if query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName) {
			return
		}
		exec(f, f.root, "REVOKE pg_signal_backend FROM %s", name(f.ownerName))
		require.ErrorContains(f, f.trySetup(f.owner, f.broker, "readonly"),
			"who may not end the sessions of others")
		f.escalate("run", "alice", "readonly")
		f.login("alice")
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.IsType(f, database.DatabaseRefused{}, err)
		require.False(f, f.reads("alice"))
	})
}

func TestAdministratorsAreNotGivenRoles(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DO $$ BEGIN CREATE ROLE rds_superuser; EXCEPTION WHEN "+
			"duplicate_object THEN NULL; END $$")
		exec(f, f.root, "GRANT rds_superuser TO %s", f.name("alice"))
		f.refused(event.UserRefused, f.request("run", "alice", "readonly"))
		exec(f, f.root, "DROP ROLE rds_superuser")
		ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
		defer cancel()
		_, err := f.Escalate(ctx, f.request("run", "alice", "readonly"))
		require.NoError(f, err)
	})
}

// TestScriptsAsAnAdministratorRunsThem runs the scripts with psql itself.
func TestScriptsAsAnAdministratorRunsThem(t *testing.T) {
	psql, err := osexec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not on this machine")
	}
	everywhere(t, func(f *fixture) {
		url := f.server.URLFor(f.ownerName, password, "db_"+f.suffix)
		runs := func(file string, variables ...string) (string, error) {
			arguments := []string{"-X", "-f", "../../../modules/postgres-lambda/" + file}
			for _, variable := range variables {
				arguments = append(arguments, "-v", variable)
			}
			return execute(f.Context(), psql, append(arguments, url)...)
		}
		f.escalate("run", "alice", "readonly")
		out, err := runs("setup.sql", "broker="+f.broker, "roles="+f.of("readonly"),
			"create_users=on")
		require.NoError(f, err, out)
		out, err = runs("setup.sql", "broker="+f.broker)
		require.Error(f, err)
		assert.Contains(f, out, "No roles are given")

		out, err = runs("uninstall.sql", "broker="+f.broker)
		require.Error(f, err)
		assert.Contains(f, out, "Roles are still handed out")
		out, err = runs("uninstall.sql", "broker="+f.broker, "revoke=on")
		require.NoError(f, err, out)
		require.False(f, f.reads("alice"))
		require.False(f, query[bool](f,
			"SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'sym')"))
	})
}

// execute runs a program and returns its output.
func execute(ctx context.Context, program string, arguments ...string) (string, error) {
	out, err := osexec.CommandContext(ctx, program, arguments...).CombinedOutput()
	return string(out), err
}

// TestBrokerIsNoOtherLogin uses a misspelt name of the broker, and somebody else's login.
func TestBrokerIsNoOtherLogin(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.owner, "CREATE ROLE %s; GRANT %[1]s TO %s", f.name("team"), f.name("bob"))
		for _, broker := range []string{f.of("bob"), f.of("misspelt")} {
			err := f.script(f.owner, postgreslambda.Uninstall,
				map[string]string{"broker": broker, "revoke": "on"})
			require.ErrorContains(f, err, `The broker of this ledger is "`+f.broker)
			require.ErrorContains(f, f.trySetup(f.owner, broker, "readonly"),
				`The broker of this ledger is "`+f.broker)
		}
		require.ErrorContains(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": f.of("bob"), "roles": f.of("readonly"), "replace": "on"}),
			"Choose another name for the broker")
		require.ErrorContains(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": f.broker, "roles": f.of("readonly"), "allow": "readonyl"}),
			`"readonyl" is in allow, but not in the list`)
		assert.False(f, f.escalate("run", "alice", "readonly").Changed, "nothing has changed")

		require.NoError(f, f.script(f.owner, postgreslambda.Uninstall,
			map[string]string{"broker": f.broker, "revoke": "on"}))
		require.NoError(f, f.script(f.owner, postgreslambda.Uninstall,
			map[string]string{"broker": f.of("bob")}), "there is nothing left to remove")
		f.login("bob")
	})
}
