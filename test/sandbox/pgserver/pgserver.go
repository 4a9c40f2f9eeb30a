// Package pgserver starts and stops real PostgreSQL servers. The tests run against them,
// and in the sandbox they stand in for the databases of RDS.
package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"sym-postgres-quickstart/test/sandbox/machine"
	"sym-postgres-quickstart/test/sandbox/process"
)

// Config says what server to start. Its zero value is a server of the newest version
// found, in a temporary folder, on a free port of 127.0.0.1.
type Config struct {
	// Binaries is the folder of initdb and postgres; if empty, that of the newest found.
	Binaries string
	// Dir is the server's folder. It is created where it is missing and kept by Stop, and
	// a server started again in it goes on with its data. If empty, a temporary folder is
	// used, and removed by Stop. A root caller's server runs as another user, who has to
	// be able to reach it.
	Dir string
	// Port is the TCP port; if zero, a free one is found.
	Port int
	// Superuser is the name of the superuser; if empty, postgres. It has a database of
	// its own beside the database postgres if its name is another.
	Superuser string
	// Password is the superuser's password; if empty, a random one. It has effect when
	// the folder is new.
	Password string
	// CertFile and KeyFile, in PEM, switch TLS on. They are copied.
	CertFile, KeyFile string
	// Settings are more lines of postgresql.conf, and win over those before them.
	Settings []string
	// HBA are more lines of pg_hba.conf, and come before the last, which lets everyone in
	// who has a password.
	HBA []string
	// Log receives the server's log, if not nil.
	Log io.Writer
}

// Server is a running server.
type Server struct {
	Host      string
	Port      int
	Superuser string
	Password  string
	// Dir is the server's folder.
	Dir string
	// Major is the version, such as 18.
	Major int

	// config is what it was started with, its binaries filled in.
	config    Config
	process   *process.Process
	exited    chan struct{}
	temporary []string
}

// maxSocketPath is what every system allows, in bytes: macOS has the least, 103.
const maxSocketPath = 100

// Start starts a server and returns when it accepts connections. The server dies with the
// calling process on Linux; elsewhere Stop has to be called.
func Start(ctx context.Context, config Config) (*Server, error) {
	if config.Binaries == "" {
		found := Installed()
		if len(found) == 0 {
			return nil, errors.New("no PostgreSQL server was found on this machine; " +
				"on Debian or Ubuntu, apt-get install postgresql installs one")
		}
		config.Binaries = found[0].Binaries
	}
	return start(ctx, config, (*Server).initialize)
}

// start is Start, with fill to make the data where the folder has none yet.
func start(
	ctx context.Context, config Config,
	fill func(s *Server, ctx context.Context, account *account, data string) error,
) (*Server, error) {
	major, err := machine.PostgresVersion(config.Binaries)
	if err != nil {
		return nil, err
	}
	account, err := unprivileged()
	if err != nil {
		return nil, err
	}

	s := &Server{
		Host: "127.0.0.1", Port: config.Port, Major: major,
		Superuser: config.Superuser, Password: config.Password, Dir: config.Dir,
		config: config,
	}
	if s.Superuser == "" {
		s.Superuser = "postgres"
	}
	if s.Password == "" {
		s.Password = rand.Text()
	}
	defer func() {
		if err != nil {
			s.removeTemporary()
		}
	}()
	if s.Dir == "" {
		if s.Dir, err = s.temporaryDir(account); err != nil {
			return nil, err
		}
	} else if err = account.own(s.Dir); err != nil {
		return nil, err
	}
	// A socket's path must not exceed some hundred bytes, which a working folder may.
	sockets := s.Dir
	if len(filepath.Join(sockets, ".s.PGSQL.65535")) > maxSocketPath {
		if sockets, err = s.temporaryDir(account); err != nil {
			return nil, err
		}
	}

	data := filepath.Join(s.Dir, "data")
	if _, missing := os.Stat(filepath.Join(data, "PG_VERSION")); missing != nil {
		if err = fill(s, ctx, account, data); err != nil {
			return nil, err
		}
	}
	if err = s.configure(account, data, sockets); err != nil {
		return nil, err
	}
	if err = s.listen(ctx, account, data); err != nil {
		return nil, err
	}
	return s, nil
}

// Address is the host and port to connect to.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URL is a connection string for the superuser in the database postgres.
func (s *Server) URL() string { return s.URLFor(s.Superuser, s.Password, "postgres") }

// URLFor is a connection string for a user and database.
func (s *Server) URLFor(user, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password),
		Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	if s.config.CertFile != "" {
		u.RawQuery = "sslmode=require"
	}
	return u.String()
}

// Exited is closed when the server is no longer running.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Stop ends all sessions, stops the server and returns when it is gone. Stopping a server
// that is not running does nothing.
func (s *Server) Stop() error {
	defer s.removeTemporary()
	// See "Shutting Down the Server" in PostgreSQL's manual: SIGINT is the fast shutdown,
	// SIGQUIT the immediate one.
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		_ = s.process.Signal(signal) // It may have exited, which the next lines see.
		select {
		case <-s.exited:
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	return fmt.Errorf("the PostgreSQL server with process id %d does not stop", s.process.PID())
}

func (s *Server) removeTemporary() {
	for _, dir := range s.temporary {
		_ = os.RemoveAll(dir) // What is left lies in the system's temporary folder.
	}
}

func (s *Server) temporaryDir(account *account) (string, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return "", fmt.Errorf("a temporary folder for PostgreSQL could not be made: %w", err)
	}
	s.temporary = append(s.temporary, dir)
	return dir, account.own(dir)
}

// Binaries is the folder of initdb and postgres.
func (s *Server) Binaries() string { return s.config.Binaries }
