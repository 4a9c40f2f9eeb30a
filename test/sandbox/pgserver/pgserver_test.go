package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	// As the child of TestServerDiesWithItsParent: start a server, tell where, and wait.
	if os.Getenv("PGSERVER_CHILD") != "" {
		server, err := Start(context.Background(), Config{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(server.URL())
		select {}
	}
	os.Exit(m.Run())
}

func query(t *testing.T, url, sql string) (value string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

func TestEveryVersionStartsAndStops(t *testing.T) {
	installed := Installed()
	require.NotEmpty(t, installed)
	for _, installation := range installed {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			server, err := Start(t.Context(), Config{
				Binaries:  installation.Binaries,
				Superuser: "the master",
				Password:  "it's %20 secret",
				Settings:  []string{"application_name = 'tried'"},
				HBA:       []string{"host all nobody all reject"},
			})
			require.NoError(t, err)
			defer server.Stop()

			version, err := query(t, server.URL(), "SHOW server_version")
			require.NoError(t, err)
			assert.Regexp(t, fmt.Sprintf(`^%d\.`, installation.Major), version)
			fsync, err := query(t, server.URL(), "SHOW fsync")
			require.NoError(t, err)
			assert.Equal(t, "off", fsync)

			// The password counts, and so does the added line of pg_hba.conf.
			_, err = query(t, server.URLFor("the master", "wrong", "postgres"), "SELECT ''")
			require.ErrorContains(t, err, "password authentication failed")
			_, err = query(t, server.URLFor("nobody", "", "postgres"), "SELECT ''")
			require.ErrorContains(t, err, "pg_hba.conf rejects")

			require.NoError(t, server.Stop())
			_, err = query(t, server.URL(), "SELECT ''")
			require.ErrorContains(t, err, "connection refused")
			assert.NoDirExists(t, server.Dir)
			require.NoError(t, server.Stop(), "stopping twice is harmless")
		})
	}
}

func TestServerGoesOnWithItsData(t *testing.T) {
	dir, err := os.MkdirTemp("", "pgserver-test"+strings.Repeat("-long", 20))
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	config := Config{Dir: dir, Password: "secret"}
	server, err := Start(t.Context(), config)
	require.NoError(t, err)
	defer server.Stop()
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept ()")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, server.Stop())

	config.Port = server.Port
	again, err := Start(t.Context(), config)
	require.NoError(t, err)
	defer again.Stop()
	found, err := query(t, again.URL(), "SELECT to_regclass('kept')::text")
	require.NoError(t, err)
	assert.Equal(t, "kept", found)

	// A second server on a port that was asked for and is taken says so.
	_, err = Start(t.Context(), Config{Port: again.Port})
	require.ErrorContains(t, err, "could not bind")
}

func TestServerDiesWithItsParent(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux can do that")
	}
	temporary, err := os.MkdirTemp("", "pgserver-test")
	require.NoError(t, err)
	defer os.RemoveAll(temporary)
	// The server may run as another user, who has to reach its folder.
	require.NoError(t, os.Chmod(temporary, 0o755))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "PGSERVER_CHILD=1", "TMPDIR="+temporary)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(output)
	require.True(t, lines.Scan())
	_, err = query(t, lines.Text(), "SELECT ''")
	require.NoError(t, err)

	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	require.Eventually(t, func() bool {
		_, err := query(t, lines.Text(), "SELECT ''")
		return err != nil
	}, 10*time.Second, 20*time.Millisecond)
}
