package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// These are about settings of the database or the broker that somebody else changes.

func TestSettingsOfTheDatabaseChangeNothing(t *testing.T) {
	settings := []string{
		"datestyle = 'German'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'",
		"timezone = 'Asia/Kolkata'", "client_encoding = 'LATIN1'", "client_encoding = 'EUC_JP'",
		"search_path = hostile, pg_catalog", "row_security = off", "statement_timeout = '1ms'",
		"lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'",
		"standard_conforming_strings = off", "default_transaction_read_only = on",
		"default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on",
		"bytea_output = 'escape'", "extra_float_digits = -15", "quote_all_identifiers = on",
		"session_replication_role = replica", "transform_null_equals = on",
		"synchronous_commit = off", "role = 'readonly'", "plan_cache_mode = force_generic_plan",
		"backslash_quote = off", "array_nulls = off", "xmloption = document",
		"default_text_search_config = 'simple'", "temp_tablespaces = ''", "jit_above_cost = 0",
	}
	everywhere(t, func(f *fixture) {
		settings := slices.Clone(settings)
		if f.server.Major >= 17 {
			settings = append(settings, "transaction_timeout = '1ms'", "event_triggers = off")
		}
		exec(f, f.root, "CREATE SCHEMA hostile; GRANT USAGE ON SCHEMA hostile TO PUBLIC")
		exec(f, f.root, `CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql
			AS 'SELECT timestamptz ''2100-01-01'''`)
		for i, setting := range settings {
			for _, whose := range []string{"DATABASE " + name("db_"+f.suffix), "ROLE " + name(f.broker)} {
				statement := "ALTER " + whose + " SET " + setting
				if setting == "role = 'readonly'" {
					statement = "ALTER " + whose + " SET role = " + f.name("readonly")
				}
				exec(f, f.root, "%s", statement)
				fresh := f.ledgerOf(f.broker)
				run := f.request(fmt.Sprint("run ", i, whose[:4]), "alice", "readonly")
				run.Reason = "–für Größe"
				before := time.Now()
				granted, err := fresh.Escalate(f.Context(), run)
				require.NoError(f, err, statement)
				require.WithinDuration(f, before, granted.GrantedAt, time.Minute, statement)
				require.Equal(f, time.Hour, granted.ExpiresAt.Sub(granted.GrantedAt), statement)
				status, err := fresh.Status(f.Context())
				require.NoError(f, err, statement)
				require.Len(f, status.Active, 1, statement)
				require.Equal(f, run.Reason, status.Active[0].Reason, statement)
				require.Equal(f, granted.ExpiresAt, status.Active[0].ExpiresAt, statement)
				again, err := fresh.Escalate(f.Context(), run)
				require.NoError(f, err, statement)
				require.Equal(f, granted.ExpiresAt, again.ExpiresAt, statement)
				_, err = fresh.Sweep(f.Context())
				require.NoError(f, err, statement)
				ended, err := fresh.Deescalate(f.Context(), End{Run: run.Run})
				require.NoError(f, err, statement)
				require.True(f, ended.Changed, statement)
				exec(f, f.root, "ALTER %s RESET ALL", whose)
				require.Empty(f, f.membership("alice", "readonly"), statement)
			}
		}
	})
}

func TestLoginTriggerDoesNotChangeTheWork(t *testing.T) {
	everywhere(t, func(f *fixture) {
		if f.server.Major < 17 {
			return // There are none.
		}
		exec(f, f.root, `CREATE FUNCTION public.hostile() RETURNS event_trigger LANGUAGE plpgsql AS $$
			BEGIN
				PERFORM set_config('datestyle', 'German', false), set_config('row_security', 'off', false),
					set_config('search_path', 'public', false), set_config('timezone', 'Asia/Kolkata', false),
					set_config('default_transaction_read_only', 'on', false);
			END $$`)
		exec(f, f.root, "CREATE EVENT TRIGGER hostile ON login EXECUTE FUNCTION public.hostile()")
		fresh := f.ledgerOf(f.broker)
		granted, err := fresh.Escalate(f.Context(), f.request("run", "alice", "readonly"))
		require.NoError(f, err)
		require.WithinDuration(f, time.Now(), granted.GrantedAt, time.Minute)
		ended, err := fresh.Deescalate(f.Context(), End{Run: granted.Run})
		require.NoError(f, err)
		assert.True(f, ended.Changed)
	})
}

// TestLoginsThatFailAreTold has a server that refuses every login, which no setting of ours can undo.
func TestLoginsThatFailAreTold(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "ALTER DATABASE %s SET session_preload_libraries = 'nothing'",
			name("db_"+f.suffix))
		_, err := f.ledgerOf(f.broker).Sweep(f.Context())
		require.IsType(f, database.DatabaseUnavailable{}, err)
		require.ErrorContains(f, err, `could not access file "nothing"`)
		// A connection that is there already goes on.
		assert.True(f, f.deescalate("run").Changed)
	})
}

// TestDatabasesOfOtherEncodings uses reasons with characters that the encoding lacks.
func TestDatabasesOfOtherEncodings(t *testing.T) {
	reasons := []string{"Größe", "Größe – “quoted” …", "日本語で", "🙂", "plain", `C:\new – \u0041`, "é\x00"}
	for _, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			for _, encoding := range []string{"LATIN1", "EUC_JP", "SQL_ASCII", "WIN1251", "KOI8R"} {
				t.Run(encoding, func(t *testing.T) { encoded(t, server, encoding, reasons) })
			}
		})
	}
}

func encoded(t *testing.T, server *pgserver.Server, encoding string, reasons []string) {
	f := newFixtureIn(t, server, true, encoding)
	for i, reason := range reasons {
		run := fmt.Sprint("run–", i)
		if i == 0 {
			run = "run" // Where one text has to be written otherwise, all of them are.
		}
		request := f.request(run, "alice", "readonly")
		request.Reason = reason
		granted, err := f.Escalate(f.Context(), request)
		require.NoError(f, err, reason)
		require.True(f, granted.Changed)
		again, err := f.Escalate(f.Context(), request)
		require.NoError(f, err, reason)
		require.False(f, again.Changed, "the run is found again")
		status, err := f.Status(f.Context())
		require.NoError(f, err)
		require.Len(f, status.Active, 1)
		// It is kept as it is where the encoding has all its characters.
		kept := strings.ReplaceAll(reason, "\x00", "\uFFFD")
		if encoding == "SQL_ASCII" || encoding == "LATIN1" && reason == "Größe" || reason == "plain" {
			assert.Equal(f, kept, status.Active[0].Reason)
		} else {
			assert.Contains(f, []string{kept, escape(kept)}, status.Active[0].Reason)
		}
		ended, err := f.Deescalate(f.Context(), End{Run: request.Run})
		require.NoError(f, err, reason)
		require.True(f, ended.Changed)
		require.False(f, f.reads("alice"))
	}
	request := f.request("new", "alice", "readonly")
	request.User = "日本語–🙂"
	_, err := f.Escalate(f.Context(), request)
	var refusal *event.Refusal
	require.ErrorAs(f, err, &refusal, "%v", err)
}
