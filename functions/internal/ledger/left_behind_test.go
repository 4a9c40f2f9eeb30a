package ledger

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

// fill puts the fixture's names in the places of {these}.
func (f *fixture) fill(text string) string {
	// From version 16 on superusers grant roles in the name of the first.
	granter := f.ownerName
	if f.server.Major >= 16 && query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1",
		f.ownerName) {
		granter = f.server.Superuser
	}
	pairs := []string{"{granter}", granter, "{database}", "db_" + f.suffix,
		"{suffix}", f.suffix, "{owner}", f.ownerName, "{role}", f.of("readwrite"), "{super}", f.server.Superuser}
	for _, name := range []string{"alice", "bob", "reports", "others", "team", "club", "sub"} {
		pairs = append(pairs, "{"+name+"}", f.of(name))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// here reports whether a way exists on a server's version.
func (w way) here(f *fixture) bool {
	return f.server.Major >= w.from && (w.to == 0 || f.server.Major <= w.to)
}

// listed are the rows of an answer as [way.finds] writes them.
func listed(answer event.Deescalated) (rows []string) {
	for _, left := range answer.LeftBehind {
		row := left.Kind + ": " + left.What
		if left.TakenBack {
			row = "+" + row
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}

// tries runs statements in a session of the user.
func (f *fixture) tries(user, statements string) error {
	f.Helper()
	session := f.login(user)
	defer session.Close(f.Context())
	_, err := session.PgConn().Exec(f.Context(), f.fill(statements)).ReadAll()
	return err
}

// leaves has alice hold readwrite and go every way.
func (f *fixture) leaves(ways []way) {
	f.Helper()
	exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
	exec(f, f.root, "INSERT INTO sym.allowed VALUES ('%s')", f.of("readwrite"))
	exec(f, f.root, "GRANT CREATE ON DATABASE %s TO %s", name("db_"+f.suffix), f.name("readwrite"))
	for _, way := range ways {
		exec(f, f.root, "%s", f.fill(way.before))
		if after := f.fill(way.after); after != "" {
			f.Cleanup(func() {
				_, err := f.root.PgConn().Exec(context.Background(), after).ReadAll()
				assert.NoError(f, err)
			})
		}
	}
	f.escalate("run", "alice", "readwrite")
	for _, way := range ways {
		statements := strings.ReplaceAll(way.holds, " alice", " {alice}")
		require.NoError(f, f.tries("alice", "SET ROLE {role}; "+statements), way.name)
	}
}

func TestWhatHoldersLeaveBehindIsFound(t *testing.T) {
	everywhere(t, func(f *fixture) {
		ways := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return !w.here(f) })
		f.leaves(ways)
		var expected []string
		for _, way := range ways {
			for _, row := range way.finds {
				expected = append(expected, f.fill(strings.TrimLeft(row, "+?")))
			}
		}
		slices.Sort(expected)
		answer := f.deescalate("run")
		require.Empty(f, answer.NotLookedFor)
		all, err := f.root.Query(f.Context(), `SELECT l.kind || ': ' || l.what
			FROM sym.grants g, sym.left_behind(user_oid, role_oid, granted_in, oldest_then) l
			WHERE run = $1`, answer.Run)
		require.NoError(f, err)
		found, err := pgx.CollectRows(all, pgx.RowTo[string])
		require.NoError(f, err)
		slices.Sort(found)
		assert.Equal(f, expected, found)
		require.Equal(f, max(0, len(expected)-event.MaxLeftBehind), answer.LeftBehindMore)
	})
}

// objects counts what could have been dropped.
const objects = `SELECT format('%s relations, %s functions, %s large objects, %s schemas, %s rows',
	(SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc),
	(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_namespace),
	(SELECT count(*) FROM loot))`

func TestWhatHoldersLeaveBehindIsTakenBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		ways := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return !w.here(f) })
		f.leaves(ways)
		f.deescalate("run")
		for _, way := range ways {
			if way.again != "" {
				require.NoError(f, f.again(way), way.name+": it is there")
			}
		}
		before := query[string](f, objects)

		// The owner needs the rights of others to take back what they granted. Without them it is
		// not reported as taken back.
		superuser := query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName)
		var taken []string
		if !superuser {
			taken = f.takesBack("run")
			for _, way := range ways {
				f.isTaken(way, taken, false)
			}
			f.giveOwner("readwrite")
		}
		taken = append(taken, f.takesBack("run")...)
		for _, way := range ways {
			f.isTaken(way, taken, true)
			for _, find := range way.finds {
				safe := find[0] == '+' || find[0] == '?' && superuser
				require.Equal(f, safe, slices.Contains(taken, "+"+f.fill(strings.TrimLeft(find, "+?"))),
					"%s: %s", way.name, find)
			}
		}
		require.Equal(f, before, query[string](f, objects))
		for _, row := range f.takesBack("run") {
			require.NotRegexp(f, `^\+`, row, "nothing is left to be taken back")
		}
		// The role has what it had.
		require.True(f, query[bool](f, `SELECT has_table_privilege($1, 'passed',
			'SELECT WITH GRANT OPTION') AND has_column_privilege($1, 'passing', 'y',
			'SELECT WITH GRANT OPTION') AND has_table_privilege($1, 'loot', 'SELECT')`,
			f.of("readwrite")))
	})
}

// takesBack takes back what a run left behind, and lists all of it.
func (f *fixture) takesBack(run string) (listed []string) {
	f.Helper()
	err := f.do(f.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT CASE WHEN l.taken_back THEN '+' ELSE '' END
				|| l.kind || ': ' || l.what
			FROM sym.grants g, sym.take_back(user_oid, role_oid, granted_in, oldest_then) l
			WHERE run = $1`, run+"_"+f.suffix)
		if err != nil {
			return err
		}
		listed, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	require.NoError(f, err)
	return listed
}

// giveOwner gives the ledger's owner the rights of a role.
func (f *fixture) giveOwner(role string) {
	f.Helper()
	option := ""
	if f.server.Major >= 16 {
		option = " WITH INHERIT TRUE"
	}
	exec(f, f.root, "GRANT %s TO %s%s", f.name(role), name(f.ownerName), option)
}

// again tries what a way makes possible, and changes nothing.
func (f *fixture) again(way way) error {
	f.Helper()
	as := way.as
	if as == "" {
		as = "alice"
	}
	return f.tries(as, "BEGIN; "+way.again+"; ROLLBACK")
}

// isTaken checks that a way is closed if its leftovers are reported as taken back, and open
// otherwise.
func (f *fixture) isTaken(way way, taken []string, must bool) {
	f.Helper()
	if way.again == "" {
		return
	}
	gone := true
	for _, row := range way.finds {
		if row[0] == '+' && !slices.Contains(taken, f.fill(row)) {
			gone = false
			require.False(f, must, "%s: %s is not taken back", way.name, row)
		}
	}
	if gone {
		require.ErrorContains(f, f.again(way), "permission denied", way.name)
	} else {
		require.NoError(f, f.again(way), way.name)
	}
}

func TestTransactionFromBeforeTheGrantIsLookedAt(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
		exec(f, f.root, "CREATE TABLE early (x int); ALTER TABLE early OWNER TO %s", f.name("alice"))
		open := f.login("alice")
		// It is in a subtransaction, which has a number of its own.
		exec(f, open, "BEGIN; CREATE TEMP TABLE a (x int); SAVEPOINT s; CREATE TEMP TABLE b (x int)")
		others := f.login("bob")
		exec(f, others, "BEGIN; CREATE TEMP TABLE a (x int)")
		exec(f, f.root, "CREATE TABLE meanwhile (x int); ALTER TABLE meanwhile OWNER TO %s",
			f.name("readonly"))
		exec(f, f.root, "INSERT INTO sym.allowed VALUES ('%s')", f.of("readonly"))
		f.escalate("run", "alice", "readonly")
		exec(f, open, `SET LOCAL ROLE %s; CREATE FUNCTION late() RETURNS SETOF orders LANGUAGE sql
			SECURITY DEFINER AS 'SELECT * FROM public.orders'; COMMIT`, f.name("readonly"))
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		// Its work from before the grant cannot be told apart, and is left alone.
		require.Equal(f, []string{
			f.fill(`owned: function public.late() runs with the rights of "readonly_{suffix}"`),
			f.fill(`owned: table public.meanwhile belongs to "readonly_{suffix}"`)},
			listed(f.deescalate("run")))
	})
}

// TestPreparedTransactionIsListed searches before the end is complete, since the end waits for
// prepared transactions.
func TestPreparedTransactionIsListed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT INSERT ON orders TO %s; CREATE ROLE %s; GRANT %[2]s TO %[1]s; "+
			"GRANT INSERT ON orders TO %[2]s", f.name("readwrite"), f.name("led"))
		prepare := func(user, role, id string) {
			exec(f, f.login(user), `SET ROLE %s; BEGIN; INSERT INTO orders VALUES ('x');
				PREPARE TRANSACTION '%s'`, f.name(role), id)
			f.Cleanup(func() {
				_, err := f.root.Exec(context.Background(), "ROLLBACK PREPARED '"+id+"'")
				assert.NoError(f, err)
			})
		}
		exec(f, f.root, "GRANT INSERT ON orders TO %s, %s", f.name("alice"), f.name("bob"))
		prepare("alice", "alice", "before"+f.suffix)
		f.escalate("run", "alice", "readwrite")
		prepare("alice", "readwrite", f.suffix+" it''s mine")
		prepare("alice", "led", "led"+f.suffix)
		prepare("bob", "bob", "bob"+f.suffix)
		listed := query[[]string](f, `SELECT array_agg(l.what || ': ' || l.undo ORDER BY l.what)
			FROM sym.grants g, sym.left_behind(user_oid, role_oid, granted_in, oldest_then) l
			WHERE run = $1`, "run_"+f.suffix)
		assert.ElementsMatch(f, []string{
			f.fill(`the prepared transaction '{suffix} it''s mine' of "{role}" in the database ` +
				`"{database}": ROLLBACK PREPARED '{suffix} it''s mine'`),
			f.fill(`the prepared transaction 'led{suffix}' of "led_{suffix}" in the database ` +
				`"{database}": ROLLBACK PREPARED 'led{suffix}'`)}, listed)
	})
}
