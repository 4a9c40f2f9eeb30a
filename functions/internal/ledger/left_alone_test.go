package ledger

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

// These are about what a search ignores, and about ends without a search.

func TestOrdinaryWorkIsNotReported(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, `GRANT INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES ON orders TO %[1]s;
			GRANT TEMP ON DATABASE %[2]s TO %[1]s; GRANT CREATE ON SCHEMA public TO %[1]s, %[3]s`,
			f.name("readwrite"), name("db_"+f.suffix), f.name("bob"))
		exec(f, f.owner, `CREATE TABLE parts (id serial PRIMARY KEY, name text);
			GRANT SELECT ON parts TO %s WITH GRANT OPTION; GRANT SELECT ON parts TO PUBLIC`,
			f.name("readwrite"))
		// What was theirs before.
		exec(f, f.root, `CREATE TABLE hers (x int); ALTER TABLE hers OWNER TO %[1]s;
			GRANT SELECT ON hers TO PUBLIC; CREATE FUNCTION hers() RETURNS int LANGUAGE sql AS 'SELECT 1';
			ALTER FUNCTION hers() OWNER TO %[1]s; GRANT %[2]s TO %[1]s; CREATE POLICY hers ON parts TO
			%[1]s USING (true); ALTER ROLE %[1]s SET work_mem = '1MB'`, f.name("alice"), f.name("Read Only"))
		f.escalate("run", "alice", "readwrite")

		holder := f.login("alice")
		exec(f, holder, `INSERT INTO orders VALUES ('ink'); UPDATE orders SET item = 'pen';
			CREATE TEMP TABLE sums AS SELECT count(*) FROM orders; CREATE TEMP VIEW few AS
			SELECT * FROM sums; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
			GRANT SELECT ON sums TO PUBLIC;
			DELETE FROM orders; TRUNCATE orders; DECLARE c CURSOR WITH HOLD FOR SELECT 1;
			SET work_mem = '1MB'; PREPARE p AS SELECT 1; LISTEN news;
			SET ROLE %s; CREATE TABLE gone (x int); DROP TABLE gone`, f.name("readwrite"))
		// What others do meanwhile: with their own, also where the role has rights.
		exec(f, f.owner, `ALTER TABLE orders ADD COLUMN price int; CREATE INDEX ON orders (price);
			ALTER TABLE parts ADD COLUMN price int; GRANT SELECT ON parts TO %[1]s;
			GRANT INSERT ON orders TO PUBLIC; GRANT SELECT ON orders TO %[2]s;
			CREATE TABLE more (x int REFERENCES parts); GRANT ALL ON more TO %[2]s, %[1]s;
			CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION noted();
			CREATE POLICY everything ON orders USING (true); CREATE VIEW seen AS TABLE orders;
			ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %[2]s;
			CREATE ROLE %[3]s; GRANT %[3]s TO %[1]s; GRANT %[2]s TO %[1]s;
			ALTER ROLE %[1]s SET work_mem = '1MB'; ANALYZE orders; REINDEX TABLE parts`,
			f.name("bob"), f.name("readwrite"), f.name("others"))
		exec(f, f.login("bob"), `CREATE TABLE his (x int); GRANT SELECT ON his TO PUBLIC`)
		// Another's grant of the same role, and theirs of another, are the broker's own doing.
		f.escalate("another", "bob", "readwrite")
		f.escalate("beside", "alice", "readonly")

		answer := f.deescalate("run")
		assert.Empty(f, answer.LeftBehind)
		assert.Empty(f, answer.NotLookedFor)
		// Nor does it read what is from before.
		f.escalate("again", "alice", "readwrite")
		assert.Empty(f, f.deescalate("again").LeftBehind)
		// Nor what goes with the session, where that goes on.
		f.Ledger = f.ledgerWith(f.broker, Options{KeepSessions: true})
		f.escalate("kept", "alice", "readwrite")
		exec(f, f.login("alice"), `SET ROLE %s; CREATE TEMP TABLE sums (x int);
			GRANT SELECT ON sums TO PUBLIC; GRANT SELECT (x) ON sums TO PUBLIC; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
			f.name("readwrite"))
		assert.Empty(f, f.deescalate("kept").LeftBehind)
	})
}

func TestOtherDatabasesAreCounted(t *testing.T) {
	everywhere(t, func(f *fixture) {
		elsewhere := "else_" + f.suffix
		exec(f, f.root, "CREATE DATABASE %s", name(elsewhere))
		f.Cleanup(func() {
			_, _ = f.root.Exec(context.Background(), "DROP DATABASE "+name(elsewhere)+" (FORCE)")
		})
		admin := f.dial(f.server.URLFor(f.server.Superuser, f.server.Password, elsewhere))
		exec(f, admin, "GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE theirs (x int); "+
			"CREATE TABLE old (x int); ALTER TABLE old OWNER TO %s", f.name("alice"))
		f.escalate("run", "alice", "readwrite")
		there := f.dial(f.server.URLFor(f.of("alice"), password, elsewhere))
		exec(f, there, "CREATE TABLE a (x int); SET ROLE %s; CREATE TABLE b (x int); "+
			"CREATE TABLE c (x int)", f.name("readwrite"))
		exec(f, admin, "GRANT SELECT ON theirs TO %s", f.name("alice"))
		assert.Equal(f, []string{
			`owned: in the database "` + elsewhere + `" 1 objects belong to "` + f.of("alice") + `"`,
			`owned: in the database "` + elsewhere + `" 2 objects belong to "` + f.of("readwrite") + `"`,
			`privilege: in the database "` + elsewhere + `" the privileges on 1 objects name "` +
				f.of("alice") + `"`,
		}, listed(f.deescalate("run")))
	})
}

// TestNamesAreNotStatements uses names that would be statements if they were not quoted.
func TestNamesAreNotStatements(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, `GRANT CREATE ON DATABASE %s TO %s; INSERT INTO sym.allowed VALUES ('%s');
			CREATE TABLE written (x text); ALTER TABLE written OWNER TO %s;
			GRANT TRIGGER ON written TO %[2]s`, name("db_"+f.suffix), f.name("readwrite"),
			f.of("readwrite"), name(f.ownerName))
		if !query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName) {
			f.giveOwner("readwrite")
		}
		f.escalate("run", "alice", "readwrite")
		evil := name(`x"; DROP TABLE orders; --` + "\n")
		exec(f, f.login("alice"), `SET ROLE %[1]s; CREATE SCHEMA %[2]s; CREATE TYPE %[2]s.%[2]s AS ();
			CREATE TABLE %[2]s.%[3]s (%[2]s int); GRANT SELECT (%[2]s) ON %[2]s.%[3]s TO PUBLIC;
			GRANT SELECT ON %[2]s.%[3]s TO PUBLIC;
			CREATE FUNCTION %[2]s.%[2]s(%[2]s %[2]s.%[2]s) RETURNS int LANGUAGE sql SECURITY DEFINER
				AS 'SELECT 1';
			CREATE FUNCTION %[2]s.run() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER %[2]s BEFORE INSERT ON written FOR EACH ROW EXECUTE FUNCTION %[2]s.run();
			ALTER DEFAULT PRIVILEGES IN SCHEMA %[2]s GRANT SELECT ON TABLES TO PUBLIC`,
			f.name("readwrite"), evil, name(`of "x"`))
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		taken := 0
		for _, row := range listed(f.deescalate("run")) {
			if row[0] == '+' {
				taken++
			}
		}
		assert.Equal(f, 5, taken)
		exec(f, f.root, "SELECT * FROM orders")
		assert.False(f, query[bool](f, `SELECT bool_or(prosecdef) FROM pg_proc
			WHERE pronamespace::regnamespace::text LIKE '%DROP%'`))
	})
}

func TestNothingThatIsHeldIsTakenBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
		exec(f, f.root, "INSERT INTO sym.allowed VALUES ('%s')", f.of("readwrite"))
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		f.escalate("run", "alice", "readwrite")
		f.escalate("longer", "alice", "readwrite")
		exec(f, f.login("alice"), `SET ROLE %s; CREATE TABLE mine (x int);
			GRANT SELECT ON mine TO PUBLIC`, f.name("readwrite"))
		for _, row := range listed(f.deescalate("run")) {
			assert.NotRegexp(f, `^\+`, row)
		}
	})
}

// TestLocksKeepNobodyWaiting locks the objects that are to be taken back.
func TestLocksKeepNobodyWaiting(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, `CREATE TABLE written (x text); GRANT TRIGGER ON written TO %s;
			CREATE TABLE others (x text); GRANT TRIGGER ON others TO %[1]s`, f.name("readwrite"))
		exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
		f.escalate("run", "alice", "readwrite")
		exec(f, f.login("alice"), `CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN RETURN NEW; END';
			CREATE TRIGGER a BEFORE INSERT ON written FOR EACH ROW EXECUTE FUNCTION spring();
			CREATE TRIGGER b BEFORE INSERT ON others FOR EACH ROW EXECUTE FUNCTION spring()`)
		lock, err := f.owner.Begin(f.Context())
		require.NoError(f, err)
		_, err = lock.Exec(f.Context(), "LOCK TABLE written IN ACCESS EXCLUSIVE MODE")
		require.NoError(f, err)
		f.Ledger = f.ledgerWith(f.broker, Options{OnEnd: TakeBack})
		expected := func(taken string) []string {
			return []string{taken + f.fill(
				`trigger: the trigger a on public.written runs public.spring() of "{alice}"`),
				f.fill(`owned: function public.spring() belongs to "{alice}"`)}
		}
		b := "+" + f.fill(`trigger: the trigger b on public.others runs public.spring() of "{alice}"`)
		assert.ElementsMatch(f, append(expected(""), b), listed(f.deescalate("run")))
		require.NoError(f, lock.Rollback(f.Context()))
		assert.ElementsMatch(f, expected("+"), listed(f.deescalate("run")))
	})
}

// TestEndsWithoutASearch shows what can prevent a search, and that it never prevents an end.
func TestEndsWithoutASearch(t *testing.T) {
	everywhere(t, func(f *fixture) {
		const older = "The database was set up by an older setup.sql. A database administrator " +
			"has to run the present one."
		for _, test := range []struct{ name, breaks, reason string }{
			{"ledger of before", "UPDATE sym.grants SET granted_in = NULL",
				"The role was granted before the ledger noted what is needed for it."},
			{"another server", "UPDATE sym.grants SET origin = '1/2'",
				"The role was granted in another server or database, before this ledger was copied."},
			{"broken", `CREATE OR REPLACE FUNCTION sym.left_behind(holder oid, role oid, since xid8,
				oldest xid8 DEFAULT NULL, OUT kind text, OUT what text, OUT undo text, OUT safe boolean,
				OUT written xid)
				RETURNS SETOF record LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'`,
				"The search failed: the database answered: no (P0001)."},
			{"older", "DROP FUNCTION sym.left_behind(oid, oid, xid8, xid8)", older},
			{"older yet", "ALTER TABLE sym.grants DROP COLUMN oldest_then", older},
		} {
			f.escalate(test.name, "alice", "readonly")
			exec(f, f.root, "%s", test.breaks)
			answer := f.deescalate(test.name)
			assert.True(f, answer.Changed, test.name)
			assert.Equal(f, test.reason, answer.NotLookedFor, test.name)
			require.False(f, f.reads("alice"), test.name)
		}
	})
}

// TestSearchGoesOnAfterAPartThatFails breaks one part: the others still report, before it and
// after it.
func TestSearchGoesOnAfterAPartThatFails(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
		exec(f, f.owner, `CREATE OR REPLACE FUNCTION sym.changed_privileges(listed integer,
			relations oid[], large_objects oid[], types boolean) RETURNS TABLE (classid oid, objid oid,
			objsubid integer, owner oid, acl aclitem[], type "char", words text, dbid oid,
			written xid) LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'`)
		f.escalate("run", "alice", "readonly")
		alice := f.login("alice")
		exec(f, alice, "CREATE TABLE kept (x int)")
		exec(f, alice, "ALTER ROLE %s SET work_mem = '8MB'", f.name("alice"))
		answer := f.deescalate("run")
		require.Empty(f, answer.NotLookedFor)
		assert.Equal(f, []event.LeftBehind{
			{Kind: "owned", What: fmt.Sprintf(`table public.kept belongs to "%s"`, f.of("alice"))},
			{Kind: "unseen", What: "a part could not be looked at: no"},
			{Kind: "setting", What: fmt.Sprintf(`settings of "%s" were changed: work_mem`,
				f.of("alice"))},
		}, answer.LeftBehind)
	})
}

func TestSearchOfManyIsCut(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "GRANT CREATE ON SCHEMA public TO PUBLIC")
		f.escalate("run", "alice", "readonly")
		exec(f, f.login("alice"), `DO 'BEGIN FOR i IN 1..120 LOOP
			EXECUTE format(''CREATE TABLE t_%%s (x int)'', i); END LOOP; END'`)
		answer := f.deescalate("run")
		assert.Len(f, answer.LeftBehind, 50)
		assert.Equal(f, 70, answer.LeftBehindMore)
	})
}
