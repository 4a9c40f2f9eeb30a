package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/readers"
)

const (
	// maxReader is the most that one reader may take, in a deadline that is longer.
	maxReader = 5 * time.Second
	// memory is how long a reader that failed is not waited for again: a sweep has many runs
	// to end, and one reader must not delay the others.
	memory = 10 * time.Second
)

// Readers ends sessions on the readers of the database: each has its own, and keeps them
// when a role is taken back on the primary.
type Readers struct {
	finder  *readers.Finder
	config  database.Config
	log     *slog.Logger
	mutex   sync.Mutex
	servers map[string]*readerServer
}

// NewReaders returns Readers that log in with the primary's configuration. It opens no connection
// yet.
func NewReaders(finder *readers.Finder, primary database.Config, log *slog.Logger) *Readers {
	return &Readers{
		finder: finder, config: primary, log: log, servers: map[string]*readerServer{},
	}
}

// listed reports whether there may be readers that the primary does not know.
func (r *Readers) listed() bool { return r != nil && r.finder.Listed() }

// ReaderEnded is the result of ending sessions on one reader.
type ReaderEnded struct {
	// Reader is the reader's name, for people.
	Reader string
	// Sessions is how many were ended.
	Sessions int
	// Message says why a session may be left; empty if none is.
	Message string
}

// End ends the sessions that still use a role on every reader, after the role was taken from its
// holder and the primary's own sessions were ended. It waits as long as wait says for a reader
// on which the REVOKE has not arrived yet. The connection is the primary's, outside a
// transaction. If a session may be left, the error is [database.ReaderUnavailable]; repeat the
// call until it is nil.
func (r *Readers) End(
	ctx context.Context, primary *pgx.Conn, holder, role uint32, wait time.Duration,
) ([]ReaderEnded, error) {
	found, err := r.finder.Find(ctx, primary)
	problems := []string{}
	if err != nil {
		problems = append(problems, err.Error())
	}
	ended := make([]ReaderEnded, len(found))
	var working sync.WaitGroup
	for i, reader := range found {
		working.Go(func() {
			ended[i].Reader = reader.Name
			sessions, err := r.endOn(ctx, reader, holder, role, wait)
			ended[i].Sessions = sessions
			if err != nil {
				ended[i].Message = err.Error()
			}
		})
	}
	working.Wait()
	for _, e := range ended {
		if e.Message != "" {
			problems = append(problems, e.Reader+": "+e.Message)
			r.log.WarnContext(ctx, "sessions may be left on a reader", "reader", e.Reader,
				"error", e.Message)
		}
	}
	if len(problems) == 0 {
		return ended, nil
	}
	return ended, database.ReaderUnavailable{Message: "the role was taken back, but sessions " +
		"that use it may go on at readers of the database, which is tried again by itself: " +
		strings.Join(problems, "; ")}
}

// readerServer is one reader, with a connection that is kept warm.
type readerServer struct {
	session *database.Session

	mutex  sync.Mutex
	failed time.Time
	why    error
}

// remember records the result of a try.
func (s *readerServer) remember(err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.failed, s.why = time.Now(), err
}

// recent is the last try's error, if it was one and not long ago.
func (s *readerServer) recent() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if time.Since(s.failed) > memory {
		return nil
	}
	return s.why
}

// server returns the reader at an address, the same one at every call.
func (r *Readers) server(reader readers.Reader) (*readerServer, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	known := r.servers[reader.Address()]
	if known != nil {
		return known, nil
	}
	config := r.config
	config.Host, config.Port = reader.Host, reader.Port
	connector, err := database.NewConnector(config)
	if err != nil {
		return nil, err
	}
	known = &readerServer{session: database.NewSession(
		func(ctx context.Context) (*pgx.Conn, error) {
			conn, err := connector.Connect(ctx)
			if admitsNobody(err) {
				return nil, errAdmitsNobody
			}
			return conn, err
		})}
	r.servers[reader.Address()] = known
	return known, nil
}

// errAdmitsNobody is the error of a standby that admits no sessions, and so has none to end.
var errAdmitsNobody = errors.New("it is a standby that admits nobody")

// admitsNobody reports whether an error is that of a standby with hot_standby = off. Only its
// detail says so; a standby that is starting up has the same code.
func admitsNobody(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == "57P03" && strings.Contains(server.Detail, "Hot standby")
}

// behind is the error of a reader on which the user still holds the role.
type behind struct{ message string }

func (e behind) Error() string { return e.message }

// endOn ends the sessions on one reader, and returns how many there were.
func (r *Readers) endOn(
	ctx context.Context, reader readers.Reader, holder, role uint32, wait time.Duration,
) (ended int, err error) {
	if reader.Problem != "" {
		return 0, errors.New(reader.Problem)
	}
	server, err := r.server(reader)
	if err != nil {
		return 0, err
	}
	if err := server.recent(); err != nil {
		if _, ok := errors.AsType[behind](err); !ok {
			return 0, err
		}
		wait = 0 // It may have caught up: ask it once, without waiting again.
	}
	limit := maxReader
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = server.session.Do(limited, func(err error) bool {
		_, ok := errors.AsType[behind](err)
		return ok
	}, func(ctx context.Context, conn *pgx.Conn) error {
		ended, err = r.poll(ctx, conn, reader, call{holder, role, min(wait, limit*3/4)})
		return err
	})
	if errors.Is(err, errAdmitsNobody) {
		err = nil
	}
	if _, ok := errors.AsType[behind](err); err != nil && !ok {
		err = withAddress(reader, err)
	}
	server.remember(err)
	return ended, err
}

// withAddress adds to an error the address that was tried, and, if the address is a guess, what to
// do.
func withAddress(reader readers.Reader, err error) error {
	advice := ""
	if reader.Origin == readers.Server {
		advice = "; it is in no list, and the primary's port was tried: name it in PG_READERS " +
			"(Terraform: readers.hosts)"
	}
	return fmt.Errorf("at %s %w%s", reader.Address(), err, advice)
}

// call is what a reader is asked to do.
type call struct {
	holder, role uint32
	wait         time.Duration
}

// poll asks a reader repeatedly until the REVOKE has arrived: no server notifies a client of that.
func (r *Readers) poll(
	ctx context.Context, conn *pgx.Conn, reader readers.Reader, c call,
) (int, error) {
	patience := time.NewTimer(c.wait)
	defer patience.Stop()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		var recovering bool
		var address *string
		var ended *int
		batch := &pgx.Batch{}
		batch.Queue("BEGIN READ ONLY")
		batch.Queue(`SELECT pg_catalog.pg_is_in_recovery(),
			pg_catalog.host(pg_catalog.inet_server_addr()),
			sym.end_sessions($1::pg_catalog.int8::pg_catalog.oid,
				$2::pg_catalog.int8::pg_catalog.oid,
				$3::pg_catalog.int8 OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval)`,
			int64(c.holder), int64(c.role), max(c.wait, 100*time.Millisecond).Milliseconds(),
		).QueryRow(func(row pgx.Row) error { return row.Scan(&recovering, &address, &ended) })
		batch.Queue("COMMIT")
		if err := run(ctx, conn, batch); err != nil {
			return 0, err
		}
		if address != nil {
			if own, err := netip.ParseAddr(*address); err == nil {
				r.finder.Learn(reader, own)
			}
		}
		switch {
		case !recovering && reader.Origin == readers.Server:
			return 0, errors.New("there is a server that is no replica")
		case ended != nil:
			return *ended, nil
		case !recovering && reader.Origin == readers.Named:
			return 0, behind{"it is no replica, or no longer one, and the role is held there: " +
				"end the access there, and take it out of PG_READERS (Terraform: readers.hosts)"}
		}
		select {
		case <-time.After(pause):
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		return 0, behind{"the REVOKE has not arrived there: it lags behind, or its replay is " +
			"paused, which SELECT pg_wal_replay_resume() there ends"}
	}
}
