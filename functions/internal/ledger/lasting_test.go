package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

// These are about roles whose holders could keep access, and about users who would share a role with
// others.

// warned runs setup.sql, and returns its warnings.
func (f *fixture) warned(variables map[string]string) string {
	f.Helper()
	settings, err := pgx.ParseConfig(f.server.URLFor(f.ownerName, password, "db_"+f.suffix))
	require.NoError(f, err)
	var warnings strings.Builder
	settings.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		warnings.WriteString(notice.Message + "\n")
	}
	conn, err := pgx.ConnectConfig(f.Context(), settings)
	require.NoError(f, err)
	defer conn.Close(f.Context())
	require.NoError(f, f.script(conn, postgreslambda.Setup, variables))
	return warnings.String()
}

func TestRolesThatLastAreRefusedUnlessAllowed(t *testing.T) {
	ways := map[string]string{
		"can log in":                 "ALTER ROLE %[1]s LOGIN",
		"owns objects":               "ALTER TABLE orders OWNER TO %[1]s",
		"can hand out the role":      "GRANT %[2]s TO %[1]s WITH ADMIN OPTION",
		"of the schema owns objects": "CREATE SCHEMA AUTHORIZATION %[1]s",
	}
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s", f.name("reports"))
		for way, make := range ways {
			exec(f, f.owner, "CREATE ROLE %s; CREATE ROLE %s", f.name(way), f.name("led to "+way))
			exec(f, f.root, "%s", used(make, f.name(way), f.name("reports")))
			exec(f, f.root, "GRANT %s TO %s", f.name(way), f.name("led to "+way))
			for _, target := range []string{way, "led to " + way} {
				f.refused(event.LastingRole, f.request("run", "alice", target))
				_, err := f.Check(f.Context(), f.request("run", "alice", target))
				require.ErrorContains(f, err, "is not handed out")
				err = f.trySetup(f.owner, f.broker, target)
				require.ErrorContains(f, err, "-v allow="+f.of(target))

				allow := map[string]string{"broker": f.broker, "roles": f.of(target),
					"allow": f.of(target)}
				require.Contains(f, f.warned(allow), "outlast the grant")
				checked, err := f.Check(f.Context(), f.request("run", "alice", target))
				require.NoError(f, err)
				require.NotEmpty(f, checked.CouldLeave)
				granted := f.escalate(target, "alice", target)
				require.Equal(f, checked.CouldLeave, granted.CouldLeave)
				f.deescalate(target)
				// Objects that holders of the role made must not keep anybody from running it.
				if err = f.trySetup(f.owner, f.broker, target); !strings.Contains(way, "owns objects") {
					require.ErrorContains(f, err, "-v allow="+f.of(target), "it is not remembered")
				} else {
					require.NoError(f, err)
					f.refused(event.LastingRole, f.request("not remembered", "alice", target))
				}
			}
		}
		f.setup("readonly")
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Drift, "the roles that were allowed are not in the list any more")
	})
}

// TestHoldersCannotKeepSetupFromRunning has a holder make a table as the role.
func TestHoldersCannotKeepSetupFromRunning(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE SCHEMA app; GRANT CREATE, USAGE ON SCHEMA app TO %s", f.name("readonly"))
		f.setup("readonly")
		f.escalate("run", "alice", "readonly")
		exec(f, f.login("alice"), "SET ROLE %s; CREATE TABLE app.mine ()", f.name("readonly"))
		said := f.warned(map[string]string{"broker": f.broker, "roles": f.of("readonly")})
		require.Contains(f, said, "owns objects by now")
		f.escalate("other", "bob", "readonly")
	})
}

func TestWhatHoldersCouldLeaveIsSaid(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
		f.setup("readonly")
		checked, err := f.Check(f.Context(), f.request("run", "alice", "readonly"))
		require.NoError(f, err)
		assert.Equal(f, event.Checked{User: f.of("alice"), Role: f.of("readonly")}, checked)

		exec(f, f.owner, "CREATE SCHEMA app")
		for _, way := range []struct{ do, said string }{
			{"GRANT CREATE ON SCHEMA app TO %[1]s", `can create tables and functions in the schema app`},
			{"GRANT CREATE ON SCHEMA public TO PUBLIC", "as everybody can"},
			{"GRANT CREATE ON DATABASE %[2]s TO %[1]s", "can create schemas"},
			{"GRANT INSERT ON orders TO %[1]s WITH GRANT OPTION", `can grant INSERT on orders`},
			{"GRANT TRIGGER ON orders TO %[1]s", `can put a trigger on orders`},
			{"ALTER ROLE %[1]s CREATEDB", "can create databases"},
		} {
			exec(f, f.root, "%s", used(way.do, f.name("readonly"), name("db_"+f.suffix)))
			checked, err := f.Check(f.Context(), f.request("run", "alice", "readonly"))
			require.NoError(f, err)
			require.Contains(f, fmt.Sprint(checked.CouldLeave), way.said)
			require.Contains(f, f.warned(map[string]string{
				"broker": f.broker, "roles": f.of("readonly")}), way.said)
		}
		assert.Equal(f, 0, query[int](f, "SELECT count(*)::int FROM sym.grants"), "a check writes nothing")
	})
}

func TestTargetThatBecameDangerousIsReported(t *testing.T) {
	everywhere(t, func(f *fixture) {
		for _, way := range []struct {
			do, undo, says string
			code           event.Code
		}{
			{"GRANT pg_signal_backend TO %s", "REVOKE pg_signal_backend FROM %s",
				"can end the sessions of the function", event.DangerousRole},
			{"ALTER ROLE %s LOGIN", "ALTER ROLE %s NOLOGIN", "can log in", event.LastingRole},
		} {
			exec(f, f.root, way.do, f.name("readonly"))
			f.refused(way.code, f.request("run", "alice", "readonly"))
			swept, err := f.Sweep(f.Context())
			require.IsType(f, SweepIncomplete{}, err, "somebody hears of it")
			require.ErrorContains(f, err, way.says)
			require.Len(f, swept.Drift, 1)
			assert.Equal(f, event.DriftTarget, swept.Drift[0].Kind)
			assert.Contains(f, swept.Drift[0].Message, way.says)
			exec(f, f.root, way.undo, f.name("readonly"))
			_, err = f.Sweep(f.Context())
			require.NoError(f, err)
		}
		// A role that is allowed by name is not reported.
		exec(f, f.root, "ALTER ROLE %s LOGIN", f.name("readonly"))
		require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": f.broker, "roles": f.of("readonly"), "allow": f.of("readonly")}))
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
	})
}

func TestUsersWithMembersAreRefused(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.person("carol")
		exec(f, f.owner, "CREATE ROLE %s", f.name("team"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("alice"), f.name("team"))
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		exec(f, f.owner, "GRANT %s TO %s", f.name("team"), f.name("carol"))
		f.refused(event.UserRefused, f.request("new", "alice", "readonly"))
		exec(f, f.owner, "REVOKE %s FROM %s", f.name("team"), f.name("carol"))
		f.escalate("new", "alice", "readonly")
	})
}

// TestSessionsOfMembersEndWithTheRole has somebody become a member of the user while the user
// has the role. Up to 14 the user can do that alone.
func TestSessionsOfMembersEndWithTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		carol := f.person("carol")
		f.escalate("run", "alice", "readonly")
		granter := f.owner
		if f.server.Major < 15 {
			granter = f.login("alice")
		}
		exec(f, granter, "GRANT %s TO %s", f.name("alice"), f.name("carol"))
		exec(f, carol, "SET ROLE %s", f.name("readonly"))
		exec(f, carol, "SELECT * FROM orders")
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.Len(f, swept.Drift, 1)
		assert.Contains(f, swept.Drift[0].Message, "has become a member of")

		bob := f.login("bob")
		assert.GreaterOrEqual(f, f.deescalate("run").SessionsEnded, 1)
		_, err = carol.Exec(f.Context(), "SELECT * FROM orders")
		require.Error(f, err)
		require.NoError(f, bob.Ping(f.Context()), "nobody else's sessions end")
	})
}

func TestUserWhoDoesNotInheritIsToldToSetTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		assert.False(f, f.escalate("inherits", "bob", "readonly").NeedsSetRole)
		exec(f, f.owner, "ALTER ROLE %s NOINHERIT", f.name("alice"))
		checked, err := f.Check(f.Context(), f.request("run", "alice", "readonly"))
		require.NoError(f, err)
		assert.True(f, checked.NeedsSetRole)
		assert.True(f, f.escalate("run", "alice", "readonly").NeedsSetRole)
		require.False(f, f.reads("alice"))
		alice := f.login("alice")
		exec(f, alice, "SET ROLE %s; SELECT * FROM orders", f.name("readonly"))
	})
}

func TestCheckRefusesWhatEscalateRefuses(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.owner, "CREATE ROLE %s", f.name("not in the list"))
		other := f.request("new", "alice", "readonly")
		other.Requester = "alice@elsewhere.com"
		for code, request := range map[event.Code]Request{
			event.UserTaken:      other,
			event.UnknownUser:    f.request("new", "zoe", "readonly"),
			event.UnknownRole:    f.request("new", "alice", "nothing"),
			event.RoleNotGranted: f.request("new", "alice", "not in the list"),
			event.UserRefused:    f.request("new", "readwrite", "readonly"),
		} {
			_, expected := f.Escalate(f.Context(), request)
			_, err := f.Check(f.Context(), request)
			require.Equal(f, expected, err)
			require.Equal(f, code, err.(*event.Refusal).Code)
		}
		_, err := f.Check(f.Context(), f.request("new", "alice", "readonly"))
		require.NoError(f, err)
	})
}
