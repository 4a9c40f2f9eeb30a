// Package pgserver starts and stops real PostgreSQL servers. The tests run against them,
// and in the sandbox they stand in for the databases of RDS.
package pgserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

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

	tls       bool
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
	major, err := version(config.Binaries)
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
		tls: config.CertFile != "",
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
		if err = s.initialize(ctx, config, account, data); err != nil {
			return nil, err
		}
	}
	if err = s.configure(config, account, data, sockets); err != nil {
		return nil, err
	}

	// Between finding a free port and listening on it, another process may take it.
	for attempt := 0; ; attempt++ {
		if config.Port == 0 {
			if s.Port, err = freePort(); err != nil {
				return nil, err
			}
		}
		err = s.launch(ctx, config, account, data)
		if err == nil {
			return s, nil
		}
		taken := strings.Contains(err.Error(), "could not bind")
		if !taken || config.Port != 0 || attempt == 4 {
			return nil, err
		}
	}
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
	if s.tls {
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

func (s *Server) initialize(
	ctx context.Context, config Config, account *account, data string,
) error {
	passwords := filepath.Join(s.Dir, "password")
	if err := account.write(passwords, s.Password+"\n"); err != nil {
		return err
	}
	defer os.Remove(passwords)
	cmd := exec.CommandContext(ctx, filepath.Join(config.Binaries, "initdb"),
		"--pgdata="+data, "--username="+s.Superuser, "--pwfile="+passwords,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
	account.run(cmd, s.Dir, config.Binaries)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed in %s: %w\n%s", s.Dir, err, output)
	}
	return nil
}

// configure writes the server's configuration, anew at each start.
func (s *Server) configure(config Config, account *account, data, sockets string) error {
	settings := []string{
		"# Written at each start.",
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = '" + sockets + "'",
		// What these servers hold is not worth waiting for a disk.
		"fsync = off", "synchronous_commit = off", "full_page_writes = off",
		// The log goes to this process, which waits for a sentence in it.
		"log_destination = 'stderr'", "logging_collector = off",
		"lc_messages = 'C'", "log_min_messages = warning",
	}
	if config.CertFile != "" {
		// PostgreSQL takes a key only from a file of its own user's.
		for from, to := range map[string]string{
			config.CertFile: "server.crt", config.KeyFile: "server.key",
		} {
			pem, err := os.ReadFile(from)
			if err != nil {
				return fmt.Errorf("the server's certificate or key cannot be read: %w", err)
			}
			if err := account.write(filepath.Join(data, to), string(pem)); err != nil {
				return err
			}
		}
		settings = append(settings, "ssl = on",
			"ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'")
	}
	settings = append(settings, config.Settings...)
	hba := append(append([]string{}, config.HBA...),
		"local all all scram-sha-256", "host all all all scram-sha-256")

	for name, lines := range map[string][]string{
		"postgresql.conf": settings, "pg_hba.conf": hba,
	} {
		text := strings.Join(lines, "\n") + "\n"
		if err := account.write(filepath.Join(data, name), text); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the server and waits until it is ready or has exited.
func (s *Server) launch(
	ctx context.Context, config Config, account *account, data string,
) error {
	cmd := exec.Command(filepath.Join(config.Binaries, "postgres"),
		"-D", data, "-p", strconv.Itoa(s.Port))
	account.run(cmd, s.Dir, config.Binaries)
	logs, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = writer, writer

	// SIGQUIT is the immediate shutdown.
	s.process, err = process.Start(cmd, syscall.SIGQUIT)
	writer.Close()
	if err != nil {
		logs.Close()
		return fmt.Errorf("postgres could not be started: %w", err)
	}
	logged := make(chan struct{})
	s.exited = make(chan struct{})
	go func() {
		_ = s.process.Wait() // How it exited is in its log.
		<-logged
		close(s.exited)
	}()

	ready := make(chan struct{})
	var tail tail
	go func() {
		defer close(logged)
		defer logs.Close()
		var once sync.Once
		lines := bufio.NewScanner(logs)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			tail.add(lines.Text())
			if config.Log != nil {
				fmt.Fprintln(config.Log, lines.Text())
			}
			// A standby says "ready to accept read-only connections".
			if strings.Contains(lines.Text(), "ready to accept ") {
				once.Do(func() { close(ready) })
			}
		}
		// A line too long ends the scanning; the server must not block on a full pipe.
		_, _ = io.Copy(io.Discard, logs)
	}()
	select {
	case <-ready:
		return nil
	case <-s.exited:
		return fmt.Errorf("PostgreSQL exited at its start:\n%s", tail.text())
	case <-ctx.Done():
		_ = s.process.Signal(syscall.SIGQUIT) // It may have exited on its own.
		<-s.exited
		return fmt.Errorf("PostgreSQL was not ready in time: %w\n%s", ctx.Err(), tail.text())
	}
}

// tail keeps the last lines of the log, for errors.
type tail struct {
	mutex sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-20):]
}

func (t *tail) text() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return strings.Join(t.lines, "\n")
}

// account is the user that the server runs as: nil for the caller's own.
type account struct{ uid, gid int }

// unprivileged finds whom to run as. PostgreSQL refuses to run as root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{uid, gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, " +
		"and there is no user postgres or nobody to run it as")
}

// own makes a folder that only the account can enter.
func (a *account) own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder for PostgreSQL could not be made: %w", err)
	}
	if a == nil {
		return nil
	}
	return os.Chown(dir, a.uid, a.gid)
}

// write makes a file that only the account can read.
func (a *account) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("a file of PostgreSQL could not be written: %w", err)
	}
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// run makes a command run as the account.
func (a *account) run(cmd *exec.Cmd, dir, binaries string) {
	cmd.Dir = dir
	// PGPORT and its like, meant for the caller's clients, would change the server.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PG")
	}), "LC_ALL=C")
	// Relocated binaries bring their libraries along.
	libraries := filepath.Join(filepath.Dir(binaries), "lib")
	if found, _ := filepath.Glob(filepath.Join(libraries, "libpq.so*")); len(found) > 0 {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	if a != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)},
		}
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no free port was found: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func version(binaries string) (int, error) {
	output, err := exec.Command(filepath.Join(binaries, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("there is no PostgreSQL server in %s: %w", binaries, err)
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", or "18beta1" before a release.
	_, rest, _ := bytes.Cut(output, []byte("(PostgreSQL) "))
	digits := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits <= 0 {
		return 0, fmt.Errorf("the version %q of PostgreSQL in %s is strange", output, binaries)
	}
	return strconv.Atoi(string(rest[:digits]))
}
