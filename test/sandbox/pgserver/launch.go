package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"sym-postgres-quickstart/test/sandbox/process"
)

// listen launches the server on the port that was asked for, or on a free one.
func (s *Server) listen(ctx context.Context, account *account, data string) error {
	// Between finding a free port and listening on it, another process may take it.
	for attempt := 0; ; attempt++ {
		if s.config.Port == 0 {
			var err error
			if s.Port, err = freePort(); err != nil {
				return err
			}
		}
		err := s.launch(ctx, account, data)
		if err == nil {
			return nil
		}
		taken := strings.Contains(err.Error(), "could not bind")
		if !taken || s.config.Port != 0 || attempt == 4 {
			return err
		}
	}
}

// launch starts the server and waits until it is ready or has exited.
func (s *Server) launch(ctx context.Context, account *account, data string) error {
	cmd := exec.Command(filepath.Join(s.config.Binaries, "postgres"), // #nosec G204 -- the server that was asked for
		"-D", data, "-p", strconv.Itoa(s.Port))
	account.run(cmd, s.Dir, s.config.Binaries)
	logs, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = writer, writer

	// SIGQUIT is the immediate shutdown.
	s.process, err = process.Start(cmd, syscall.SIGQUIT)
	_ = writer.Close()
	if err != nil {
		_ = logs.Close()
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
			if s.config.Log != nil {
				fmt.Fprintln(s.config.Log, lines.Text())
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

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no free port was found: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
