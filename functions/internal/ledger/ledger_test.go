package ledger

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
// more, as on RDS, and on the oldest and the newest also with one that a superuser owns. The
// versions run beside each other, the databases of one server one after the other: some tests
// change what is the server's.
func everywhere(t *testing.T, test func(f *fixture)) {
	for i, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			owners := []string{"createrole"}
			if i == 0 || i == len(servers)-1 {
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

func TestGrantIsThereUntilItIsTakenBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		require.False(f, f.reads("alice"))
		granted := f.escalate("run", "alice", "readonly")
		assert.True(f, granted.Changed)
		assert.False(f, granted.Standing)
		assert.WithinDuration(f, time.Now(), granted.GrantedAt, time.Minute)
		assert.Equal(f, time.Hour, granted.ExpiresAt.Sub(granted.GrantedAt))
		require.True(f, f.reads("alice"))
		require.False(f, f.reads("bob"))

		status, err := f.Status(f.Context())
		require.NoError(f, err)
		require.Len(f, status.Active, 1)
		assert.Equal(f, event.Active{
			Run: granted.Run, User: granted.User, Role: granted.Role,
			Requester: "alice@example.com", Reason: "a reason",
			GrantedAt: granted.GrantedAt, ExpiresAt: granted.ExpiresAt,
		}, status.Active[0])

		ended := f.deescalate("run")
		assert.Equal(f, event.Deescalated{Run: granted.Run, User: granted.User,
			Role: granted.Role, Changed: true, StillMemberThrough: []string{}}, ended)
		require.False(f, f.reads("alice"))
		status, err = f.Status(f.Context())
		require.NoError(f, err)
		assert.Empty(f, status.Active)
	})
}

func TestRepetitionChangesNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		first := f.escalate("run", "alice", "readonly")
		for range 49 {
			again := f.escalate("run", "alice", "readonly")
			require.False(f, again.Changed)
			again.Changed = true
			require.Equal(f, first, again)
		}
		require.Len(f, f.membership("alice", "readonly"), 1)

		assert.True(f, f.deescalate("run").Changed)
		for range 49 {
			require.False(f, f.deescalate("run").Changed)
		}
		f.refused(event.RunEnded, f.request("run", "alice", "readonly"))
		require.False(f, f.reads("alice"))
	})
}

func TestFiftyAtOnceAreOne(t *testing.T) {
	everywhere(t, func(f *fixture) {
		atOnce := func(do func() (changed bool, err error)) (changes int64) {
			var group sync.WaitGroup
			var changed, failed atomic.Int64
			for range 50 {
				group.Go(func() {
					did, err := do()
					if err != nil {
						failed.Add(1)
						f.Log(err)
					}
					if did {
						changed.Add(1)
					}
				})
			}
			group.Wait()
			assert.Zero(f, failed.Load())
			return changed.Load()
		}
		// Ten processes, each with a connection of its own.
		ledgers := make(chan *Ledger, 50)
		for range 10 {
			other := f.ledgerOf(f.broker)
			for range 5 {
				ledgers <- other
			}
		}
		with := func(do func(*Ledger) (bool, error)) func() (bool, error) {
			return func() (bool, error) {
				ledger := <-ledgers
				defer func() { ledgers <- ledger }()
				return do(ledger)
			}
		}
		ctx, request := f.Context(), f.request("run", "alice", "readonly")
		assert.EqualValues(f, 1, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Escalate(ctx, request)
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1)
		require.EqualValues(f, 1, query[int](f, "SELECT count(*) FROM sym.grants"))

		// Different runs of the same pair at once are as many rows and one membership.
		var number atomic.Int64
		assert.EqualValues(f, 50, atOnce(with(func(l *Ledger) (bool, error) {
			request := f.request(fmt.Sprint("more", number.Add(1)), "alice", "readonly")
			answer, err := l.Escalate(ctx, request)
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1)
		number.Store(0)
		assert.EqualValues(f, 50, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Deescalate(ctx, End{Run: fmt.Sprint("more", number.Add(1), "_", f.suffix)})
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1, "the first run still has it")
		assert.EqualValues(f, 1, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Deescalate(ctx, End{Run: request.Run})
			return answer.Changed, err
		})))
		require.Empty(f, f.membership("alice", "readonly"))
	})
}

func TestEndBeforeBeginWins(t *testing.T) {
	everywhere(t, func(f *fixture) {
		ended := f.deescalate("run")
		assert.True(f, ended.Changed)
		assert.Empty(f, ended.User)
		assert.False(f, f.deescalate("run").Changed)
		f.refused(event.RunEnded, f.request("run", "alice", "readonly"))
		require.False(f, f.reads("alice"))
	})
}

func TestOverlappingRunsKeepTheRoleToTheLast(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("first", "alice", "readonly")
		assert.False(f, f.escalate("second", "alice", "readonly").Standing)
		f.escalate("other", "alice", "readwrite")

		ended := f.deescalate("first")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		require.Len(f, f.membership("alice", "readonly"), 1)
		assert.Empty(f, f.deescalate("second").StillMemberThrough)
		require.Empty(f, f.membership("alice", "readonly"))
		require.Len(f, f.membership("alice", "readwrite"), 1)
	})
}

func TestExpiredRunDoesNotKeepTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("first", "alice", "readonly")
		f.escalate("second", "alice", "readonly")
		f.expire("first")
		f.deescalate("second")
		require.Empty(f, f.membership("alice", "readonly"))
		f.refused(event.RunEnded, f.request("first", "alice", "readonly"))
	})
}

func TestStandingMembershipIsNeverTaken(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("alice"))
		before := f.membership("alice", "readonly")
		granted := f.escalate("run", "alice", "readonly")
		assert.True(f, granted.Standing)
		assert.True(f, f.escalate("run", "alice", "readonly").Standing)
		assert.True(f, f.escalate("another", "alice", "readonly").Standing)
		f.deescalate("another")

		session := f.login("alice")
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		assert.Zero(f, ended.SessionsEnded)
		require.NoError(f, session.Ping(f.Context()), "the session goes on, too")
		assert.Equal(f, before, f.membership("alice", "readonly"))
		require.True(f, f.reads("alice"))
	})
}

func TestStandingMembershipKeepsItsOptions(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		require.True(f, query[bool](f, `SELECT bool_and(admin_option) FROM pg_auth_members
			WHERE roleid = $1::regrole AND member = $2::regrole`,
			f.name("readonly"), f.name("alice")))
	})
}

// TestStandingMembershipsOfEveryGrantorStayAsTheyAre compares whole rows of the catalogue.
func TestStandingMembershipsOfEveryGrantorStayAsTheyAre(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name("deputy"),
			database.Literal(password))
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("deputy"))
		deputy := f.login("deputy")
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		exec(f, deputy, "GRANT %s TO %s", f.name("readonly"), f.name("bob"))
		if f.server.Major >= 16 {
			exec(f, deputy, "GRANT %s TO %s WITH INHERIT FALSE, SET TRUE",
				f.name("readonly"), f.name("alice"))
			exec(f, f.root, "GRANT %s TO %s WITH INHERIT TRUE, SET FALSE",
				f.name("readonly"), f.name("bob"))
		}
		rows := func() string {
			return query[string](f, `SELECT string_agg(m::text, E'\n' ORDER BY m::text)
				FROM pg_auth_members m WHERE member IN ($1::regrole, $2::regrole)`,
				f.name("alice"), f.name("bob"))
		}
		before := rows()
		for _, user := range []string{"alice", "bob"} {
			require.True(f, f.escalate("run of "+user, user, "readonly").Standing)
			require.True(f, f.escalate("another of "+user, user, "readonly").Standing)
			f.deescalate("run of " + user)
			f.expire("another of " + user)
		}
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.Equal(f, before, rows())
	})
}

func TestStandingMembershipThatCameMeanwhileStays(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		// Up to 15 a second GRANT leaves no trace unless it gives more rights.
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		require.True(f, f.reads("alice"))
	})
}

func TestSessionsEndWithTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		taken, reading, idle := f.login("alice"), f.login("alice"), f.login("alice")
		exec(f, taken, "SET ROLE %s", f.name("readonly"))
		exec(f, reading, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders")
		bob := f.login("bob")

		assert.Equal(f, 3, f.deescalate("run").SessionsEnded)
		for _, conn := range []*pgx.Conn{taken, reading, idle} {
			_, err := conn.Exec(f.Context(), "SELECT")
			require.Error(f, err)
		}
		require.NoError(f, bob.Ping(f.Context()))

		// A new session is not part of the run, so a repeated end leaves it alone.
		fresh := f.login("alice")
		assert.Zero(f, f.deescalate("run").SessionsEnded)
		require.NoError(f, fresh.Ping(f.Context()))
	})
}

func TestSessionsEndLaterWhereTheFirstTimeWasCutShort(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		session := f.login("alice")
		exec(f, f.owner, "REVOKE EXECUTE ON FUNCTION sym.end_sessions FROM %s", name(f.broker))
		_, err := f.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.IsType(f, database.DatabaseRefused{}, err)
		require.False(f, f.reads("alice"), "what could be taken was taken")
		require.NoError(f, session.Ping(f.Context()))

		exec(f, f.owner, "GRANT EXECUTE ON FUNCTION sym.end_sessions TO %s", name(f.broker))
		_, err = f.Sweep(f.Context())
		require.NoError(f, err)
		require.Error(f, session.Ping(f.Context()))
	})
}

func TestAnswerSaysThroughWhatTheRoleIsStillHeld(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s; CREATE ROLE %s", f.name("team"), f.name("department"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("department"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("department"), f.name("team"))
		exec(f, f.owner, "GRANT %s TO %s", f.name("team"), f.name("alice"))
		f.escalate("run", "alice", "readonly")
		session := f.login("alice")
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("department")}, ended.StillMemberThrough)
		assert.Zero(f, ended.SessionsEnded)
		require.NoError(f, session.Ping(f.Context()))
		require.Empty(f, f.membership("alice", "readonly"))
	})
}

func TestDroppedAndRenamed(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("dropped", "alice", "readonly")
		session := f.login("alice")
		exec(f, f.root, "DROP ROLE %s", f.name("alice"))
		ended := f.deescalate("dropped")
		assert.True(f, ended.Changed)
		assert.Equal(f, 1, ended.SessionsEnded)
		require.Error(f, session.Ping(f.Context()))

		f.escalate("renamed", "bob", "readonly")
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("bob"), f.name("robert"))
		require.Len(f, f.membership("robert", "readonly"), 1)
		f.deescalate("renamed")
		require.Empty(f, f.membership("robert", "readonly"))
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("robert"), f.name("bob"))

		f.escalate("role dropped", "bob", "Read Only")
		exec(f, f.root, "DROP OWNED BY %s; DROP ROLE %s", f.name("Read Only"), f.name("Read Only"))
		assert.True(f, f.deescalate("role dropped").Changed)
	})
}

func TestAnotherBrokerEndsTheRunsOfTheFirst(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		second := f.of("second broker")
		require.ErrorContains(f, f.trySetup(f.owner, second, "readonly"),
			`The broker of this ledger is "`+f.broker+`", not "`+second)
		require.NoError(f, f.script(f.owner, postgreslambda.Setup, map[string]string{
			"broker": second, "roles": f.of("readonly"), "replace": "on"}))
		exec(f, f.owner, "ALTER ROLE %s PASSWORD %s", name(second), database.Literal(password))
		other := f.ledgerOf(second)

		// From 16 on only the grantor or a member of it may; anyone else gets an error.
		if f.server.Major >= 16 {
			_, err := other.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
			require.IsType(f, database.DatabaseRefused{}, err)
			require.True(f, f.reads("alice"))
			exec(f, f.root, "GRANT %s TO %s WITH INHERIT TRUE", name(f.broker), name(second))
		}
		ended, err := other.Deescalate(f.Context(), End{Run: "run_" + f.suffix})
		require.NoError(f, err)
		assert.True(f, ended.Changed)
		require.False(f, f.reads("alice"))
	})
}

func TestSweepEndsWhatHasExpired(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("over", "alice", "readonly")
		f.escalate("going on", "bob", "readonly")
		f.expire("over")
		session := f.login("alice")

		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Equal(f, event.Swept{
			Revoked: []event.Revoked{{
				Run: "over_" + f.suffix, User: f.of("alice"), Role: f.of("readonly")}},
			Failed: []event.Failed{}, Repaired: []event.Revoked{}, Drift: []event.Drift{},
		}, swept)
		require.False(f, f.reads("alice"))
		require.True(f, f.reads("bob"))
		require.Error(f, session.Ping(f.Context()))

		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Revoked)
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("stuck", "alice", "readonly")
		f.escalate("over", "bob", "readwrite")
		f.expire("stuck")
		f.expire("over")
		exec(f, f.root, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE 'not this one'; END $$`)
		exec(f, f.root, `CREATE TRIGGER refuse BEFORE UPDATE ON sym.grants FOR EACH ROW
			WHEN (old.run LIKE 'stuck%%') EXECUTE FUNCTION refuse()`)

		swept, err := f.Sweep(f.Context())
		require.IsType(f, SweepIncomplete{}, err)
		require.Len(f, swept.Failed, 1)
		assert.Equal(f, "stuck_"+f.suffix, swept.Failed[0].Run)
		require.Len(f, swept.Revoked, 1)
		require.False(f, f.reads("bob"))
		require.False(f, f.reads("alice"), "the role goes, whether or not that can be noted")
		assert.Contains(f, swept.Failed[0].Message, "was taken from")

		exec(f, f.root, "DROP TRIGGER refuse ON sym.grants")
		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		require.Len(f, swept.Revoked, 1)
	})
}

func TestRefusals(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.refused(event.UnknownUser, f.request("run", "zoe", "readonly"))
		f.refused(event.UnknownUser, f.request("run", "Alice", "readonly"))
		f.refused(event.UnknownRole, f.request("run", "alice", "nothing"))

		exec(f, f.owner, "CREATE ROLE %s", f.name("unknown to setup"))
		f.refused(event.RoleNotGranted, f.request("run", "alice", "unknown to setup"))

		// A group is not a person, and neither the broker nor the owner is given roles.
		f.refused(event.UserRefused, f.request("run", "readwrite", "readonly"))
		for _, user := range []string{f.broker, f.ownerName, f.server.Superuser} {
			request := f.request("run", "alice", "readonly")
			request.User = user
			f.refused(event.UserRefused, request)
		}

		exec(f, f.owner, "GRANT %s TO %s", f.name("alice"), f.name("readwrite"))
		f.refused(event.CircularRole, f.request("run", "alice", "readwrite"))

		f.escalate("run", "alice", "readonly")
		f.refused(event.RunMismatch, f.request("run", "bob", "readonly"))
		f.refused(event.RunMismatch, f.request("run", "alice", "readwrite"))
	})
}

func TestDangerousRolesAreRefused(t *testing.T) {
	everywhere(t, func(f *fixture) {
		dangerous := []string{"pg_read_server_files", "pg_write_server_files",
			"pg_execute_server_program"}
		for _, attribute := range []string{"SUPERUSER", "CREATEROLE", "REPLICATION"} {
			role := f.of("with " + attribute)
			exec(f, f.root, "CREATE ROLE %s %s", name(role), attribute)
			dangerous = append(dangerous, role)
		}
		if !query[bool](f, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname='rds_superuser')") {
			exec(f, f.root, "CREATE ROLE rds_superuser")
			f.Cleanup(func() { _, _ = f.root.Exec(context.Background(), "DROP ROLE rds_superuser") })
		}
		dangerous = append(dangerous, "rds_superuser", f.ownerName)
		for i, role := range dangerous {
			inner, outer := f.of(fmt.Sprint("inner", i)), f.of(fmt.Sprint("outer", i))
			exec(f, f.root, "CREATE ROLE %s; CREATE ROLE %s", name(inner), name(outer))
			exec(f, f.root, "GRANT %s TO %s", name(role), name(inner))
			exec(f, f.root, "GRANT %s TO %s", name(inner), name(outer))
			for _, role := range []string{role, inner, outer} {
				request := f.request("run", "alice", "readonly")
				request.Role = role
				f.refused(event.DangerousRole, request)
			}
		}
		request := f.request("run", "alice", "readonly")
		request.Role = f.broker
		f.refused(event.DangerousRole, request)
	})
}

func TestTwoPeopleNeverShareAUser(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		request := f.request("another", "alice", "readonly")
		request.Requester = "alice@elsewhere.com"
		f.refused(event.UserTaken, request)
		f.deescalate("run")
		f.refused(event.UserTaken, request)
	})
}

func TestNamesAreQuoted(t *testing.T) {
	everywhere(t, func(f *fixture) {
		for _, user := range []string{`O'Brien "x"`, "Ünïcode; DROP", `back\slash`, "$1"} {
			exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name(user),
				database.Literal(password))
			f.escalate(user, user, "Read Only")
			require.True(f, f.reads(user))
			f.deescalate(user)
			require.False(f, f.reads(user))
		}
		request := f.request("reason", "alice", "readonly")
		request.Reason = "a NUL: \x00 '; --"
		_, err := f.Escalate(f.Context(), request)
		require.NoError(f, err)
		f.deescalate("reason")
	})
}

func TestRoundTrips(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("warm", "bob", "readonly")
		trips := func(do func()) int64 {
			before := f.trips.Load()
			do()
			return f.trips.Load() - before
		}
		assert.EqualValues(f, 2, trips(func() { f.escalate("run", "alice", "readonly") }))
		assert.EqualValues(f, 2, trips(func() { f.escalate("run", "alice", "readonly") }))
		// The third looks for what was left behind, when the role is gone.
		assert.EqualValues(f, 3, trips(func() { f.deescalate("run") }))
		assert.EqualValues(f, 1, f.dials.Load(), "one connection does it all")
	})
}

func TestLostConnectionIsReplaced(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
			"WHERE usename = %s", database.Literal(f.broker))
		assert.True(f, f.deescalate("run").Changed)
		assert.EqualValues(f, 2, f.dials.Load())
	})
}

func TestLockedLedgerIsBusy(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		exec(f, f.root, "BEGIN; LOCK TABLE sym.grants")
		// It says so while there is time left to say it.
		f.within(4*time.Second, func(ctx context.Context) {
			_, err := f.Deescalate(ctx, End{Run: "run_" + f.suffix})
			require.IsType(f, database.DatabaseBusy{}, err)
		})
		exec(f, f.root, "ROLLBACK")
		assert.True(f, f.deescalate("run").Changed)
		assert.Zero(f, query[int](f, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`))
	})
}

func TestWithoutSetup(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, "DROP SCHEMA sym CASCADE")
		_, err := f.Escalate(f.Context(), f.request("run", "alice", "readonly"))
		var refusal *event.Refusal
		require.ErrorAs(f, err, &refusal)
		assert.Equal(f, event.NotInstalled, refusal.Code)
		_, err = f.Deescalate(f.Context(), End{Run: "run"})
		require.IsType(f, database.DatabaseRefused{}, err, "taking away is tried again")
		_, err = f.Sweep(f.Context())
		require.IsType(f, database.DatabaseRefused{}, err)
	})
}

func TestSetup(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.setup("readonly")
		f.setup("readonly", "Read Only")
		assert.False(f, f.escalate("run", "alice", "readonly").Changed, "it keeps the ledger")

		// The broker has no power of its own.
		require.False(f, query[bool](f, `SELECT rolsuper OR rolcreaterole OR rolcreatedb OR
			rolreplication OR rolbypassrls OR rolinherit FROM pg_roles WHERE rolname = $1`,
			f.broker))
		broker := f.dial(f.server.URLFor(f.broker, password, "db_"+f.suffix))
		for _, denied := range []string{
			"SELECT * FROM orders", "DELETE FROM sym.grants", "CREATE TABLE sym.t ()",
			"UPDATE sym.grants SET expires_at = now()", "UPDATE sym.users SET email = 'x'",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" +
				f.of("bob") + "'",
		} {
			if strings.Contains(denied, "pg_terminate") {
				f.login("bob")
			}
			_, err := broker.Exec(f.Context(), denied)
			var refused *pgconn.PgError
			require.ErrorAs(f, err, &refused, denied)
			require.Equal(f, "42501", refused.Code, denied)
		}
		if f.server.Major >= 16 {
			_, err := broker.Exec(f.Context(), "SET ROLE "+f.name("readonly"))
			require.ErrorContains(f, err, "permission denied")
		}
		// The people whom the ledger governs cannot even read it.
		_, err := f.login("alice").Exec(f.Context(), "SELECT * FROM sym.grants")
		require.ErrorContains(f, err, "permission denied for schema sym")

		for sentence, try := range map[string]func() error{
			"No roles are given": func() error { return f.trySetup(f.owner, f.broker) },
			`The role "nothing_` + f.suffix + `" does not exist`: func() error {
				return f.trySetup(f.owner, f.broker, "readonly", "nothing")
			},
			"has more rights than it may have": func() error {
				return f.trySetup(f.owner, f.ownerName+"x", "readonly")
			},
			"The broker cannot be": func() error {
				return f.trySetup(f.owner, f.ownerName, "readonly")
			},
			`The schema "sym" belongs to "` + f.ownerName: func() error {
				return f.trySetup(f.root, f.broker, "readonly")
			},
			"must not be handed out": func() error {
				return f.trySetup(f.owner, f.broker, "powerful")
			},
		} {
			if strings.HasPrefix(sentence, "has more") {
				exec(f, f.root, "CREATE ROLE %s CREATEROLE", name(f.ownerName+"x"))
			}
			if strings.HasPrefix(sentence, "must not") {
				exec(f, f.owner, "CREATE ROLE %s", f.name("powerful"))
				exec(f, f.root, "ALTER ROLE %s REPLICATION", f.name("powerful"))
			}
			require.ErrorContains(f, try(), sentence)
		}
	})
}

func TestLogHasALineForEachChangeAndNoSecret(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		lines := strings.Split(strings.TrimSpace(f.logged.String()), "\n")
		require.Len(f, lines, 2)
		assert.Contains(f, lines[0], "msg=granted run=run_"+f.suffix)
		assert.Contains(f, lines[1], "msg=revoked run=run_"+f.suffix)
		assert.NotContains(f, f.logged.String(), password)
	})
}
