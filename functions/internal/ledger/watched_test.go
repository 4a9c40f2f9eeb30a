package ledger

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests try to end the watch over a friend's transaction before it is over, to get past a
// search, or to have innocent work told.

// inside has bob call a function of the role's that makes al.leak() once he is let go, and drops
// that function.
func (f *fixture) inside(role string) (wait func()) {
	f.Helper()
	f.helper(f.name(role), waits()+quietly("leak"))
	wait = f.call(f.login("bob"))
	exec(f, f.root, "DROP FUNCTION al.helper()")
	return wait
}

const leaks = "function al.leak() runs with the rights of"

// TestCommitBesidesTheSearchIsTold has a friend commit after the search has read the catalogue and
// before it reads the open transactions, of which another one stays open.
func TestCommitBesidesTheSearchIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		exec(f, f.login("bob"), "BEGIN; SELECT 1")
		f.escalate("run", "alice", "readwrite")
		wait := f.inside("readwrite")
		exec(f, f.owner, "%s", `ALTER FUNCTION sym.watched() RENAME TO watched_now;
			CREATE FUNCTION sym.watched() RETURNS text[] LANGUAGE plpgsql AS $$ BEGIN
			WHILE NOT EXISTS (SELECT FROM pg_proc WHERE proname = 'leak') LOOP PERFORM pg_sleep(0.01); END LOOP;
			RETURN sym.watched_now(); END $$; REVOKE ALL ON FUNCTION sym.watched() FROM PUBLIC;
			GRANT EXECUTE ON FUNCTION sym.watched() TO `+name(f.broker))
		ended := make(chan string)
		go func() { ended <- whats(f.deescalate("run").LeftBehind) }()
		f.await("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'PgSleep')",
			f.broker)
		wait()
		require.NotContains(f, <-ended, "leak")
		f.tells(leaks)
	})
}

// TestSweepDoesNotUndoASearch has the workflow search while a sweep is looking.
func TestSweepDoesNotUndoASearch(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.escalate("run", "alice", "readwrite")
		wait := f.inside("readwrite")
		answer, err := f.end(f.Context(), End{Run: "run_" + f.suffix}, patiently)
		require.NoError(f, err)
		sweep := f.newSweep(expired)
		looked := sweep.lookAgain(f.Context())
		f.lookBehind(f.Context(), &answer)
		sweep.looked(f.Context(), looked)
		wait()
		f.tells(leaks)
	})
}

// TestNewGrantOfMoreHidesNothing has the holder get a role that includes the first one.
func TestNewGrantOfMoreHidesNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		// An old number must not delay the telling either.
		exec(f, f.login("bob"), "BEGIN; SELECT pg_current_xact_id()")
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("readwrite"))
		f.escalate("first", "alice", "readonly")
		wait := f.inside("readonly")
		f.deescalate("first")
		wait()
		f.escalate("second", "alice", "readwrite")
		f.escalate("third", "bob", "readonly")
		f.tells(leaks)
	})
}

// TestLeakBesideAnotherHolderIsTold has somebody else hold the role for longer, so that what appears
// may be theirs.
func TestLeakBesideAnotherHolderIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.person("carol")
		f.escalate("long", "carol", "readwrite")
		f.escalate("run", "alice", "readwrite")
		wait := f.inside("readwrite")
		f.deescalate("run")
		require.NoError(f, f.tries("carol", "SET ROLE "+f.name("readwrite")+"; CREATE TABLE al.work (n int)"))
		wait()
		_, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, leaks)
		require.ErrorContains(f, err, "Others have held that role since then")
		require.NotContains(f, err.Error(), "al.work")
		f.sweeps()
	})
}

// TestFailedLookEndsNoWatch has a look fail while a friend's transaction is open.
func TestFailedLookEndsNoWatch(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.escalate("run", "alice", "readwrite")
		wait := f.inside("readwrite")
		f.deescalate("run")
		exec(f, f.owner, "%s", `ALTER FUNCTION sym.listed_later(sym.grants) RENAME TO listed;
			CREATE FUNCTION sym.listed_later(of_run sym.grants, OUT theirs xid8, OUT others xid8)
			LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / 0; END'; REVOKE ALL ON FUNCTION sym.listed_later FROM PUBLIC;
			GRANT EXECUTE ON FUNCTION sym.listed_later TO `+name(f.broker))
		f.tells("could not be looked at: the database answered: division by zero")
		exec(f, f.owner, "DROP FUNCTION sym.listed_later; ALTER FUNCTION sym.listed RENAME TO listed_later")
		wait()
		f.tells(leaks)
	})
}

// TestNamesOfTheServerThatUTF8LacksAreTold has names of prepared transactions and roles that come
// from a database of another encoding.
func TestNamesOfTheServerThatUTF8LacksAreTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		exec(f, f.root, "CREATE DATABASE latin_%s TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'", f.suffix)
		f.Cleanup(func() { f.drop("latin_" + f.suffix) })
		root := f.dial(f.server.URLFor(f.server.Superuser, f.server.Password, "latin_"+f.suffix))
		exec(f, root, "SET client_encoding = 'UTF8'")
		exec(f, root, `CREATE ROLE "müller_%s"`, f.suffix)
		exec(f, f.owner, "CREATE ROLE %[1]s; GRANT %[1]s TO %[2]s, %[3]s", f.name("team"), f.name("alice"), f.name("bob"))
		f.giveOwner("readwrite")
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		f.escalate("run", "alice", "readwrite")
		exec(f, root, `GRANT "müller_%s" TO %s`, f.suffix, f.name("alice"))
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; DO $$ BEGIN "+quietly("leak")+"; END $$"))
		bob := f.dial(f.server.URLFor(f.of("bob"), password, "latin_"+f.suffix))
		exec(f, bob, "SET client_encoding = 'UTF8'")
		exec(f, bob, "BEGIN; SET ROLE %s; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'é%s'",
			f.name("team"), f.suffix)
		answer := f.deescalate("run")
		exec(f, bob, "ROLLBACK PREPARED 'é%s'", f.suffix)
		exec(f, root, `DROP ROLE "müller_%s"`, f.suffix)
		require.Empty(f, answer.NotLookedFor)
		said := whats(answer.LeftBehind)
		assert.Contains(f, said, leaks)
		assert.Contains(f, said, `the prepared transaction '\u00e9`+f.suffix)
		assert.Contains(f, said, `member of "m\u00fcller_`+f.suffix)
	})
}

// TestOddNamesStopNoGrant has a login without rights choose names that are read before a grant.
func TestOddNamesStopNoGrant(t *testing.T) {
	for _, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			f := newFixtureIn(t, server, false, "WIN1252")
			f.friends()
			odd := `'a' || convert_from('\x81', 'WIN1252')`
			require.NoError(f, f.tries("bob", fmt.Sprintf(`DO $$ BEGIN EXECUTE format('CREATE TABLE al.%%I (n int)', %s);
				EXECUTE format('GRANT TRIGGER ON al.%%I TO %s', %[1]s); END $$`, odd, f.name("readwrite"))))
			f.escalate("run", "alice", "readwrite")
			f.sweeps()
		})
	}
}

// TestPreparedWithTheRoleHoldsUpTheEnd has work with the role prepared as a group that may read the
// table, or whose tables have a foreign key to it.
func TestPreparedWithTheRoleHoldsUpTheEnd(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, `CREATE TABLE kinds (n int PRIMARY KEY); ALTER TABLE orders ADD kind int REFERENCES kinds;
			CREATE ROLE %[1]s; GRANT SELECT ON orders TO %[1]s; GRANT UPDATE ON orders TO %[2]s; GRANT %[1]s TO %[3]s`,
			f.name("team"), f.name("readwrite"), f.name("alice"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", fmt.Sprintf(`BEGIN; SET ROLE %s; UPDATE orders SET item = 'ink';
			SET ROLE %s; PREPARE TRANSACTION '%s'`, f.name("readwrite"), f.name("team"), f.suffix)))
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
		f.deescalate("run")
	})
}

// TestWorkOfOthersWithTheRoleIsNotTold has somebody who keeps the role work with it, before the grant and
// after the end.
func TestWorkOfOthersWithTheRoleIsNotTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.friends()
		// What is prepared before the grant cannot be used with the role.
		exec(f, bob, "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '%s'", f.suffix)
		f.person("dave")
		exec(f, f.owner, "GRANT %s TO %s", f.name("readwrite"), f.name("dave"))
		makes := func(table string) {
			require.NoError(f, f.tries("dave", "SET ROLE "+f.name("readwrite")+"; CREATE TABLE al."+table+" (n int)"))
		}
		makes("before")
		exec(f, f.root, "INSERT INTO sym.allowed VALUES ('%s')", f.of("readwrite"))
		f.escalate("run", "alice", "readwrite")
		exec(f, bob, "BEGIN; SELECT 1")
		require.Empty(f, f.deescalate("run").LeftBehind)
		makes("after")
		f.sweeps()
		exec(f, f.root, "DROP TABLE al.after")
		exec(f, bob, "COMMIT")
		f.sweeps()
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
	})
}

// TestManyThingsHideNoDanger has the holder make many harmless things of their own.
func TestManyThingsHideNoDanger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", `CREATE TABLE al.mine (n int);
			CREATE FUNCTION al.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
			DO $$ BEGIN FOR i IN 1..60 LOOP
				EXECUTE format('CREATE TRIGGER t%s AFTER INSERT ON al.mine FOR EACH ROW EXECUTE FUNCTION al.noop()', i);
				EXECUTE format('CREATE TABLE al.mine%s (n int)', i);
				EXECUTE format('GRANT SELECT ON al.mine%s TO PUBLIC', i);
			END LOOP; END $$`))
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; DO $$ BEGIN "+quietly("leak")+"; END $$"))
		f.helper(f.name("readwrite"), "PERFORM item FROM public.orders; "+waits()+"NULL")
		wait := f.call(f.login("bob"))
		exec(f, f.root, "DROP FUNCTION al.helper()")
		answer := f.deescalate("run")
		assert.Contains(f, whats(answer.LeftBehind), leaks)
		assert.Contains(f, whats(answer.LeftBehind), "has a lock on public.orders")
		assert.Greater(f, answer.LeftBehindMore, 100)
		f.sweeps()
		wait()
	})
}

// TestRuleThatIsEnabledAgainIsTold has a friend enable what an administrator has disabled.
func TestRuleThatIsEnabledAgainIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		exec(f, f.root, `CREATE TABLE kept (n int); ALTER TABLE kept OWNER TO %s; INSERT INTO sym.allowed VALUES ('%s');
			CREATE TABLE al.sink (item text); GRANT ALL ON al.sink TO PUBLIC`, f.name("readwrite"), f.of("readwrite"))
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; CREATE RULE r AS ON INSERT TO "+
			"public.kept DO ALSO INSERT INTO al.sink SELECT item FROM public.orders"))
		f.helper(f.name("readwrite"), waits()+"ALTER TABLE public.kept ENABLE RULE r")
		wait := f.call(f.login("bob"))
		exec(f, f.root, "DROP FUNCTION al.helper()")
		require.Contains(f, whats(f.deescalate("run").LeftBehind), "the rule r on public.kept")
		exec(f, f.root, "ALTER TABLE kept DISABLE RULE r")
		wait()
		f.tells("the rule r on public.kept")
	})
}

// TestThingsInOtherDatabasesAreCounted has a friend make things elsewhere while a second run is at work
// there.
func TestThingsInOtherDatabasesAreCounted(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		other := "other_" + f.suffix
		exec(f, f.root, "CREATE DATABASE %s", other)
		f.Cleanup(func() { f.drop(other) })
		root := f.dial(f.server.URLFor(f.server.Superuser, f.server.Password, other))
		exec(f, root, "CREATE SCHEMA al AUTHORIZATION %s; GRANT ALL ON SCHEMA al TO PUBLIC", f.name("alice"))
		in := func(who string) *pgx.Conn { return f.dial(f.server.URLFor(f.of(who), password, other)) }
		bob := in("bob")
		f.escalate("first", "alice", "readwrite")
		exec(f, in("alice"), "SET ROLE %s; CREATE FUNCTION al.helper() RETURNS void LANGUAGE plpgsql "+
			"SECURITY DEFINER AS $h$ BEGIN %s; END $h$", f.name("readwrite"), quietly("leak"))
		exec(f, bob, "BEGIN; SELECT al.helper()")
		exec(f, root, "DROP FUNCTION al.helper()")
		f.deescalate("first")
		exec(f, bob, "COMMIT")
		f.escalate("second", "alice", "readwrite")
		exec(f, in("alice"), "SET ROLE %s; CREATE TABLE al.work (n int)", f.name("readwrite"))
		f.tells(fmt.Sprintf(`in the database %q 2 objects belong to %q`, other, f.of("readwrite")))
		exec(f, root, "DROP OWNED BY %s", f.name("readwrite"))
	})
}

// TestRightsThatDoNotReadExplainNoReading has a friend inside of the role read a table on which
// somebody else with a right to write has a view; and the database's owner analyze it.
func TestRightsThatDoNotReadExplainNoReading(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		clerk, owner := f.person("clerk"), f.person("dbo")
		exec(f, f.owner, "GRANT INSERT ON orders TO %s", f.name("clerk"))
		exec(f, clerk, "CREATE VIEW al.nothing AS SELECT * FROM public.orders")
		exec(f, f.root, "ALTER DATABASE %s OWNER TO %s", name("db_"+f.suffix), f.name("dbo"))
		f.escalate("run", "alice", "readwrite")
		f.helper(f.name("readwrite"), "PERFORM item FROM public.orders; "+waits()+"NULL")
		wait := f.call(f.login("bob"))
		exec(f, f.root, "DROP FUNCTION al.helper()")
		exec(f, owner, "BEGIN; ANALYZE orders")
		said := whats(f.deescalate("run").LeftBehind)
		assert.Contains(f, said, "has a lock on public.orders, which \""+f.of("bob")+"\" may not read")
		assert.NotContains(f, said, f.of("dbo"))
		exec(f, owner, "COMMIT")
		wait()
	})
}
