package ledger

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

// These tests search again after the end of a run, while a friend of the holder works on.

// call has somebody call al.helper(), and returns how to wait for the call's end. The helper has to
// begin with f.waits().
func (f *fixture) call(conn *pgx.Conn) (wait func()) {
	f.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT al.helper()")
		done <- err
	}()
	f.await(`SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'al.beat'::regclass AND pid = $1)`,
		conn.PgConn().PID())
	return func() {
		f.Helper()
		exec(f, f.root, "INSERT INTO al.beat VALUES (1)")
		require.NoError(f, <-done)
		exec(f, f.root, "DELETE FROM al.beat")
	}
}

// waits is how a helper waits until its call is let go.
func waits() string {
	return "LOOP PERFORM pg_sleep(0.01); EXIT WHEN (SELECT count(*) FROM al.beat) > 0; END LOOP; "
}

// quietly makes a function with the role's rights without touching a table, in a subtransaction,
// whose number is another than the transaction's.
func quietly(name string) string {
	return fmt.Sprintf("BEGIN CREATE FUNCTION al.%s() RETURNS SETOF text LANGUAGE plpgsql SECURITY "+
		"DEFINER AS 'BEGIN RETURN QUERY SELECT item FROM public.orders; END'; "+
		"EXCEPTION WHEN division_by_zero THEN NULL; END", name)
}

// friends is [fixture.colluders] with a table to let calls go by.
func (f *fixture) friends() (bob *pgx.Conn) {
	f.Helper()
	bob = f.colluders()
	exec(f, f.root, "CREATE TABLE al.beat (n int); GRANT ALL ON al.beat TO PUBLIC")
	return bob
}

func (f *fixture) sweeps() {
	f.Helper()
	_, err := f.Sweep(f.Context())
	require.NoError(f, err)
}

// tells is a sweep that fails and says so, once.
func (f *fixture) tells(what string) {
	f.Helper()
	_, err := f.Sweep(f.Context())
	require.ErrorContains(f, err, what)
	f.sweeps()
}

// TestWhatIsMadeAgainIsToldAgain has a friend make again, under the same name, what was listed when
// the run ended.
func TestWhatIsMadeAgainIsToldAgain(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.giveOwner("readwrite")
		for _, end := range []OnEnd{Report, TakeBack} {
			f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: end})
			bob := f.login("bob")
			f.escalate("run "+string(end), "alice", "readwrite")
			require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; DO $$ BEGIN "+
				quietly("leak")+"; END $$"))
			f.helper(f.name("readwrite"), waits()+quietly("leak"))
			wait := f.call(bob)
			exec(f, f.root, "DROP FUNCTION al.helper()")
			answer := f.deescalate("run " + string(end))
			require.Contains(f, whats(answer.LeftBehind), "function al.leak() runs with the rights of")
			require.Equal(f, end == TakeBack, answer.LeftBehind[0].TakenBack)
			f.sweeps()
			exec(f, f.root, "DROP FUNCTION al.leak()")
			wait()
			f.tells("function al.leak() runs with the rights of")
			exec(f, f.root, "DROP FUNCTION al.leak()")
		}
	})
}

// TestNewGrantHidesNothing has the same role granted again between a friend's commit and the sweep.
func TestNewGrantHidesNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		bob := f.login("bob")
		f.escalate("first", "alice", "readwrite")
		f.helper(f.name("readwrite"), waits()+quietly("leak"))
		wait := f.call(bob)
		exec(f, f.root, "DROP FUNCTION al.helper()")
		f.deescalate("first")
		wait()
		f.escalate("second", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; CREATE TABLE al.work (n int)"))
		_, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, "function al.leak() runs with the rights of")
		require.NotContains(f, err.Error(), "al.work", "that is listed when the second run ends")
		assert.Contains(f, whats(f.deescalate("second").LeftBehind), "al.work")
		f.sweeps()
	})
}

// TestNothingBeginsUnseenBetweenEndAndSearch has a friend call a function of the role's after the
// sessions are ended, which the holder drops before the search; or, with TakeBack, before the
// search makes it harmless.
func TestNothingBeginsUnseenBetweenEndAndSearch(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.giveOwner("readwrite")
		for _, end := range []OnEnd{Report, TakeBack} {
			f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: end})
			bob := f.login("bob")
			run := "run " + string(end)
			f.escalate(run, "alice", "readwrite")
			f.helper(f.name("readwrite"), waits()+quietly("leak"))
			answer, err := f.end(f.Context(), End{Run: run + "_" + f.suffix}, patiently)
			require.NoError(f, err)
			wait := f.call(bob)
			if end == Report {
				require.NoError(f, f.tries("alice", "DROP FUNCTION al.helper()"))
			}
			f.lookBehind(f.Context(), &answer)
			assert.NotContains(f, whats(answer.LeftBehind), "leak")
			f.sweeps()
			wait()
			f.tells("function al.leak() runs with the rights of")
			exec(f, f.root, "DROP FUNCTION al.leak(); DROP FUNCTION IF EXISTS al.helper()")
		}
	})
}

// TestSearchThatNeverCameIsMadeUp ends a run without a search, as a function that was killed does.
func TestSearchThatNeverCameIsMadeUp(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.friends()
		f.escalate("run", "alice", "readwrite")
		f.helper(f.name("readwrite"), "NULL")
		_, err := f.end(f.Context(), End{Run: "run_" + f.suffix}, patiently)
		require.NoError(f, err)
		f.tells(`has left this behind: function al.helper() runs with the rights of`)
	})
}

// TestWhatFollowsAnEndIsNotTold has an uninvolved transaction open at the end, and afterwards ordinary
// work and grants for the holder.
func TestWhatFollowsAnEndIsNotTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.friends()
		exec(f, f.root, "CREATE TABLE other (n int)")
		f.giveOwner("readwrite")
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; "+leak("al", "leak")))
		exec(f, bob, "BEGIN; SELECT 1")
		require.True(f, f.deescalate("run").LeftBehind[0].TakenBack)
		require.NoError(f, f.tries("alice", "CREATE TABLE al.mine (n int); GRANT SELECT ON al.mine TO PUBLIC"))
		exec(f, f.root, "GRANT SELECT ON other TO %s; GRANT pg_monitor TO %[1]s", f.name("alice"))
		exec(f, bob, "COMMIT")
		f.sweeps()
	})
}

// TestWhoHoldsTheRoleStillIsNotTold has a person keep the role by other means, and work with it.
func TestWhoHoldsTheRoleStillIsNotTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.friends()
		exec(f, f.owner, "CREATE ROLE %[1]s; GRANT %[2]s TO %[1]s; GRANT %[1]s TO %[3]s", f.name("staff"),
			f.name("readwrite"), f.name("alice"))
		f.escalate("run", "alice", "readwrite")
		exec(f, bob, "BEGIN; SELECT 1")
		require.NotEmpty(f, f.deescalate("run").StillMemberThrough)
		require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; CREATE TABLE al.work (n int)"))
		exec(f, bob, "COMMIT")
		f.sweeps()
		assert.Zero(f, query[int](f, "SELECT count(*) FROM sym.grants WHERE open_then IS NOT NULL"))
	})
}

// TestFloodOfAFriendIsCounted has a friend's transaction make more than anybody can read.
func TestFloodOfAFriendIsCounted(t *testing.T) {
	everywhere(t, func(f *fixture) {
		bob := f.friends()
		f.escalate("run", "alice", "readwrite")
		f.helper(f.name("readwrite"), waits()+`FOR i IN 1..500 LOOP EXECUTE format('CREATE FUNCTION
			al.d%s() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''', i); END LOOP`)
		wait := f.call(bob)
		exec(f, f.root, "DROP FUNCTION al.helper()")
		f.deescalate("run")
		f.expire("run")
		wait()
		swept, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, "function al.d1() runs with the rights of")
		require.Len(f, swept.Drift, event.MaxLeftBehind+1)
		assert.Contains(f, swept.Drift[event.MaxLeftBehind].Message,
			fmt.Sprintf("appeared or changed: %d more things", 500-event.MaxLeftBehind))
		f.sweeps()
	})
}

// TestLookThatFailsIsToldOnce has a search fail, which must not keep the sweep from anything else.
func TestLookThatFailsIsToldOnce(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readwrite")
		f.deescalate("run")
		exec(f, f.owner, `CREATE OR REPLACE FUNCTION sym.listed_later(of_run sym.grants, OUT theirs xid8,
			OUT others xid8) LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / 0; END'`)
		f.escalate("other", "bob", "readonly")
		exec(f, f.root, "DELETE FROM sym.grants WHERE run LIKE 'other%%'")
		swept, err := f.Sweep(f.Context())
		require.ErrorContains(f, err, "could not be looked at: the database answered: division by zero")
		require.Len(f, swept.Repaired, 1)
		f.sweeps()
	})
}

// TestPreparedByAnotherMemberHindersNobody has somebody else prepare a transaction as a group that the
// holder is a member of, too.
func TestPreparedByAnotherMemberHindersNobody(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %[1]s; GRANT ALL ON orders TO %[1]s; GRANT %[1]s TO %[2]s, %[3]s",
			f.name("team"), f.name("alice"), f.name("bob"))
		f.escalate("run", "alice", "readwrite")
		exec(f, f.login("bob"), "BEGIN; SET ROLE %s; INSERT INTO orders VALUES ('ink'); PREPARE TRANSACTION '%s'",
			f.name("team"), f.suffix)
		f.deescalate("run")
		f.sweeps()
		// It is watched under a name that outlives a restart of the server.
		assert.Contains(f, query[[]string](f, "SELECT open_then FROM sym.grants")[0], "prepared ")
		exec(f, f.root, "COMMIT PREPARED '%s'", f.suffix)
		f.sweeps()
	})
}

// TestPreparedByADroppedUserIsTold has the user dropped who prepared a transaction with the role.
func TestPreparedByADroppedUserIsTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readwrite")
		require.NoError(f, f.tries("alice", "BEGIN; SELECT FROM orders; PREPARE TRANSACTION '"+f.suffix+"'"))
		exec(f, f.root, "DROP ROLE %s", f.name("alice"))
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.ErrorContains(f, err, "as a superuser, in the database")
		require.ErrorContains(f, err, "ROLLBACK PREPARED '"+f.suffix+"'")
		exec(f, f.root, "ROLLBACK PREPARED '%s'", f.suffix)
		f.deescalate("run")
	})
}

// TestNamesThatUTF8LacksAreTold has names with bytes that cannot be sent to the function.
func TestNamesThatUTF8LacksAreTold(t *testing.T) {
	for _, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			f := newFixtureIn(t, server, false, "WIN1252")
			bob := f.friends()
			f.giveOwner("readwrite")
			f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
			f.escalate("run", "alice", "readwrite")
			odd := `EXECUTE format('CREATE FUNCTION al.%I() RETURNS int LANGUAGE sql SECURITY DEFINER AS
				''SELECT 1''', 'odd' || convert_from('\x81', 'WIN1252') || convert_from('\xe9', 'WIN1252'))`
			require.NoError(f, f.tries("alice", "SET ROLE "+f.name("readwrite")+"; DO $$ BEGIN "+odd+"; END $$"))
			f.helper(f.name("readwrite"), waits()+odd)
			wait := f.call(bob)
			exec(f, f.root, "DROP FUNCTION al.helper()")
			answer := f.deescalate("run")
			require.Empty(f, answer.NotLookedFor)
			require.Contains(f, whats(answer.LeftBehind), `function al."odd\u0081\u00e9"() runs with`)
			require.True(f, answer.LeftBehind[0].TakenBack)
			exec(f, f.root, "DROP OWNED BY %s", f.name("readwrite"))
			wait()
			f.tells(`function al."odd\u0081\u00e9"() runs with`)
		})
	}
}

// TestDatabaseOwnersCannotStopTheSetup has people who may create databases give brokers and those who
// hand out roles a right there.
func TestDatabaseOwnersCannotStopTheSetup(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "CREATE ROLE %s LOGIN NOINHERIT; GRANT %s TO %[1]s WITH ADMIN OPTION",
			f.name("lead"), f.name("readwrite"))
		owner := f.person("mallory")
		exec(f, f.root, "CREATE DATABASE %s OWNER %s", f.name("theirs"), f.name("mallory"))
		f.Cleanup(func() { f.drop(f.of("theirs")) })
		exec(f, owner, "GRANT CONNECT ON DATABASE %s TO %s, %s", f.name("theirs"), f.name("lead"), name(f.broker))
		f.setup("readwrite")
		if f.server.Major >= 16 {
			// There it takes more than CREATEROLE to have set up a broker.
			exec(f, f.root, "ALTER ROLE %s CREATEROLE", f.name("mallory"))
			f.setup("readwrite")
		}
	})
}
