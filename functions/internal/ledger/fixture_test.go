package ledger

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// servers has one server of every version on this machine.
var servers []*pgserver.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		installations, missing := tools.Servers(context.Background())
		if missing != nil {
			fmt.Fprintln(os.Stderr, missing)
		}
		for _, installation := range installations {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			server, err := pgserver.Start(ctx, pgserver.Config{Binaries: installation.Binaries,
				Settings: []string{"max_prepared_transactions = 10"}})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer server.Stop()
			servers = append(servers, server)
		}
		if len(servers) == 0 {
			fmt.Fprintln(os.Stderr, "These tests need a PostgreSQL server on this machine.")
			return 1
		}
		return m.Run()
	}())
}

// fixture is a database of its own with a table, roles, users, and a broker. Roles belong
// to a whole server, so all names but the table's carry the fixture's own suffix.
type fixture struct {
	*testing.T
	*Ledger
	server *pgserver.Server
	suffix string
	// root is the superuser's connection to the database, owner its owner's.
	root, owner *pgx.Conn
	ownerName   string
	broker      string
	logged      *bytes.Buffer
	log         *slog.Logger
	trips       *atomic.Int64
	dials       *atomic.Int64
}

// everywhere runs a test on each version with a database whose owner has CREATEROLE and no
// more, as on RDS, and on one of them, each test on another, also with one that a superuser owns.
// The versions run beside each other, the databases of one server one after the other: some tests
// change what is the server's.
func everywhere(t *testing.T, test func(f *fixture)) {
	turn := crc32.ChecksumIEEE([]byte(t.Name())) % uint32(len(servers))
	for i, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			owners := []string{"createrole"}
			if uint32(i) == turn {
				owners = append(owners, "superuser")
			}
			for _, owner := range owners {
				t.Run(owner, func(t *testing.T) {
					test(newFixture(t, server, owner == "superuser"))
				})
			}
		})
	}
}

const password = "it's a secret"

func newFixture(t *testing.T, server *pgserver.Server, superuser bool) *fixture {
	t.Helper()
	return newFixtureIn(t, server, superuser, "UTF8")
}

// newFixtureIn is newFixture with a database of that encoding.
func newFixtureIn(
	t *testing.T, server *pgserver.Server, superuser bool, encoding string,
) *fixture {
	t.Helper()
	suffix := strings.ReplaceAll(uuid.NewString()[:8], "-", "")
	return newFixtureAs(t, server, superuser, encoding, suffix)
}

// newFixtureAs is newFixtureIn with that suffix.
func newFixtureAs(
	t *testing.T, server *pgserver.Server, superuser bool, encoding, suffix string,
) *fixture {
	t.Helper()
	f := &fixture{T: t, server: server, suffix: suffix,
		logged: &bytes.Buffer{}, trips: &atomic.Int64{}, dials: &atomic.Int64{}}
	f.log = slog.New(slog.NewTextHandler(f.logged, nil))
	f.ownerName, f.broker = "owner_"+f.suffix, "broker_"+f.suffix
	databaseName := "db_" + f.suffix

	root := f.dial(server.URL())
	attributes := "CREATEROLE"
	if superuser {
		attributes = "SUPERUSER"
	}
	exec(f, root, "CREATE ROLE %s LOGIN %s PASSWORD %s", name(f.ownerName), attributes,
		database.Literal(password))
	// rds_superuser is a member of it on RDS.
	exec(f, root, "GRANT pg_signal_backend TO %s", name(f.ownerName))
	exec(f, root, "CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING %s LOCALE 'C'",
		name(databaseName), name(f.ownerName), database.Literal(encoding))
	// Hundreds of them would go to the disk.
	f.Cleanup(func() { f.drop(databaseName) })
	f.root = f.dial(server.URLFor(server.Superuser, server.Password, databaseName))
	f.owner = f.dial(server.URLFor(f.ownerName, password, databaseName))

	exec(f, f.owner, "CREATE TABLE orders (item text); INSERT INTO orders VALUES ('chalk')")
	for _, role := range []string{"readonly", "readwrite", "Read Only"} {
		exec(f, f.owner, "CREATE ROLE %s", f.name(role))
		exec(f, f.owner, "GRANT SELECT ON orders TO %s", f.name(role))
	}
	for _, user := range []string{"alice", "bob"} {
		exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name(user),
			database.Literal(password))
	}
	f.setup("readonly", "readwrite", "Read Only")
	exec(f, f.owner, "ALTER ROLE %s PASSWORD %s", name(f.broker), database.Literal(password))

	f.Ledger = f.ledgerOf(f.broker)
	return f
}

// drop removes a database, whoever is in it. Its server may be stopped by now.
func (f *fixture) drop(databaseName string) {
	conn, err := pgx.Connect(context.Background(), f.server.URL())
	if err != nil {
		return
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(),
		"DROP DATABASE IF EXISTS "+name(databaseName)+" WITH (FORCE)")
	assert.NoError(f, err)
}

// ledgerOf is the ledger as a function that logs in as this broker has it.
func (f *fixture) ledgerOf(broker string) *Ledger {
	return f.ledgerWith(broker, Options{})
}

func (f *fixture) ledgerWith(broker string, options Options) *Ledger {
	config, err := pgx.ParseConfig(f.server.URLFor(broker, password, "db_"+f.suffix))
	require.NoError(f, err)
	return f.ledgerAt(config, options)
}

// ledgerAt is the ledger of the database that the settings lead to.
func (f *fixture) ledgerAt(config *pgx.ConnConfig, options ...Options) *Ledger {
	connect := func(ctx context.Context) (*pgx.Conn, error) {
		database.Pin(config)
		config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			f.dials.Add(1)
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &countingConn{Conn: conn, trips: f.trips}, err
		}
		return database.Open(ctx, config)
	}
	session := database.NewSession(connect)
	f.Cleanup(session.Close)
	return New(session, f.log, append(options, Options{})[0])
}

// countingConn counts round trips: a write after a read begins one.
type countingConn struct {
	net.Conn
	trips   *atomic.Int64
	writing atomic.Bool
}

func (c *countingConn) Write(data []byte) (int, error) {
	if !c.writing.Swap(true) {
		c.trips.Add(1)
	}
	return c.Conn.Write(data)
}

func (c *countingConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.writing.Store(false)
	return n, err
}

func (f *fixture) setup(roles ...string) {
	f.Helper()
	require.NoError(f, f.trySetup(f.owner, f.broker, roles...))
}

func (f *fixture) trySetup(conn *pgx.Conn, broker string, roles ...string) error {
	f.Helper()
	for i, role := range roles {
		roles[i] = f.of(role)
	}
	return f.script(conn, postgreslambda.Setup, map[string]string{
		"broker": broker, "roles": strings.Join(roles, ", ")})
}

// script runs a file for psql.
func (f *fixture) script(conn *pgx.Conn, text string, variables map[string]string) error {
	f.Helper()
	script, err := database.Script(text, variables)
	require.NoError(f, err)
	_, err = conn.PgConn().Exec(f.Context(), script).ReadAll()
	if err != nil {
		_, rollback := conn.Exec(f.Context(), "ROLLBACK")
		require.NoError(f, rollback)
	}
	return err
}

// of is the name that a role or user has in this fixture, name the same quoted.
func (f *fixture) of(role string) string   { return role + "_" + f.suffix }
func (f *fixture) name(role string) string { return name(f.of(role)) }

func (f *fixture) dial(url string) *pgx.Conn {
	f.Helper()
	conn, err := pgx.Connect(f.Context(), url)
	require.NoError(f, err)
	f.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(f *fixture, conn *pgx.Conn, format string, args ...any) {
	f.Helper()
	_, err := conn.PgConn().Exec(f.Context(), fmt.Sprintf(format, args...)).ReadAll()
	require.NoError(f, err)
}

func query[T any](f *fixture, sql string, args ...any) (value T) {
	f.Helper()
	require.NoError(f, f.root.QueryRow(f.Context(), sql, args...).Scan(&value))
	return value
}

// login opens a session as a user.
func (f *fixture) login(user string) *pgx.Conn {
	f.Helper()
	return f.dial(f.server.URLFor(f.of(user), password, "db_"+f.suffix))
}

// reads tells whether a fresh session of the user can read the table.
func (f *fixture) reads(user string) bool {
	f.Helper()
	conn := f.login(user)
	defer conn.Close(context.Background())
	_, err := conn.Exec(f.Context(), "SELECT * FROM orders")
	if err != nil {
		require.ErrorContains(f, err, "permission denied for table orders")
	}
	return err == nil
}

func (f *fixture) request(run, user, role string) Request {
	return Request{Run: run + "_" + f.suffix, User: f.of(user), Role: f.of(role),
		Requester: user + "@example.com", Reason: "a reason", Duration: time.Hour}
}

// escalate, deescalate and refused are the two calls as most tests want them.
func (f *fixture) escalate(run, user, role string) event.Escalated {
	f.Helper()
	answer, err := f.Escalate(f.Context(), f.request(run, user, role))
	require.NoError(f, err)
	return answer
}

func (f *fixture) deescalate(run string) event.Deescalated {
	f.Helper()
	answer, err := f.Deescalate(f.Context(), End{Run: run + "_" + f.suffix})
	require.NoError(f, err)
	return answer
}

func (f *fixture) refused(code event.Code, request Request) {
	f.Helper()
	f.refusedBy(f.Ledger, code, request)
}

func (f *fixture) refusedBy(ledger *Ledger, code event.Code, request Request) {
	f.Helper()
	before := query[string](f, `SELECT coalesce(string_agg(m::text, ' ' ORDER BY m::text), '')
		FROM pg_auth_members m`)
	rows := query[int](f, `SELECT count(*) FROM sym.grants`)
	_, err := ledger.Escalate(f.Context(), request)
	var refusal *event.Refusal
	require.ErrorAs(f, err, &refusal)
	require.Equal(f, code, refusal.Code, refusal.Message)
	require.Equal(f, rows, query[int](f, `SELECT count(*) FROM sym.grants`))
	require.Equal(f, before, query[string](f, `SELECT coalesce(
		string_agg(m::text, ' ' ORDER BY m::text), '') FROM pg_auth_members m`))
}

// expire makes a run's time be over.
func (f *fixture) expire(run string) {
	f.Helper()
	exec(f, f.root, `UPDATE sym.grants SET expires_at = clock_timestamp() WHERE run = %s`,
		database.Literal(run+"_"+f.suffix))
}

// membership lists the grantors of a user's own membership in a role.
func (f *fixture) membership(user, role string) []string {
	f.Helper()
	return query[[]string](f, `SELECT ARRAY(SELECT pg_get_userbyid(grantor)::text
		FROM pg_auth_members WHERE roleid = $1::regrole AND member = $2::regrole ORDER BY 1)`,
		f.name(role), f.name(user))
}
