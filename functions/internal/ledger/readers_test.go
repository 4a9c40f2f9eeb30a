package ledger

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/readers"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// replicated is a primary and its standby, with alice and bob, who hold the role reports, and
// a broker that may call the functions of the schema sym.
type replicated struct {
	*testing.T
	primary, standby *pgserver.Server
	root             *pgx.Conn
	alice, reports   uint32
}

// TestReaders checks what [Readers] promise, on a primary and a standby of each version.
func TestReaders(t *testing.T) {
	for _, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			r := newReplicated(t, server.Binaries())
			for name, test := range map[string]func(*replicated){
				"a session on a standby ends":      sessionOnAStandbyEnds,
				"a standby that lags is told":      standbyThatLagsIsTold,
				"a REVOKE on its way is awaited":   revokeOnItsWayIsAwaited,
				"an unlisted standby is told":      unlistedStandbyIsTold,
				"a standby that is gone is told":   standbyThatIsGoneIsTold,
				"a standby without sessions is ok": standbyWithoutSessionsIsDone,
				"a server of its own is told":      serverOfItsOwnIsTold,
				"the ledger tries readers again":   ledgerTriesReadersAgain,
			} {
				t.Run(name, func(t *testing.T) {
					again := *r
					again.T = t
					_, err := r.root.Exec(t.Context(), "GRANT reports TO alice, bob")
					require.NoError(t, err)
					require.NoError(t, r.primary.CatchUp(t.Context(), r.standby))
					again.replicating(1) // Another test's has gone.
					test(&again)
				})
			}
		})
	}
}

func newReplicated(t *testing.T, binaries string) *replicated {
	t.Helper()
	r := &replicated{T: t}
	var err error
	r.primary, err = pgserver.Start(t.Context(), pgserver.Config{Binaries: binaries})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.primary.Stop() })
	r.root = r.connect(r.primary, "postgres", r.primary.Password)
	setup, err := database.Script(postgreslambda.Setup, map[string]string{
		"broker": "sym_broker", "roles": "reports"})
	require.NoError(t, err)
	for _, statement := range []string{
		"CREATE ROLE alice LOGIN PASSWORD 'secret'", "CREATE ROLE bob LOGIN PASSWORD 'secret'",
		"CREATE ROLE reports", "CREATE TABLE orders AS SELECT 1 AS id",
		"GRANT SELECT ON orders TO reports", setup,
		"ALTER ROLE sym_broker PASSWORD 'secret'",
	} {
		_, err := r.root.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, r.root.QueryRow(t.Context(), `SELECT 'alice'::regrole::oid::bigint,
		'reports'::regrole::oid::bigint`).Scan(&r.alice, &r.reports))
	r.standby, err = r.primary.Standby(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.standby.Stop() })
	return r
}

func (r *replicated) connect(server *pgserver.Server, user, password string) *pgx.Conn {
	r.Helper()
	conn, err := pgx.Connect(r.Context(), server.URLFor(user, password, "postgres"))
	require.NoError(r, err)
	r.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// borrower is a session on the standby that did SET ROLE.
func (r *replicated) borrower(user string) *pgx.Conn {
	r.Helper()
	conn := r.connect(r.standby, user, "secret")
	_, err := conn.Exec(r.Context(), "SET ROLE reports")
	require.NoError(r, err)
	require.NoError(r, r.reads(conn))
	return conn
}

func (r *replicated) reads(conn *pgx.Conn) error {
	_, err := conn.Exec(r.Context(), "SELECT * FROM orders")
	return err
}

func (r *replicated) revoke() {
	r.Helper()
	_, err := r.root.Exec(r.Context(), "REVOKE reports FROM alice")
	require.NoError(r, err)
}

// replicating waits until the primary sees as many standbys.
func (r *replicated) replicating(standbys int) {
	r.Helper()
	require.Eventually(r, func() bool {
		var all, replaying int
		err := r.root.QueryRow(r.Context(), `SELECT count(*), count(replay_lsn)
			FROM pg_stat_replication`).Scan(&all, &replaying)
		return err == nil && all == standbys && replaying == standbys
	}, 10*time.Second, 10*time.Millisecond)
}

// replay pauses the standby's replay, or lets it go on.
func (r *replicated) replay(goOn bool) {
	r.Helper()
	const resume, pause = "SELECT pg_wal_replay_resume()", "SELECT pg_wal_replay_pause()"
	conn := r.connect(r.standby, "postgres", r.primary.Password)
	statement := resume
	if !goOn {
		statement = pause
		// A test that fails must not leave it paused to the next.
		r.Cleanup(func() { _, _ = conn.Exec(context.Background(), resume) })
	}
	_, err := conn.Exec(r.Context(), statement)
	require.NoError(r, err)
}

// readers has those in its list that are named.
func (r *replicated) readers(listed ...string) *Readers {
	r.Helper()
	primary := database.Config{
		Host: r.primary.Host, Port: uint16(r.primary.Port), Database: "postgres",
		User: "sym_broker", Auth: database.AuthPassword, Password: "secret",
		SSLMode: database.SSLDisable,
	}
	config, err := readers.FromEnvironment(func(name string) string {
		return map[string]string{"PG_READERS": strings.Join(listed, ",")}[name]
	}, primary.Host, primary.Port)
	require.NoError(r, err)
	return NewReaders(readers.New(config, nil), primary,
		slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// end is what the ledger does after a REVOKE, as the broker.
func (r *replicated) end(of *Readers, wait time.Duration) ([]ReaderEnded, error) {
	r.Helper()
	return of.End(r.Context(), r.connect(r.primary, "sym_broker", "secret"),
		r.alice, r.reports, wait)
}

func (r *replicated) unavailable(err error, says string) {
	r.Helper()
	require.IsType(r, database.ReaderUnavailable{}, err)
	require.ErrorContains(r, err, says)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func sessionOnAStandbyEnds(r *replicated) {
	of := r.readers(r.standby.Address())
	alice, bob := r.borrower("alice"), r.borrower("bob")
	r.revoke()
	require.NoError(r, r.primary.CatchUp(r.Context(), r.standby))
	require.NoError(r, r.reads(alice), "the REVOKE alone ends no session there")

	ended, err := r.end(of, 3*time.Second)
	require.NoError(r, err)
	assert.Equal(r, []ReaderEnded{{Reader: r.standby.Address(), Sessions: 1}}, ended)
	require.Error(r, r.reads(alice))
	require.NoError(r, r.reads(bob), "bob still holds the role")

	// A repetition finds nothing more to end.
	ended, err = r.end(of, 3*time.Second)
	require.NoError(r, err)
	assert.Equal(r, []ReaderEnded{{Reader: r.standby.Address()}}, ended)
}

func standbyThatLagsIsTold(r *replicated) {
	of := r.readers(r.standby.Address())
	alice := r.borrower("alice")
	r.replay(false)
	r.revoke()
	for range 2 {
		ended, err := r.end(of, 50*time.Millisecond)
		r.unavailable(err, "the REVOKE has not arrived there")
		require.Len(r, ended, 1)
		require.NoError(r, r.reads(alice))
	}
	// It is asked again however recently it failed.
	r.replay(true)
	require.NoError(r, r.primary.CatchUp(r.Context(), r.standby))
	ended, err := r.end(of, 0)
	require.NoError(r, err)
	assert.Equal(r, 1, ended[0].Sessions)
	require.Error(r, r.reads(alice))
}

func revokeOnItsWayIsAwaited(r *replicated) {
	alice := r.borrower("alice")
	there := r.connect(r.standby, "postgres", r.primary.Password)
	r.replay(false)
	r.revoke()

	// The replay goes on once the standby has been asked.
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	resumed := make(chan error, 1)
	go func() {
		for asked := false; !asked; {
			if err := there.QueryRow(ctx, `SELECT EXISTS (SELECT
				FROM pg_stat_activity WHERE usename = 'sym_broker' AND query <> '')`,
			).Scan(&asked); err != nil {
				resumed <- err
				return
			}
		}
		_, err := there.Exec(ctx, "SELECT pg_wal_replay_resume()")
		resumed <- err
	}()
	ended, err := r.end(r.readers(r.standby.Address()), 5*time.Second)
	require.NoError(r, <-resumed)
	require.NoError(r, err)
	assert.Equal(r, 1, ended[0].Sessions)
	require.Error(r, r.reads(alice))
}

func unlistedStandbyIsTold(r *replicated) {
	alice := r.borrower("alice")
	r.revoke()
	require.NoError(r, r.primary.CatchUp(r.Context(), r.standby))
	_, err := r.end(r.readers(), time.Second)
	r.unavailable(err, "name it in PG_READERS")
	require.NoError(r, r.reads(alice), "the primary is not taken for its standby")

	// If the owner of the functions may not see who replicates, the error says so.
	for _, statement := range []string{
		"CREATE ROLE owner", "GRANT CREATE ON SCHEMA sym TO owner",
		"ALTER FUNCTION sym.readers() OWNER TO owner",
	} {
		_, err := r.root.Exec(r.Context(), statement)
		require.NoError(r, err)
	}
	_, err = r.end(r.readers(), time.Second)
	r.unavailable(err, "grant the owner pg_read_all_stats")
	for _, statement := range []string{
		"ALTER FUNCTION sym.readers() OWNER TO postgres", "DROP OWNED BY owner", "DROP ROLE owner",
	} {
		_, err := r.root.Exec(r.Context(), statement)
		require.NoError(r, err)
	}

	// Of two standbys at one address, the one in the list is not taken for both.
	second, err := r.primary.Standby(r.Context(), pgserver.Config{})
	require.NoError(r, err)
	defer second.Stop()
	require.NoError(r, r.primary.CatchUp(r.Context(), second))
	r.replicating(2)
	_, err = r.end(r.readers(r.standby.Address()), time.Second)
	r.unavailable(err, "name it in PG_READERS")
	require.Error(r, r.reads(alice), "the one in the list is done all the same")
	ended, err := r.end(r.readers(r.standby.Address(), second.Address()), time.Second)
	require.NoError(r, err)
	assert.Len(r, ended, 2)
}

func standbyThatIsGoneIsTold(r *replicated) {
	alice := r.borrower("alice")
	r.revoke()
	gone := freeAddress(r.T)

	// The one that can be reached is not skipped because of the other.
	ended, err := r.end(r.readers(gone, r.standby.Address()), 3*time.Second)
	r.unavailable(err, gone)
	r.unavailable(err, "cannot be reached")
	require.Len(r, ended, 2)
	assert.Equal(r, 1, ended[1].Sessions)
	assert.Empty(r, ended[1].Message)
	require.Error(r, r.reads(alice))
}

func standbyWithoutSessionsIsDone(r *replicated) {
	r.revoke()
	cold := freeAddress(r.T)
	_, port, err := net.SplitHostPort(cold)
	require.NoError(r, err)
	number, err := strconv.Atoi(port)
	require.NoError(r, err)
	// One that admits nobody never says that it is ready.
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.primary.Standby(ctx, pgserver.Config{
			Port: number, Settings: []string{"hot_standby = off"}})
		ended <- err
	}()
	defer func() {
		cancel()
		require.Error(r, <-ended)
	}()
	require.Eventually(r, func() bool {
		conn, err := pgx.Connect(r.Context(), "postgres://sym_broker:secret@"+cold+
			"/postgres?sslmode=disable")
		if err == nil {
			_ = conn.Close(r.Context())
		}
		return admitsNobody(err)
	}, 20*time.Second, 20*time.Millisecond)
	done, err := r.end(r.readers(cold, r.standby.Address()), time.Second)
	require.NoError(r, err)
	assert.Equal(r, ReaderEnded{Reader: cold}, done[0])
}

// serverOfItsOwnIsTold has the primary in the list, as a standby that was promoted would be.
func serverOfItsOwnIsTold(r *replicated) {
	_, err := r.end(r.readers(r.primary.Address(), r.standby.Address()), 0)
	r.unavailable(err, "it is no replica, or no longer one")
	r.unavailable(err, "the REVOKE has not arrived there")
}
