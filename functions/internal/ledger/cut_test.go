package ledger

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
)

// cut says where a connection is cut: in which round trip, and where in it.
type cut struct {
	trip int
	how  string
}

// cutter cuts the connections that are dialled through it, once for each time it is armed.
type cutter struct {
	mutex sync.Mutex
	armed cut
	trips int
}

func (c *cutter) arm(where cut) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.armed, c.trips = where, 0
}

// now tells whether to cut. A trip begins with a write after a read.
func (c *cutter) now(begins bool, how ...string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if begins {
		c.trips++
	}
	if c.armed.trip != 0 && c.trips == c.armed.trip && slices.Contains(how, c.armed.how) {
		c.armed.trip = 0
		return true
	}
	return false
}

type cutConn struct {
	net.Conn
	cutter *cutter
	// writing is touched by one goroutine at a time, as a connection is.
	mutex   sync.Mutex
	writing bool
}

func (c *cutConn) Write(data []byte) (int, error) {
	c.mutex.Lock()
	begins := !c.writing
	c.writing = true
	c.mutex.Unlock()
	if c.cutter.now(begins, beforeSending) {
		_ = c.Conn.Close()
		return 0, errCut
	}
	if c.cutter.now(false, midway) {
		_, _ = c.Conn.Write(data[:len(data)/2])
		_ = c.Conn.Close()
		return 0, errCut
	}
	return c.Conn.Write(data)
}

func (c *cutConn) Read(data []byte) (int, error) {
	// The server sends its answers when it has come to the end of the trip.
	n, err := c.Conn.Read(data)
	c.mutex.Lock()
	c.writing = false
	c.mutex.Unlock()
	if err == nil && c.cutter.now(false, beforeHearing) {
		_ = c.Conn.Close()
		return 0, errCut
	}
	return n, err
}

// process is a ledger and what cuts its connections.
type process struct {
	*Ledger
	*cutter
	connect func(context.Context) (*pgx.Conn, error)
	close   func()
}

// cuttable starts a process. The connection is there already, so that the first trip is the
// first of the work.
func (f *fixture) cuttable() *process {
	f.Helper()
	knife := &cutter{}
	settings, err := pgx.ParseConfig(f.server.URLFor(f.broker, password, "db_"+f.suffix))
	require.NoError(f, err)
	database.Pin(settings)
	settings.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &cutConn{Conn: conn, cutter: knife}, err
	}
	connect := func(ctx context.Context) (*pgx.Conn, error) {
		return database.Open(ctx, settings)
	}
	session := database.NewSession(connect)
	ledger := New(session, f.log, Options{})
	_, err = ledger.Status(f.Context())
	require.NoError(f, err)
	return &process{ledger, knife, connect, session.Close}
}
