package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// These are about rights to the ledger that do not come from a GRANT on it.

// exposures are what people with rights to everything might try.
var exposures = []string{
	"SELECT 1 FROM sym.grants", "SELECT 1 FROM sym.users", "SELECT 1 FROM sym.locks",
	"UPDATE sym.grants SET expires_at = 'infinity'", "UPDATE sym.grants SET revoked_at = now()",
	"UPDATE sym.grants SET username = 'bob'", "DELETE FROM sym.grants", "DELETE FROM sym.locks",
	"UPDATE sym.users SET email = 'mallory@example.com'", "DELETE FROM sym.users",
	"SELECT 1 FROM sym.allowed", "DELETE FROM sym.allowed",
	"INSERT INTO sym.grants (run, revoked_at) VALUES ('x', now())",
	"INSERT INTO sym.users (username, email) VALUES ('x', 'mallory@example.com')",
	"INSERT INTO sym.allowed VALUES ('x')", "TRUNCATE sym.grants", "COPY sym.grants TO STDOUT",
	"SELECT sym.end_sessions(0, 0)", "SELECT sym.create_user('x', 'x')",
	"SELECT sym.clear_way(false)", "SELECT sym.take_back(0, 0, '0')",
	"SELECT sym.assign_user('x', 'x@example.com')", "SELECT sym.examine(0, false)",
	"CREATE TABLE sym.mine ()", "CREATE TRIGGER mine BEFORE UPDATE ON sym.grants FOR EACH ROW " +
		"EXECUTE FUNCTION suppress_redundant_updates_trigger()",
}

// TestRightsToEverythingAreNoRightsToTheLedger has the owner's default privileges give all of
// it to the role that is handed out, which may also read and write all data.
func TestRightsToEverythingAreNoRightsToTheLedger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DROP SCHEMA sym CASCADE")
		for _, on := range []string{"TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS", "TYPES"} {
			for _, to := range []string{f.name("readwrite"), "PUBLIC"} {
				exec(f, f.owner, "ALTER DEFAULT PRIVILEGES GRANT ALL ON %s TO %s", on, to)
			}
		}
		f.setup("readonly", "readwrite", "Read Only")
		exec(f, f.root, "GRANT pg_write_all_data, pg_read_all_data TO %s", f.name("readwrite"))

		f.escalate("run", "alice", "readwrite")
		ledger := query[string](f, "SELECT string_agg(g::text, '') FROM sym.grants g")
		users := query[string](f, "SELECT string_agg(u::text, '' ORDER BY u) FROM sym.users u")
		alice := f.login("alice")
		for _, try := range exposures {
			results, err := alice.PgConn().Exec(f.Context(), try).ReadAll()
			if err == nil {
				// Row-level security shows no row, and changes none.
				require.Regexp(f, "^(SELECT 1|UPDATE|DELETE|COPY) ", try)
				require.Zero(f, results[0].CommandTag.RowsAffected(), try)
			} else {
				require.Regexp(f, "permission denied|must be owner|row-level security", err.Error(), try)
			}
		}
		require.Equal(f, ledger, query[string](f, "SELECT string_agg(g::text, '') FROM sym.grants g"))
		require.Equal(f, users,
			query[string](f, "SELECT string_agg(u::text, '' ORDER BY u) FROM sym.users u"))
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Drift)

		assert.True(f, f.deescalate("run").Changed)
		require.False(f, f.reads("alice"))
	})
}

func TestOpenLedgerIsReportedByTheSweep(t *testing.T) {
	everywhere(t, func(f *fixture) {
		alice, broker := f.name("alice"), name(f.broker)
		for _, way := range []struct {
			what string
			by   *pgx.Conn
			// undo puts it right; if it is empty, setup.sql does.
			do, undo string
		}{
			{`"alice_` + f.suffix + `" has SELECT on sym.grants`, f.owner,
				"GRANT SELECT ON sym.grants TO " + alice, ""},
			{"has UPDATE on email of sym.users", f.owner,
				"GRANT UPDATE (email) ON sym.users TO " + alice, ""},
			{"Everybody has USAGE on the schema sym", f.owner,
				"GRANT USAGE ON SCHEMA sym TO PUBLIC", ""},
			{"has EXECUTE on the function sym.create_user", f.owner,
				"GRANT EXECUTE ON FUNCTION sym.create_user TO " + alice, ""},
			{"Row-level security is not forced on sym.users", f.owner,
				"ALTER TABLE sym.users NO FORCE ROW LEVEL SECURITY", ""},
			{"Row-level security is not forced on sym.grants", f.owner,
				"ALTER TABLE sym.grants DISABLE ROW LEVEL SECURITY", ""},
			{`has the policy "mine"`, f.owner, "CREATE POLICY mine ON sym.grants USING (true)", ""},
			{`has the policy "owner"`, f.owner, "ALTER POLICY owner ON sym.grants TO PUBLIC", ""},
			{`has the trigger "mine"`, f.owner, "CREATE TRIGGER mine BEFORE UPDATE ON sym.locks " +
				"FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
				"DROP TRIGGER mine ON sym.locks"},
			{`has the rule "mine"`, f.owner, "CREATE RULE mine AS ON DELETE TO sym.allowed " +
				"DO INSTEAD NOTHING", "DROP RULE mine ON sym.allowed"},
			{`is a member of "` + f.broker, f.owner, "GRANT " + broker + " TO " + alice,
				"REVOKE " + broker + " FROM " + alice},
			{`sym.locks belongs to "alice_` + f.suffix, f.root,
				"ALTER TABLE sym.locks OWNER TO " + alice,
				"ALTER TABLE sym.locks OWNER TO " + name(f.ownerName)},
			{`sym.end_sessions belongs to "alice_` + f.suffix, f.root,
				"ALTER FUNCTION sym.end_sessions OWNER TO " + alice,
				"ALTER FUNCTION sym.end_sessions OWNER TO " + name(f.ownerName)},
			{"has more rights than it may have", f.root, "ALTER ROLE " + broker + " REPLICATION",
				"ALTER ROLE " + broker + " NOREPLICATION"},
		} {
			exec(f, way.by, "%s", way.do)
			swept, err := f.Sweep(f.Context())
			require.IsType(f, SweepIncomplete{}, err, way.what)
			require.ErrorContains(f, err, way.what)
			require.NotEmpty(f, swept.Drift, way.what)
			require.Equal(f, event.DriftExposed, swept.Drift[0].Kind)
			if way.undo != "" {
				exec(f, way.by, "%s", way.undo)
			} else {
				f.setup("readonly", "readwrite", "Read Only")
			}
			_, err = f.Sweep(f.Context())
			require.NoError(f, err, "it is put right: %s", way.what)
		}
	})
}

// TestTamperedRowsAreNotBelieved has a superuser, whom nothing stops, change the ledger. The end and
// the sweep still take back the memberships in the catalogue.
func TestTamperedRowsAreNotBelieved(t *testing.T) {
	tampering := []string{
		"UPDATE sym.grants SET revoked_at = now()",
		"UPDATE sym.grants SET revoked_at = now(), sessions_ended_at = now()",
		"UPDATE sym.grants SET username = %[1]s, user_oid = (SELECT oid FROM pg_roles WHERE rolname = %[1]s)",
		"UPDATE sym.grants SET user_oid = (SELECT oid FROM pg_roles WHERE rolname = %[1]s)",
		"UPDATE sym.grants SET user_oid = 0, role_oid = 0",
		"UPDATE sym.grants SET rolename = %[2]s, role_oid = (SELECT oid FROM pg_roles WHERE rolname = %[2]s)",
		"UPDATE sym.grants SET grantor = 10", "UPDATE sym.grants SET grantor = 4294967295",
		"UPDATE sym.grants SET origin = 'elsewhere'", "UPDATE sym.grants SET origin = NULL",
		"UPDATE sym.grants SET granted_at = NULL, revoked_at = now()",
		"UPDATE sym.grants SET standing = true",
		"UPDATE sym.grants SET expires_at = 'infinity'",
		"UPDATE sym.grants SET expires_at = '-infinity', granted_at = 'infinity'",
		"UPDATE sym.grants SET expires_at = '294276-01-01', granted_at = '4000-01-01 BC'",
		"DELETE FROM sym.grants", "TRUNCATE sym.grants, sym.users, sym.locks",
	}
	everywhere(t, func(f *fixture) {
		for i, how := range tampering {
			for _, end := range []string{"by its run", "by the sweep"} {
				run := fmt.Sprint("run", i, end)
				f.escalate(run, "alice", "readonly")
				require.True(f, f.reads("alice"), how)
				exec(f, f.root, "%s", used(how, database.Literal(f.of("bob")),
					database.Literal(f.of("readwrite"))))
				if status, err := f.Status(f.Context()); assert.NoError(f, err, how) {
					assert.NotNil(f, status)
				}
				if end == "by its run" {
					answer, err := f.Deescalate(f.Context(), End{Run: run + "_" + f.suffix,
						User: f.of("alice"), Role: f.of("readonly")})
					require.NoError(f, err, how)
					require.True(f, answer.Changed, how)
				} else {
					exec(f, f.root, `UPDATE sym.grants SET expires_at = now()
						WHERE isfinite(expires_at) AND expires_at < '9999-01-01'`)
					_, err := f.Sweep(f.Context())
					require.NoError(f, err, how)
				}
				require.False(f, f.reads("alice"), "%s, ended %s", how, end)
				exec(f, f.root, "DELETE FROM sym.grants")
			}
		}
	})
}

// TestRunThatTheLedgerDoesNotKnow has another run account for the membership: it stays, and the
// end says that it does.
func TestRunThatTheLedgerDoesNotKnow(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("another", "alice", "readonly")
		answer, err := f.Deescalate(f.Context(), End{Run: "run",
			User: f.of("alice"), Role: f.of("readonly")})
		require.NoError(f, err)
		assert.Equal(f, []string{f.of("readonly")}, answer.StillMemberThrough)
		require.True(f, f.reads("alice"))
	})
}

// used is Sprintf for a format that need not use its arguments.
func used(format string, args ...any) string {
	if !strings.Contains(format, "%") {
		return format
	}
	text, _, _ := strings.Cut(fmt.Sprintf(format, args...), "%!(EXTRA")
	return text
}

func TestShorterListTakesTheRightBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		mayGrant := func(role string) bool {
			return query[bool](f, "SELECT pg_has_role($1, $2, 'MEMBER WITH ADMIN OPTION')",
				f.broker, f.of(role))
		}
		f.escalate("run", "alice", "readwrite")
		assert.Contains(f, f.warned(map[string]string{"broker": f.broker, "roles": f.of("readonly")}),
			fmt.Sprintf("\"%s\" is no longer in the list, but it is still handed out to %s",
				f.of("readwrite"), f.of("alice")))
		assert.True(f, mayGrant("readonly"))
		assert.False(f, mayGrant("Read Only"))
		assert.True(f, mayGrant("readwrite"), "it is still handed out, and has to be taken back")
		f.refused(event.RoleNotGranted, f.request("other", "bob", "Read Only"))
		assert.True(f, f.deescalate("run").Changed)
		f.setup("readonly")
		assert.False(f, mayGrant("readwrite"))
	})
}

func TestOwnerAssignsUsersAndMayLook(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		request := f.request("new", "alice", "readonly")
		request.Requester = "alice@new.example.com"
		f.refused(event.UserTaken, request)
		exec(f, f.owner, "SELECT sym.assign_user(%s, 'Alice@New.example.com')",
			database.Literal(f.of("alice")))
		_, err := f.Escalate(f.Context(), request)
		require.NoError(f, err)
		var rows int
		require.NoError(f, f.owner.QueryRow(f.Context(), `SELECT count(*) FROM sym.grants`).Scan(&rows))
		assert.Equal(f, 2, rows)
		tag, err := f.owner.Exec(f.Context(), "UPDATE sym.grants SET expires_at = now() "+
			"WHERE username = $1 AND revoked_at IS NULL", f.of("alice"))
		require.NoError(f, err)
		assert.EqualValues(f, 1, tag.RowsAffected(), "the owner may end access at once")
		_, err = f.Sweep(f.Context())
		require.NoError(f, err)
		require.False(f, f.reads("alice"))
		f.escalate("longer", "bob", "readonly")
		if !query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", f.ownerName) {
			_, err = f.owner.Exec(f.Context(), "UPDATE sym.grants SET expires_at = 'infinity'")
			require.ErrorContains(f, err, "row-level security")
			tag, err = f.owner.Exec(f.Context(), "DELETE FROM sym.grants WHERE revoked_at IS NULL")
			require.NoError(f, err)
			assert.Zero(f, tag.RowsAffected(), "what is active may not be deleted")
		}
		f.deescalate("longer")
		_, err = f.owner.Exec(f.Context(), "SELECT sym.assign_user('nobody', 'x@example.com')")
		require.ErrorContains(f, err, `The database has no user "nobody"`)
		tag, err = f.owner.Exec(f.Context(), "DELETE FROM sym.grants WHERE revoked_at IS NOT NULL")
		require.NoError(f, err)
		assert.EqualValues(f, 3, tag.RowsAffected(), "what is over may be deleted")
	})
}

// TestPublicationOfAllTables shows what setup.sql says before the ledger joins it.
func TestPublicationOfAllTables(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "CREATE PUBLICATION everything FOR ALL TABLES")
		// The ledger is there: it is too late to refuse.
		warnings := f.warned(map[string]string{"broker": f.broker, "roles": f.of("readonly")})
		require.Contains(f, warnings, `The publication "everything" is FOR ALL TABLES`)
		exec(f, f.root, "DROP SCHEMA sym CASCADE")
		require.ErrorContains(f, f.trySetup(f.owner, f.broker, "readonly"),
			`The publication "everything" is FOR ALL TABLES`)
		require.NotContains(f, f.warned(map[string]string{"broker": f.broker,
			"roles": f.of("readonly"), "publish": "on"}), "publication")
	})
}
