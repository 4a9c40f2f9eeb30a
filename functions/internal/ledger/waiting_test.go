package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// These are about people who try to make the function wait.

// person makes a new login.
func (f *fixture) person(user string) *pgx.Conn {
	f.Helper()
	exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name(user), database.Literal(password))
	return f.login(user)
}

// within makes a call with a deadline.
func (f *fixture) within(limit time.Duration, do func(context.Context)) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), limit)
	defer cancel()
	do(ctx)
	require.NoError(f, ctx.Err(), "it was not done in time")
}

func TestAnybodysAdvisoryLockHindersNobody(t *testing.T) {
	everywhere(t, func(f *fixture) {
		mallory := f.person("mallory")
		for _, user := range []string{"alice", "bob"} {
			exec(f, mallory, "SELECT pg_advisory_lock(hashtext('sym user'), hashtext(%s))",
				database.Literal(f.of(user)))
		}
		for _, run := range []string{"run", "over"} {
			exec(f, mallory, "SELECT pg_advisory_lock(hashtext('sym run'), hashtext(%s))",
				database.Literal(run+"_"+f.suffix))
		}
		f.within(28*time.Second, func(ctx context.Context) {
			f.escalate("run", "alice", "readonly")
			f.escalate("over", "bob", "readonly")
			_, err := f.Deescalate(ctx, End{Run: "run_" + f.suffix})
			require.NoError(f, err)
			f.expire("over")
			_, err = f.Sweep(ctx)
			require.NoError(f, err)
		})
		require.False(f, f.reads("alice"))
		require.False(f, f.reads("bob"))
	})
}

// writer makes a user who may read and write all data; many teams have such roles.
func (f *fixture) writer(user string) *pgx.Conn {
	f.Helper()
	conn := f.person(user)
	exec(f, f.root, "GRANT pg_write_all_data, pg_read_all_data TO %s", f.name(user))
	return conn
}

func TestLockedLedgerKeepsNobodysRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("swept", "alice", "readonly")
		f.escalate("ended", "bob", "readonly")
		f.expire("swept")
		tables := []string{"grants", "locks", "users"}
		var others []*pgx.Conn
		for _, table := range tables {
			mallory := f.writer("mallory of " + table)
			exec(f, mallory, "BEGIN; LOCK TABLE sym.%s IN ACCESS EXCLUSIVE MODE", table)
			others = append(others, f.login("mallory of "+table))
		}
		f.within(28*time.Second, func(ctx context.Context) {
			_, err := f.Deescalate(ctx, End{Run: "ended_" + f.suffix,
				User: f.of("bob"), Role: f.of("readonly")})
			require.ErrorContains(f, err, "was taken from")
			require.ErrorContains(f, err, "mallory of grants_"+f.suffix, "who is in the way")
			require.False(f, f.reads("bob"))

			swept, err := f.Sweep(ctx)
			require.IsType(f, SweepIncomplete{}, err, "somebody hears of it")
			for _, table := range tables {
				require.ErrorContains(f, err, "mallory of "+table+"_"+f.suffix)
			}
			assert.Empty(f, swept.Failed)
		})
		require.False(f, f.reads("alice"))
		for _, other := range others {
			require.Error(f, other.Ping(f.Context()), "all sessions of that user end")
		}
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.False(f, f.deescalate("swept").Changed)
		f.escalate("next", "alice", "readonly")
	})
}

func TestPreparedTransactionThatLocksTheLedgerIsNamed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.expire("run")
		mallory := f.writer("mallory")
		exec(f, mallory, "BEGIN; LOCK TABLE sym.grants; PREPARE TRANSACTION '%s'", f.suffix)
		require.NoError(f, mallory.Close(f.Context()))
		f.within(28*time.Second, func(ctx context.Context) {
			end := End{Run: "run_" + f.suffix, User: f.of("alice"), Role: f.of("readonly")}
			_, err := f.Deescalate(ctx, end)
			require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
			require.False(f, f.reads("alice"), "the workflow knows what the run is about")
			_, err = f.Sweep(ctx)
			require.ErrorContains(f, err, "was locked by the prepared transaction '"+f.suffix)
			require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
		})
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Revoked, 1)
	})
}

// TestHinderedRunsKeepNoOtherFromEnding has an administrator's open transaction, which from
// 16 on locks the role, and thirty people whose time is over.
func TestHinderedRunsKeepNoOtherFromEnding(t *testing.T) {
	everywhere(t, func(f *fixture) {
		for i := range 30 {
			user := fmt.Sprint("user", i)
			exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name(user),
				database.Literal(password))
			role := "readonly"
			if i%10 == 9 {
				role = "readwrite"
			}
			f.escalate(user, user, role)
			f.expire(user)
		}
		admin := f.dial(f.server.URLFor(f.ownerName, password, "db_"+f.suffix))
		exec(f, admin, "BEGIN; GRANT %s TO %s; COMMENT ON ROLE %s IS 'x'",
			f.name("readonly"), f.name("alice"), f.name("readonly"))
		f.within(25*time.Second, func(ctx context.Context) {
			swept, err := f.Sweep(ctx)
			if f.server.Major < 16 {
				require.NoError(f, err)
				return
			}
			require.IsType(f, SweepIncomplete{}, err)
			require.ErrorContains(f, err, fmt.Sprintf(`"%s" (user0@example.com)`, f.of("user0")))
			require.ErrorContains(f, err, fmt.Sprintf("the session %d of \"%s\"",
				admin.PgConn().PID(), f.ownerName))
			assert.Len(f, swept.Revoked, 3)
			assert.Len(f, swept.Failed, 27)
		})
		exec(f, admin, "ROLLBACK")
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.False(f, f.reads("user0"))
	})
}

func TestRowLocksOfTheLedgerAreTheBrokersAlone(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		mallory := f.writer("mallory")
		tag, err := mallory.Exec(f.Context(), "BEGIN")
		require.NoError(f, err, tag)
		for _, table := range []string{"grants", "locks", "users"} {
			tag, err := mallory.Exec(f.Context(), "SELECT 1 FROM sym."+table+" FOR UPDATE")
			require.NoError(f, err)
			require.Zero(f, tag.RowsAffected(), "row-level security shows no row to lock")
		}
		f.within(28*time.Second, func(ctx context.Context) {
			_, err := f.Deescalate(ctx, End{Run: "run_" + f.suffix})
			require.NoError(f, err)
		})
	})
}

// powers are rights that could block the function, undo its ledger, or take over everything.
func powers(major int) map[string]string {
	ways := map[string]string{
		"ends sessions":         "GRANT pg_signal_backend TO %[1]s",
		"owns the database":     "ALTER DATABASE %[2]s OWNER TO %[1]s",
		"owns the ledger":       "GRANT %[3]s TO %[1]s",
		"bypasses the policies": "ALTER ROLE %[1]s BYPASSRLS",
		"is the broker":         "GRANT %[4]s TO %[1]s",
		"reads any file":        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO %[1]s",
		"imports any file":      "GRANT EXECUTE ON FUNCTION lo_import(text) TO %[1]s",
	}
	if major >= 15 {
		ways["changes settings"] = "GRANT ALTER SYSTEM ON PARAMETER max_connections TO %[1]s"
	}
	if major >= 16 {
		ways["takes the reserve"] = "GRANT pg_use_reserved_connections TO %[1]s"
	}
	if major >= 17 {
		ways["maintains"] = "GRANT pg_maintain TO %[1]s"
		ways["locks the catalogue"] = "GRANT MAINTAIN ON pg_auth_members TO %[1]s"
	}
	return ways
}

func TestRolesThatHinderTheFunctionAreRefused(t *testing.T) {
	everywhere(t, func(f *fixture) {
		superuser := query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName)
		for way, grant := range powers(f.server.Major) {
			if way == "owns the ledger" && !superuser && f.server.Major >= 16 {
				continue // Whoever makes a role is a member of it there, and not the other way round.
			}
			role, outer := f.of(way), f.of("led to "+way)
			exec(f, f.owner, "CREATE ROLE %s; CREATE ROLE %s", name(role), name(outer))
			exec(f, f.root, "GRANT %s TO %s", name(role), name(outer))
			exec(f, f.root, "%s", used(grant, name(role), name("db_"+f.suffix), name(f.ownerName),
				name(f.broker)))
			for _, target := range []string{way, "led to " + way} {
				f.refused(event.DangerousRole, f.request("run", "alice", target))
				err := f.trySetup(f.owner, f.broker, "readonly", target)
				if way == "owns the database" && !superuser {
					require.ErrorContains(f, err, "may not create a schema")
					continue
				}
				require.ErrorContains(f, err, "must not be handed out", target)
			}
			// Nor is somebody who has it given other roles.
			exec(f, f.owner, "CREATE ROLE %s LOGIN", f.name("person who "+way))
			exec(f, f.root, "GRANT %s TO %s", name(role), f.name("person who "+way))
			f.refused(event.UserRefused, f.request("run", "person who "+way, "readonly"))
			if way == "owns the database" {
				exec(f, f.root, "ALTER DATABASE %s OWNER TO %s", name("db_"+f.suffix),
					name(f.ownerName))
			}
			if way == "is the broker" {
				exec(f, f.root, "REVOKE %s FROM %s", name(f.broker), name(role))
			}
		}
		// One who owns the ledger, and has no other power.
		exec(f, f.root, "ALTER ROLE %s NOSUPERUSER NOCREATEROLE; REVOKE pg_signal_backend FROM %[1]s",
			name(f.ownerName))
		exec(f, f.root, "ALTER DATABASE %s OWNER TO %s", name("db_"+f.suffix), name(f.server.Superuser))
		request := f.request("run", "alice", "readonly")
		request.Role = f.ownerName
		f.refused(event.DangerousRole, request)
	})
}

func TestBrokerMayUseReservedConnections(t *testing.T) {
	everywhere(t, func(f *fixture) {
		if f.server.Major < 16 {
			return // There are none.
		}
		superuser := query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName)
		require.Equal(f, superuser, query[bool](f,
			"SELECT pg_has_role($1, 'pg_use_reserved_connections', 'USAGE')", f.broker))
		warnings := f.warned(map[string]string{"broker": f.broker, "roles": f.of("readonly")})
		if superuser {
			require.Contains(f, warnings, "reserved_connections is 0")
		} else {
			require.Contains(f, warnings, "who may not grant pg_use_reserved_connections")
		}
	})
}

func TestAllConnectionsTakenIsSaid(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "ALTER ROLE %s CONNECTION LIMIT 0", name(f.broker))
		_, err := f.ledgerOf(f.broker).Deescalate(f.Context(), End{Run: "run"})
		require.IsType(f, database.DatabaseBusy{}, err)
		require.ErrorContains(f, err, "connections are taken")
		require.ErrorContains(f, err, "pg_use_reserved_connections")
	})
}
