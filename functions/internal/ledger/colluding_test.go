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

// In these tests a holder of a role has a friend who can log in but has no rights.

// leak is a function that reads the orders with its owner's rights.
func leak(schema, name string) string {
	return fmt.Sprintf("CREATE FUNCTION %s.%s() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER "+
		"AS 'SELECT item FROM public.orders'", schema, name)
}

// helper makes a function that belongs to the role, in a schema of alice's, and that acts for
// anyone who calls it.
func (f *fixture) helper(role, does string) {
	f.Helper()
	require.NoError(f, f.tries("alice", fmt.Sprintf(`SET ROLE %s; CREATE FUNCTION al.helper()
		RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $h$ BEGIN %s; END $h$`, role, does)))
}

// colluders gives alice a schema in which everybody may do everything.
func (f *fixture) colluders() (bob *pgx.Conn) {
	f.Helper()
	exec(f, f.root, "CREATE SCHEMA al AUTHORIZATION %s", f.name("alice"))
	exec(f, f.root, "GRANT ALL ON SCHEMA al TO PUBLIC")
	return f.login("bob")
}

// await waits until a query returns true.
func (f *fixture) await(sql string, args ...any) {
	f.Helper()
	require.Eventually(f, func() bool { return query[bool](f, sql, args...) },
		20*time.Second, 5*time.Millisecond)
}

func whats(left []event.LeftBehind) string {
	var all []string
	for _, l := range left {
		all = append(all, l.Kind+": "+l.What)
	}
	return strings.Join(all, "\n")
}

func TestThingsOfPredefinedRolesAreFound(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.colluders()
		exec(f, f.root, "GRANT pg_read_all_data TO %s", f.name("readwrite"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "SET ROLE pg_read_all_data; "+leak("al", "leak")+
			"; CREATE VIEW al.leaking AS SELECT * FROM public.orders"))
		_, err := bob.Exec(f.Context(), "SELECT al.leak()")
		require.NoError(f, err, "it leaks")
		found := whats(f.deescalate("run").LeftBehind)
		assert.Contains(f, found, `function al.leak() runs with the rights of "pg_read_all_data"`)
		assert.Contains(f, found, `view al.leaking reads with the rights of "pg_read_all_data"`)
	})
}

// TestTransactionsOfFriendsAreLookedAt lets a friend's transaction make things that cannot be traced
// to the holder.
func TestTransactionsOfFriendsAreLookedAt(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		for _, way := range []struct{ name, schema, commits, mark string }{
			{"before the end", "al", "before", "pg_current_xact_id()"},
			{"after the end", "al", "after", "1"},
			{"after the end, with a number from before the grant", "al", "after", "pg_current_xact_id()"},
			{"after the end, prepared", "al", "prepared", "1"},
			{"in the friend's temporary schema", "pg_temp", "before", "1"},
		} {
			run := "run " + way.commits + way.schema + way.mark
			bob := f.login("bob")
			idle := f.login("bob")
			exec(f, idle, "BEGIN; SELECT 1")
			exec(f, bob, "BEGIN; SELECT %s", way.mark)
			f.escalate(run, "alice", "readwrite")
			f.helper(f.name("readwrite"), leak(way.schema, "leak"))
			exec(f, bob, "SELECT al.helper()")
			if way.commits == "before" {
				exec(f, bob, "COMMIT")
			}
			if way.commits == "prepared" {
				exec(f, bob, "PREPARE TRANSACTION '%s'", f.suffix)
			}
			if way.commits != "before" {
				require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+
					"; DROP FUNCTION al.helper()"))
			} else {
				exec(f, f.root, "DROP FUNCTION al.helper()")
			}
			answer := f.deescalate(run)
			said := whats(answer.LeftBehind)
			if way.commits != "before" {
				// Another transaction that stays open hides nothing.
				defer idle.Close(f.Context())
				require.NotContains(f, said, "leak()", way.name)
				_, err := f.Sweep(f.Context())
				require.NoError(f, err, way.name)
				if way.commits == "prepared" {
					exec(f, bob, "COMMIT PREPARED '%s'", f.suffix)
				} else {
					exec(f, bob, "COMMIT")
				}
				_, err = f.Sweep(f.Context())
				require.Error(f, err, way.name)
				said = err.Error()
				_, err = f.Sweep(f.Context())
				require.NoError(f, err, "it is told once")
			}
			assert.Regexp(f, `function (al|pg_temp_\d+)\.leak\(\) runs with the rights of "readwrite_`+
				f.suffix, said, way.name)
			_, err := bob.Exec(f.Context(), "SELECT "+way.schema+".leak()")
			require.NoError(f, err, "it leaks")
			exec(f, bob, "BEGIN; COMMIT")
			exec(f, f.root, "DROP FUNCTION IF EXISTS al.leak()")
			_ = bob.Close(f.Context())
		}
	})
}

// TestWhatTheNextHolderMakesIsTheirs has somebody else hold the role and work with it, while a
// transaction from before the end of the first run is still open.
func TestWhatTheNextHolderMakesIsTheirs(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		bob := f.login("bob")
		f.escalate("first", "alice", "readwrite")
		exec(f, bob, "BEGIN; SELECT 1")
		f.deescalate("first")
		f.escalate("second", "bob", "readwrite")
		require.NoError(f, f.tries("bob", "SET ROLE "+f.name("readwrite")+"; CREATE TABLE al.work (n int)"))
		exec(f, bob, "COMMIT")
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Contains(f, whats(f.deescalate("second").LeftBehind), "al.work")
	})
}

// TestSessionInsideOfTheRoleIsTold has a friend's session continue inside a routine of the role's
// that has been dropped.
func TestSessionInsideOfTheRoleIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.colluders()
		exec(f, f.root, "CREATE TABLE al.beat (n int); GRANT ALL ON al.beat TO PUBLIC")
		// A view that its owner cannot read explains nothing.
		exec(f, bob, "CREATE VIEW al.nothing AS SELECT * FROM public.orders")
		f.escalate("run", "alice", "readwrite")
		f.helper(f.name("readwrite"), `LOOP PERFORM item FROM public.orders; PERFORM pg_sleep(0.01);
			EXIT WHEN (SELECT count(*) FROM al.beat) > 0; END LOOP`)
		done := make(chan error, 1)
		go func() {
			_, err := bob.Exec(context.Background(), "SELECT al.helper()")
			done <- err
		}()
		f.await(`SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND pid = $1)`,
			bob.PgConn().PID())
		exec(f, f.root, "DROP FUNCTION al.helper()")
		found := whats(f.deescalate("run").LeftBehind)
		assert.Contains(f, found, fmt.Sprintf(
			`the session %d of "%s" has a lock on public.orders`, bob.PgConn().PID(), f.of("bob")))
		_, err := f.Sweep(f.Context())
		require.NoError(f, err, "it was told")
		exec(f, f.root, "INSERT INTO al.beat VALUES (1)")
		require.NoError(f, <-done)
	})
}

// TestSessionThatBeginsLaterToUseTheRoleIsTold is the same, but nothing shows at the end of the run.
func TestSessionThatBeginsLaterToUseTheRoleIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.colluders()
		exec(f, f.root, "CREATE TABLE al.beat (n int); GRANT ALL ON al.beat TO PUBLIC")
		f.escalate("run", "alice", "readwrite")
		f.helper(f.name("readwrite"), `LOOP PERFORM pg_sleep(0.01);
			EXIT WHEN (SELECT count(*) FROM al.beat) > 0; END LOOP;
			LOOP PERFORM item FROM public.orders; PERFORM pg_sleep(0.01);
			EXIT WHEN (SELECT count(*) FROM al.beat) > 1; END LOOP`)
		done := make(chan error, 1)
		go func() {
			_, err := bob.Exec(context.Background(), "SELECT al.helper()")
			done <- err
		}()
		f.await(`SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'al.beat'::regclass AND pid = $1)`,
			bob.PgConn().PID())
		exec(f, f.root, "DROP FUNCTION al.helper()")
		assert.NotContains(f, whats(f.deescalate("run").LeftBehind), "in_use")
		exec(f, f.root, "INSERT INTO al.beat VALUES (1)")
		f.await(`SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND pid = $1)`,
			bob.PgConn().PID())
		_, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, fmt.Sprintf("the session %d of %q has a lock on public.orders",
			bob.PgConn().PID(), f.of("bob")))
		_, err = f.Sweep(f.Context())
		require.NoError(f, err, "it is told once")
		exec(f, f.root, "INSERT INTO al.beat VALUES (1)")
		require.NoError(f, <-done)
	})
}

// TestOrdinaryWorkIsNotInUse has sessions at work on tables to which their users have no right,
// by a view, a partition and a foreign key of the owner's.
func TestOrdinaryWorkIsNotInUse(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, `CREATE VIEW shown AS SELECT * FROM orders;
			CREATE TABLE split (n int) PARTITION BY RANGE (n);
			CREATE TABLE part PARTITION OF split DEFAULT;
			CREATE TABLE kinds (n int PRIMARY KEY);
			CREATE TABLE kept (n int REFERENCES kinds);
			INSERT INTO kinds VALUES (1)`)
		exec(f, f.owner, "GRANT SELECT ON shown, split TO %[1]s; GRANT INSERT ON kept TO %[1]s",
			f.name("bob"))
		exec(f, f.owner, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s", f.name("readwrite"))
		f.escalate("run", "alice", "readwrite")
		bob := f.login("bob")
		exec(f, bob, "BEGIN; SELECT FROM shown; SELECT FROM split; INSERT INTO kept VALUES (1)")
		if f.server.Major >= 17 {
			exec(f, f.owner, "GRANT MAINTAIN ON orders TO %s", f.name("bob"))
			exec(f, f.login("bob"), "BEGIN; ANALYZE orders")
		}
		// Who does not inherit a role can set it.
		exec(f, f.owner, "CREATE ROLE %[1]s; GRANT ALL ON orders TO %[1]s", f.name("app"))
		exec(f, f.root, "ALTER ROLE %s NOINHERIT", f.name("bob"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("app"), f.name("bob"))
		exec(f, f.login("bob"), "BEGIN; SET ROLE %s; SELECT FROM orders", f.name("app"))
		assert.NotContains(f, whats(f.deescalate("run").LeftBehind), "in_use")
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
	})
}

func TestPreparedUnderAnotherGroupIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		exec(f, f.owner, "CREATE ROLE %s; GRANT UPDATE ON orders TO %s", f.name("team"), f.name("readwrite"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("team"), f.name("alice"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", fmt.Sprintf(`BEGIN; SET ROLE %s; UPDATE orders SET item = 'ink';
			SET ROLE %s; PREPARE TRANSACTION '%s'`, f.name("readwrite"), f.name("team"), f.suffix)))
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
		f.deescalate("run")
	})
}

// TestOverlappingRunsAreOneTime has a person make things in their first run, and keep the role by a
// second.
func TestOverlappingRunsAreOneTime(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		exec(f, f.owner, "GRANT UPDATE ON orders TO %s", f.name("readwrite"))
		f.escalate("first", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; "+leak("al", "leak")))
		require.NoError(f, f.tries("alice", fmt.Sprintf(
			"BEGIN; UPDATE orders SET item = 'ink'; PREPARE TRANSACTION '%s'", f.suffix)))
		f.escalate("second", "alice", "readwrite")
		f.escalate("third", "alice", "readwrite")
		f.deescalate("first")
		f.deescalate("second")
		_, err := f.Deescalate(f.Context(), End{Run: "third_" + f.suffix})
		require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
		f.giveOwner("readwrite")
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		answer := f.deescalate("third")
		assert.Contains(f, whats(answer.LeftBehind), "leak()")
		require.Len(f, answer.LeftBehind, 1, answer.NotLookedFor)
		assert.True(f, answer.LeftBehind[0].TakenBack)
	})
}

// TestRulesOfTheRoleAreFound makes rules, which act with the owner's rights whatever options the
// view has.
func TestRulesOfTheRoleAreFound(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		exec(f, f.root, "CREATE TABLE al.sink (item text); GRANT ALL ON al.sink TO PUBLIC")
		f.escalate("run", "alice", "readwrite")
		rule := "CREATE RULE r AS ON INSERT TO al.%s DO %s INSERT INTO al.sink SELECT item FROM public.orders; "
		require.NoError(f, f.tries("alice", fmt.Sprintf("SET ROLE %s; CREATE VIEW al.v AS SELECT 1 AS x; "+
			"CREATE TABLE al.t (x int); "+rule+rule, f.name("readwrite"), "v", "INSTEAD", "t", "ALSO")))
		f.giveOwner("readwrite")
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		found := f.deescalate("run").LeftBehind
		for on, taken := range map[string]bool{"v": false, "t": true} {
			what := fmt.Sprintf("the rule r on al.%s acts with the rights of %q", on, f.of("readwrite"))
			assert.Contains(f, found, event.LeftBehind{Kind: "attached", What: what, TakenBack: taken})
			exec(f, f.root, "INSERT INTO al.%s VALUES (1)", on)
			assert.Equal(f, taken, query[int](f, "SELECT count(*) FROM al.sink") == 0)
			exec(f, f.root, "DELETE FROM al.sink")
		}
	})
}

func TestForeignKeyToATableOfTheRoleIsFound(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.colluders()
		exec(f, f.owner, "CREATE TABLE accounts (email text PRIMARY KEY); GRANT ALL ON accounts TO %s",
			f.name("readwrite"))
		exec(f, f.root, "CREATE TABLE al.probe (e text); ALTER TABLE al.probe OWNER TO %s", f.name("alice"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice",
			"ALTER TABLE al.probe ADD FOREIGN KEY (e) REFERENCES public.accounts ON UPDATE CASCADE"))
		assert.Contains(f, whats(f.deescalate("run").LeftBehind), "foreign key probe_e_fkey on al.probe")
	})
}

// TestTriggerByARoleThatIsNotInheritedIsFound has the holder put a function of somebody else's on
// a table by a role that they can only set.
func TestTriggerByARoleThatIsNotInheritedIsFound(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.colluders()
		exec(f, bob, "CREATE FUNCTION al.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'")
		exec(f, f.owner, "CREATE ROLE %[1]s; GRANT ALL ON orders TO %[1]s", f.name("app"))
		exec(f, f.root, "ALTER ROLE %s NOINHERIT; ALTER ROLE %s NOINHERIT", f.name("readwrite"), f.name("alice"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("app"), f.name("readwrite"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", fmt.Sprintf("SET ROLE %s; CREATE TRIGGER zz AFTER INSERT "+
			"ON orders FOR EACH ROW EXECUTE FUNCTION al.spy()", f.name("app"))))
		assert.Contains(f, whats(f.deescalate("run").LeftBehind), "the trigger zz on public.orders")
	})
}

// TestManyLocksAreNoHarm has an uninvolved user hold very many locks while a holder keeps their own
// run from ending.
func TestManyLocksAreNoHarm(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT UPDATE ON orders TO %s", f.name("readwrite"))
		bob, idle := f.login("bob"), f.login("bob")
		exec(f, bob, "SELECT pg_advisory_lock(i) FROM generate_series(1, 1700) i")
		require.Greater(f, query[int](f, "SELECT count(*) FROM pg_locks WHERE pid = $1", bob.PgConn().PID()), 1600)
		f.escalate("run", "alice", "readwrite")
		exec(f, f.login("alice"), "BEGIN; UPDATE orders SET item = 'ink'; PREPARE TRANSACTION '%s'", f.suffix)
		f.expire("run")
		_, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, "ROLLBACK PREPARED")
		require.NotContains(f, err.Error(), f.of("bob"))
		require.NoError(f, bob.Ping(f.Context()))
		require.NoError(f, idle.Ping(f.Context()))
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
	})
}

// TestSweepTakesEveryRoleBeforeAnySession has sessions that take long to end: they must not delay
// anybody else's revoke, although there is no time to end them one by one.
func TestSweepTakesEveryRoleBeforeAnySession(t *testing.T) {
	everywhere(t, func(f *fixture) {
		ctx, stop := context.WithCancel(f.Context())
		var starting sync.WaitGroup
		settings, err := pgx.ParseConfig(f.server.URLFor(f.of("bob"), password, "db_"+f.suffix))
		require.NoError(f, err)
		settings.RuntimeParams["post_auth_delay"] = "30"
		for range 20 {
			starting.Go(func() {
				for ctx.Err() == nil {
					if conn, err := pgx.ConnectConfig(ctx, settings); err == nil {
						_ = conn.Close(ctx)
					}
				}
			})
		}
		defer starting.Wait()
		defer stop()
		var people []string
		for i := range 6 {
			people = append(people, fmt.Sprint("person", i))
			_ = f.person(people[i]).Close(f.Context())
			f.escalate(people[i], people[i], "readonly")
			f.expire(people[i])
		}
		soon, cancel := context.WithTimeout(f.Context(), 28*time.Second)
		defer cancel()
		swept, err := f.Sweep(soon)
		for _, who := range people {
			require.Empty(f, f.membership(who, "readonly"), "%s, %v", who, err)
		}
		if err == nil {
			require.Len(f, swept.Revoked, len(people))
		}
	})
}
