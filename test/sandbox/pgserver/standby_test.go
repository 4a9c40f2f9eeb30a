package pgserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

func connect(t *testing.T, server *pgserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func one(t *testing.T, conn *pgx.Conn, sql string) (value string) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value), sql)
	return value
}

func TestStandbyOfEveryVersion(t *testing.T) {
	installations, missing := tools.Servers(t.Context())
	require.NoError(t, missing)
	for _, installation := range installations {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			primary, err := pgserver.Start(t.Context(), pgserver.Config{
				Binaries:  installation.Binaries,
				Superuser: "the master",
				Password:  `it's %20 a \secret`,
				// With a smaller value than its primary's a standby does not start.
				Settings: []string{"max_prepared_transactions = 5"},
			})
			require.NoError(t, err)
			defer primary.Stop()
			here := connect(t, primary)
			_, err = here.Exec(t.Context(), "CREATE TABLE before AS SELECT 'kept' AS word")
			require.NoError(t, err)

			standby, err := primary.Standby(t.Context(), pgserver.Config{
				Settings: []string{"application_name = 'the standby'"}})
			require.NoError(t, err)
			defer standby.Stop()
			there := connect(t, standby)

			// It has what there was before, and it can only be read.
			assert.Equal(t, "true", one(t, there, "SELECT pg_is_in_recovery()::text"))
			assert.Equal(t, "kept", one(t, there, "SELECT word FROM before"))
			assert.Equal(t, "the standby", one(t, there, "SHOW application_name"))
			_, err = there.Exec(t.Context(), "CREATE TABLE refused ()")
			require.ErrorContains(t, err, "read-only")

			// It streams what comes after.
			_, err = here.Exec(t.Context(), "CREATE TABLE after AS SELECT 'streamed' AS word")
			require.NoError(t, err)
			require.NoError(t, primary.CatchUp(t.Context(), standby))
			assert.Equal(t, "streamed", one(t, there, "SELECT word FROM after"))
			assert.Equal(t, "streaming", one(t, here, "SELECT state FROM pg_stat_replication"))

			// One whose replay is paused does not catch up, and does once it goes on.
			_, err = there.Exec(t.Context(), "SELECT pg_wal_replay_pause()")
			require.NoError(t, err)
			brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			require.ErrorContains(t, primary.CatchUp(brief, standby), "has not replayed")
			_, err = there.Exec(t.Context(), "SELECT pg_wal_replay_resume()")
			require.NoError(t, err)
			require.NoError(t, primary.CatchUp(t.Context(), standby))

			require.NoError(t, standby.Stop())
			assert.NoDirExists(t, standby.Dir)
			assert.Equal(t, "here", one(t, here, "SELECT 'here'"), "the primary goes on")
		})
	}
}
