package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

// These are attacks that somebody other than the ledger's author found.

// TestSessionAsleepInItsStartEnds has a session that takes the role by its start-up options and is
// not in any list of sessions yet. Any user can make it wait in that state.
func TestSessionAsleepInItsStartEnds(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		settings, err := pgx.ParseConfig(f.server.URLFor(f.of("alice"), password, "db_"+f.suffix))
		require.NoError(f, err)
		settings.RuntimeParams["role"] = f.of("readonly")
		settings.RuntimeParams["post_auth_delay"] = "20"
		sleeping := make(chan error, 1)
		ctx, cancel := context.WithTimeout(f.Context(), 15*time.Second)
		defer cancel()
		go func() {
			// The signal wakes it, and it ends when it has come to its first statement.
			conn, err := pgx.ConnectConfig(ctx, settings)
			if err == nil {
				_, err = conn.Exec(ctx, "SELECT * FROM orders")
				_ = conn.Close(ctx)
			}
			sleeping <- err
		}()
		require.Eventually(f, func() bool {
			return query[bool](f, `SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'virtualxid'
				AND l.pid <> pg_backend_pid() AND NOT EXISTS (SELECT FROM pg_stat_activity a
					WHERE a.pid = l.pid AND a.datid IS NOT NULL))`)
		}, 10*time.Second, 20*time.Millisecond)

		f.deescalate("run")
		require.Error(f, <-sleeping)
		require.NoError(f, ctx.Err(), "it was ended, and has not merely been given up")
	})
}

// TestPreparedTransactionOfTheHolderIsTold has the holder prepare transactions as themselves, as the
// role, and as a role that it is a member of: each then owns the transaction.
func TestPreparedTransactionOfTheHolderIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s; GRANT %[1]s TO %s; GRANT UPDATE ON orders TO %[1]s, %[2]s",
			f.name("led to"), f.name("readonly"))
		for _, as := range []string{"alice", "readonly", "led to"} {
			for _, end := range []string{"by its run", "by the sweep"} {
				run := end + " as " + as
				f.escalate(run, "alice", "readonly")
				alice := f.login("alice")
				exec(f, alice, "SET ROLE %s; BEGIN; UPDATE orders SET item = 'ink'; "+
					"PREPARE TRANSACTION '%s'", f.name(as), f.suffix)
				finish := func() (err error) {
					if end == "by its run" {
						_, err = f.Deescalate(f.Context(), End{Run: run + "_" + f.suffix})
					} else {
						f.expire(run)
						_, err = f.Sweep(f.Context())
					}
					return err
				}
				for range 2 {
					err := finish()
					require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'", run)
					require.ErrorContains(f, err, "was taken from", run)
					require.False(f, f.reads("alice"))
				}
				exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
				require.NoError(f, finish())
				_, err := f.Sweep(f.Context())
				require.NoError(f, err)
			}
		}
	})
}

// TestQueueForTheCatalogueIsNamed has a login without any right queue for a lock, behind a
// transaction of its own: everybody else queues behind that.
func TestQueueForTheCatalogueIsNamed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		superuser := query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName)
		for _, table := range []string{"pg_auth_members", "pg_db_role_setting", "pg_database",
			"pg_authid", "pg_class"} {
			f.escalate(table, "alice", "readonly")
			f.expire(table)
			reading, queueing := f.login("bob"), f.login("bob")
			exec(f, reading, "BEGIN; SELECT count(oid) FROM pg_database; SELECT count(*) FROM pg_auth_members; "+
				"SELECT count(*) FROM pg_roles; SELECT count(*) FROM pg_class")
			queued := make(chan error, 1)
			go func() {
				_, err := queueing.Exec(context.Background(), "CREATE RULE r AS ON INSERT TO "+
					"pg_catalog."+table+" DO NOTHING")
				queued <- err
			}()
			require.Eventually(f, func() bool {
				return query[bool](f, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
			}, 10*time.Second, 20*time.Millisecond)

			f.within(28*time.Second, func(ctx context.Context) {
				swept, err := f.Sweep(ctx)
				require.Error(f, err, table)
				require.ErrorContains(f, err, fmt.Sprint("session ", queueing.PgConn().PID(), " "), table)
				if table != "pg_class" && (table != "pg_auth_members" || superuser) {
					require.ErrorContains(f, err, "was ended", table)
					require.Len(f, swept.Revoked, 1, table)
				}
			})
			_ = reading.Close(f.Context())
			<-queued
			if table == "pg_class" {
				require.Empty(f, f.membership("alice", "readonly"), "REVOKE does not need that table")
			}
			_ = queueing.Close(f.Context())
			_, _ = f.Sweep(f.Context())
			require.False(f, f.reads("alice"), table)
		}
	})
}

// TestFullTableOfLocksIsNamed has a login without any right fill the lock table.
func TestFullTableOfLocksIsNamed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.expire("run")
		mallory := f.person("mallory")
		for _, step := range []int{2000, 100, 10, 1} {
			for range 50 {
				_, err := mallory.Exec(f.Context(), fmt.Sprintf(
					"SELECT pg_advisory_lock((random() * 1e18)::bigint) FROM generate_series(1, %d)", step))
				if err != nil {
					break
				}
			}
		}
		f.within(28*time.Second, func(ctx context.Context) {
			_, err := f.Sweep(ctx)
			if err == nil { // Another session has left room for ours.
				require.False(f, f.reads("alice"))
				return
			}
			require.ErrorContains(f, err, fmt.Sprint("session ", mallory.PgConn().PID(), " "))
		})
		_ = mallory.Close(f.Context())
		require.Eventually(f, func() bool {
			_, err := f.Sweep(f.Context())
			return err == nil
		}, 20*time.Second, 100*time.Millisecond)
		require.False(f, f.reads("alice"))
	})
}

// TestHoldersCannotHaveARoleRefusedToOthers makes everything that a holder may make as the role.
func TestHoldersCannotHaveARoleRefusedToOthers(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE SCHEMA app; GRANT CREATE, USAGE ON SCHEMA app TO %s", f.name("readonly"))
		exec(f, f.root, "CREATE SCHEMA al AUTHORIZATION %s; GRANT ALL ON SCHEMA al TO PUBLIC",
			f.name("alice"))
		f.setup("readonly")
		for i, make := range []string{
			"CREATE TEMP TABLE t (a int); CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"SELECT lo_create(0)",
			"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
			"CREATE TABLE app.mine (a int)",
			`CREATE COLLATION app.mine FROM "C"`,
			"CREATE TABLE al.mine (a int); RESET ROLE; REVOKE CREATE ON SCHEMA al FROM PUBLIC",
		} {
			f.escalate(fmt.Sprint("of alice ", i), "alice", "readonly")
			alice := f.login("alice")
			exec(f, alice, "SET ROLE %s; %s", f.name("readonly"), make)
			f.escalate(fmt.Sprint("of bob ", i), "bob", "readonly")
			f.deescalate(fmt.Sprint("of bob ", i))
			f.deescalate(fmt.Sprint("of alice ", i))
		}
		if f.server.Major < 15 {
			mallory := f.person("mallory")
			exec(f, mallory, "SELECT lo_create(0); CREATE TABLE theirs (a int)")
			exec(f, mallory, "GRANT %s TO %s", f.name("mallory"), f.name("readonly"))
			f.escalate("on 14", "bob", "readonly")
		}
	})
}

func TestThingsGivenToTheBrokerElsewhereMeanNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.person("mallory")
		elsewhere := f.dial(f.server.URLFor(f.of("mallory"), password, "postgres"))
		var object uint32
		require.NoError(f, elsewhere.QueryRow(f.Context(), "SELECT lo_create(0)").Scan(&object))
		exec(f, elsewhere, "GRANT SELECT ON LARGE OBJECT %d TO %s", object, name(f.broker))
		exec(f, f.root, "CREATE DATABASE %s OWNER %s", f.name("theirs"), f.name("mallory"))
		f.Cleanup(func() { f.drop(f.of("theirs")) })
		exec(f, elsewhere, "GRANT CONNECT ON DATABASE %s TO %s", f.name("theirs"), name(f.broker))
		f.setup("readonly")
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "DELETE FROM sym.grants")
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Repaired, 1)
		require.False(f, f.reads("alice"))
	})
}

// TestStatisticsTellNothingOfTheLedger has a member of pg_read_all_data read places that policies do
// not protect.
func TestStatisticsTellNothingOfTheLedger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		mallory := f.writer("mallory")
		for i := range 20 {
			request := f.request(fmt.Sprint("run", i), "alice", "readonly")
			request.Reason = "secret reason"
			_, err := f.Escalate(f.Context(), request)
			require.NoError(f, err)
		}
		f.escalate("of bob", "bob", "readwrite")
		// A reason that does not compress, and so would be stored outside of its row.
		request := f.request("long", "alice", "readonly")
		request.Reason = query[string](f, `SELECT string_agg(md5(n::text), '')
			FROM generate_series(1, 500) n`)
		_, err := f.Escalate(f.Context(), request)
		require.NoError(f, err)
		exec(f, f.root, "ANALYZE sym.grants; ANALYZE sym.users; ANALYZE sym.allowed")
		var found string
		require.NoError(f, mallory.QueryRow(f.Context(), `SELECT coalesce(string_agg(concat(stavalues1::text,
			stavalues2::text, stavalues3::text, stavalues4::text, stavalues5::text), ''), '')
			FROM pg_statistic WHERE starelid IN
			(SELECT oid FROM pg_class WHERE relnamespace = 'sym'::regnamespace)`).Scan(&found))
		assert.NotContains(f, found, "secret")
		assert.NotContains(f, found, "@example.com")
		assert.NotContains(f, found, f.suffix, "nor whose, nor which role or run")
		apart := query[string](f, `SELECT reltoastrelid::regclass::text FROM pg_class
			WHERE oid = 'sym.grants'::regclass`)
		require.NoError(f, mallory.QueryRow(f.Context(), "SELECT coalesce(string_agg(encode(chunk_data, "+
			"'escape'), ''), '') FROM "+apart).Scan(&found))
		assert.NotContains(f, found, request.Reason[:32], "it is in its row, where policies hold")
	})
}

// TestNewSessionsAreNotEndedAgainAndAgain has an end that stays incomplete for a while.
func TestNewSessionsAreNotEndedAgainAndAgain(t *testing.T) {
	everywhere(t, func(f *fixture) {
		if !query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName) {
			exec(f, f.root, "GRANT pg_read_all_stats TO %s", name(f.ownerName))
		}
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		exec(f, f.root, `UPDATE sym.grants SET sessions_ended_at = NULL,
			revoked_at = revoked_at - interval '2 minutes'`)
		alice := f.login("alice")
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.NoError(f, alice.Ping(f.Context()))
	})
}

func TestPasswordVerifiersAreTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "GRANT pg_read_all_data TO %s", f.name("readonly"))
		checked, err := f.Check(f.Context(), f.request("run", "alice", "readonly"))
		require.NoError(f, err)
		assert.Contains(f, fmt.Sprint(checked.CouldLeave), "pg_authid")
		if f.server.Major >= 18 {
			return // It warns of MD5, and the next one removes it.
		}
		exec(f, f.root, "ALTER DATABASE %s SET password_encryption = 'md5'", name("db_"+f.suffix))
		f.refusedBy(f.ledgerOf(f.broker), event.LastingRole, f.request("run", "alice", "readonly"))
	})
}

// TestSessionsThatStartMeanwhileEnd has a user log in with the role in a loop while it ends.
func TestSessionsThatStartMeanwhileEnd(t *testing.T) {
	everywhere(t, func(f *fixture) {
		settings, err := pgx.ParseConfig(f.server.URLFor(f.of("alice"), password, "db_"+f.suffix))
		require.NoError(f, err)
		settings.RuntimeParams["role"] = f.of("readonly")
		for round := range 3 {
			run := fmt.Sprint("run", round)
			f.escalate(run, "alice", "readonly")
			ctx, stop := context.WithCancel(f.Context())
			sessions := make(chan *pgx.Conn, 1000)
			var trying sync.WaitGroup
			for range 4 {
				trying.Go(func() {
					for ctx.Err() == nil {
						// Once the role is gone, the server refuses.
						if conn, err := pgx.ConnectConfig(f.Context(), settings); err == nil {
							sessions <- conn
						}
					}
				})
			}
			require.Eventually(f, func() bool { return len(sessions) > 4 },
				20*time.Second, time.Millisecond)
			f.deescalate(run)
			stop()
			trying.Wait()
			close(sessions)
			for conn := range sessions {
				_, err := conn.Exec(f.Context(), "SELECT * FROM orders")
				require.Error(f, err, "a session has kept the role")
				_ = conn.Close(f.Context())
			}
		}
	})
}

// TestLedgerLockedAgainAndAgain has sessions that lock the ledger anew as soon as they are ended.
func TestLedgerLockedAgainAndAgain(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.expire("run")
		_ = f.writer("mallory").Close(f.Context())
		ctx, stop := context.WithCancel(f.Context())
		var locking sync.WaitGroup
		for range 5 {
			locking.Go(func() {
				for ctx.Err() == nil {
					conn, err := pgx.Connect(ctx, f.server.URLFor(f.of("mallory"), password, "db_"+f.suffix))
					if err != nil {
						continue
					}
					_, _ = conn.PgConn().Exec(ctx,
						"BEGIN; LOCK TABLE sym.grants; SELECT pg_sleep(100)").ReadAll()
					_ = conn.Close(ctx)
				}
			})
		}
		require.Eventually(f, func() bool {
			return query[bool](f, `SELECT EXISTS (SELECT FROM pg_locks
				WHERE mode = 'AccessExclusiveLock' AND relation = 'sym.grants'::regclass)`)
		}, 20*time.Second, time.Millisecond)
		f.within(29*time.Second, func(ctx context.Context) {
			_, err := f.Sweep(ctx)
			require.Error(f, err)
			require.ErrorContains(f, err, "mallory_"+f.suffix)
			if f.reads("alice") {
				require.ErrorContains(f, err, f.of("alice"))
			}
		})
		stop()
		locking.Wait()

		// A user who is always faster: each try ends their sessions, and finds new ones.
		f.escalate("faster", "bob", "readonly")
		f.expire("faster")
		exec(f, f.root, `CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO %s;
			CREATE OR REPLACE FUNCTION sym.clear_way(crowded boolean)
			RETURNS TABLE (whose text, ended boolean, crowding boolean) LANGUAGE sql AS
			'SELECT format(''the session %%s of mallory'', nextval(''public.tries'')), true, crowded'`,
			name(f.broker))
		exec(f, f.root, "BEGIN; LOCK TABLE sym.grants")
		_, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, "the session 5 of mallory. That session was ended")
		require.ErrorContains(f, err, fmt.Sprintf(`"%s" has "%s"`, f.of("bob"), f.of("readonly")))
		require.Equal(f, 5, query[int](f, "SELECT last_value::int FROM tries"))
		exec(f, f.root, "ROLLBACK")
	})
}

// TestAdministratorsOfAUserKeepTheirSessions has the creator of a user, who from 16 on is a member of
// it only to grant it to others.
func TestAdministratorsOfAUserKeepTheirSessions(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "CREATE ROLE %s LOGIN CREATEROLE PASSWORD '%s'", f.name("hr"),
			strings.ReplaceAll(password, "'", "''"))
		hr := f.login("hr")
		exec(f, hr, "CREATE ROLE %s LOGIN PASSWORD '%s'", f.name("dora"),
			strings.ReplaceAll(password, "'", "''"))
		f.escalate("run", "dora", "readonly")
		f.deescalate("run")
		require.NoError(f, hr.Ping(f.Context()))
	})
}

func TestMayHandItOutIsStillHeld(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		with := "WITH ADMIN OPTION"
		if f.server.Major >= 16 {
			with = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
		}
		exec(f, f.owner, "GRANT %s TO %s %s", f.name("readonly"), f.name("alice"), with)
		assert.Equal(f, []string{f.of("readonly")}, f.deescalate("run").StillMemberThrough)
	})
}
