// Package moto starts and stops moto, the stand-in that keeps the state of AWS's services for
// the sandbox and for the tests of adapters.
package moto

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sym-postgres-quickstart/test/sandbox/tools"
)

//go:embed server.py
var script string

// startTimeout is how long moto may take until its port answers. Two seconds are usual; a
// busy machine with cold files needs many times that.
const startTimeout = 60 * time.Second

// Options say where moto listens. The zero value is a server on a free port.
type Options struct {
	// Port is the port moto binds on 127.0.0.1; zero takes a free one.
	Port int

	// PublicPort is the port on which moto's own engine calls AWS, so that its calls pass
	// through whatever stands in front. Zero means Port.
	PublicPort int

	// Dir is where server.py and moto.log are written. Empty makes a temporary folder, which
	// Close removes.
	Dir string
}

// Server is one running moto.
type Server struct {
	port    int
	cmd     *exec.Cmd
	stdin   io.Closer
	done    chan struct{} // closed when the process has ended
	logPath string
	tempDir string // removed by Close, empty if the caller gave a folder
	once    sync.Once
}

// Start runs moto and returns once its port answers. The server ends with Close, when ctx
// ends, or when this process ends in whatever way: its standard input is a pipe we hold.
func Start(ctx context.Context, opts Options) (*Server, error) {
	python, err := tools.Moto(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{port: opts.Port, done: make(chan struct{})}
	if s.port == 0 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	public := opts.PublicPort
	if public == 0 {
		public = s.port
	}
	dir := opts.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "moto-"); err != nil {
			return nil, fmt.Errorf("making a folder for moto: %w", err)
		}
		s.tempDir = dir
	}
	if err := s.run(ctx, python, dir, public); err != nil {
		s.removeTempDir()
		return nil, err
	}
	if err := s.waitReady(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// run starts the process; it does not wait for the port.
func (s *Server) run(ctx context.Context, python, dir string, public int) error {
	path := filepath.Join(dir, "server.py")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return fmt.Errorf("writing moto's start script: %w", err)
	}
	s.logPath = filepath.Join(dir, "moto.log")
	logFile, err := os.Create(s.logPath)
	if err != nil {
		return fmt.Errorf("opening moto's log: %w", err)
	}
	defer logFile.Close() // the child has its own descriptor

	s.cmd = exec.CommandContext(ctx, python, path, strconv.Itoa(s.port)) // #nosec G204 -- our own script, and the Python that was found
	s.cmd.Dir = dir
	s.cmd.Env = append(environment(), "MOTO_PORT="+strconv.Itoa(public), "PYTHONUNBUFFERED=1")
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("making moto's standard input: %w", err)
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting moto with %s: %w", python, err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	return nil
}

// waitReady returns when the port accepts connections, or why it never will.
func (s *Server) waitReady(ctx context.Context) error {
	deadline := time.After(startTimeout)
	dialer := net.Dialer{Timeout: time.Second}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.addr())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("moto ended while it started; its last words: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for moto: %w", ctx.Err())
		case <-deadline:
			return fmt.Errorf("moto did not answer on %s within %s; its last words: %s",
				s.addr(), startTimeout, s.lastWords())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// URL is where moto answers, without a slash at the end.
func (s *Server) URL() string { return "http://" + s.addr() }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close ends moto and waits until it is gone. It may be called more than once.
func (s *Server) Close() error {
	s.once.Do(func() {
		_ = s.stdin.Close()
		select {
		case <-s.done:
		case <-time.After(5 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
		s.removeTempDir()
	})
	return nil
}

func (s *Server) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *Server) removeTempDir() {
	if s.tempDir != "" {
		_ = os.RemoveAll(s.tempDir)
	}
}

// lastWords is the end of moto's log, for the message of an error.
func (s *Server) lastWords() string {
	content, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	content = bytes.TrimSpace(content)
	if len(content) > most {
		content = content[len(content)-most:]
	}
	return string(content)
}

// environment is ours without what would turn moto's own AWS calls or its port elsewhere.
func environment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "MOTO_") || strings.HasPrefix(pair, "AWS_ENDPOINT_URL") {
			continue
		}
		kept = append(kept, pair)
	}
	return kept
}

// freePort asks the kernel for a port. Another process may take it before moto does, which
// then shows as moto ending at once.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
