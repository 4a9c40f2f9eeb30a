package database

import (
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// pooler stands before a server as pgbouncer does: it refuses a connection with a setting that it
// does not keep for its clients. It answers its port, and which settings each connection came with.
func pooler(t *testing.T, server *pgserver.Server) (port uint16, asked func() [][]string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var mutex sync.Mutex
	var all [][]string
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				backend := pgproto3.NewBackend(client, client)
				message, err := backend.ReceiveStartupMessage()
				start, ok := message.(*pgproto3.StartupMessage)
				if err != nil || !ok {
					return
				}
				names := slices.Sorted(maps.Keys(start.Parameters))
				mutex.Lock()
				all = append(all, names)
				mutex.Unlock()
				for _, name := range names {
					if !slices.Contains([]string{"user", "database", "application_name", "client_encoding",
						"DateStyle", "TimeZone", "standard_conforming_strings"}, name) {
						backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01",
							Message: "unsupported startup parameter: " + name})
						_ = backend.Flush()
						return
					}
				}
				behind, err := net.Dial("tcp", server.Address())
				if err != nil {
					return
				}
				defer behind.Close()
				text, err := start.Encode(nil)
				if err != nil {
					return
				}
				_, _ = behind.Write(text)
				go func() { _, _ = io.Copy(behind, client) }()
				_, _ = io.Copy(client, behind)
			}()
		}
	}()
	return uint16(listener.Addr().(*net.TCPAddr).Port), func() [][]string {
		mutex.Lock()
		defer mutex.Unlock()
		return slices.Clone(all)
	}
}

func TestPoolerIsAskedForWhatItKnows(t *testing.T) {
	server, err := pgserver.Start(t.Context(), pgserver.Config{Password: password})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	port, asked := pooler(t, server)
	connector, err := NewConnector(Config{Host: "127.0.0.1", Port: port, User: "postgres",
		Database: "postgres", Auth: AuthPassword, Password: password, SSLMode: SSLDisable})
	require.NoError(t, err)
	setting := func(conn *pgx.Conn, name string) (value string) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
		return value
	}
	for range 2 {
		conn, err := connector.Connect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "ISO, YMD", setting(conn, "DateStyle"))
		assert.Equal(t, "UTC", setting(conn, "TimeZone"))
		require.NoError(t, conn.Close(t.Context()))
	}
	// The second connection need not be refused first.
	kept := []string{"DateStyle", "TimeZone", "client_encoding", "database",
		"standard_conforming_strings", "user"}
	require.Len(t, asked(), 3)
	assert.Contains(t, asked()[0], "search_path")
	assert.Equal(t, [][]string{kept, kept}, asked()[1:])

	// A server takes all of them.
	connector.settings.Port = uint16(server.Port)
	conn, err := connector.Connect(t.Context())
	require.NoError(t, err)
	defer conn.Close(t.Context())
	assert.Equal(t, "pg_catalog, pg_temp", setting(conn, "search_path"))
}
