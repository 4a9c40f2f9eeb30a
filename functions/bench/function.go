package main

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/event"
)

// build makes the package as `make build` does, for this machine's processor, and unpacks
// its bootstrap.
func build(ctx context.Context, dir string) ([]Size, error) {
	c := exec.CommandContext(ctx, "go", "run", "./functions/build", // #nosec G204 -- our own program, into our own folder
		"-arch", runtime.GOARCH, "-os", runtime.GOOS, "-out", dir)
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("the package cannot be built: %w", err)
	}
	path := filepath.Join(dir, "postgres.zip")
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	file, err := archive.Open("bootstrap")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	binary, err := os.OpenFile(filepath.Join(dir, "bootstrap"), os.O_CREATE|os.O_WRONLY, 0o755) // #nosec G302 G304 -- a program, in our own folder
	if err != nil {
		return nil, err
	}
	size, err := io.Copy(binary, file)
	if err != nil {
		return nil, err
	}
	return []Size{{"package, zipped", info.Size()}, {"package, unpacked", size}}, binary.Close()
}

// instance is one process of the function and the Runtime API that it talks to.
type instance struct {
	process *exec.Cmd
	api     *http.Server
	invoke  chan []byte
	answer  chan []byte
	// asked receives the time at which the process first asks for work.
	asked chan time.Time
	began time.Time
}

func startInstance(db *testDatabase, binary string) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{invoke: make(chan []byte), answer: make(chan []byte), asked: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	const root = "/2018-06-01/runtime/"
	mux.HandleFunc("GET "+root+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case i.asked <- time.Now():
		default:
		}
		select {
		case payload := <-i.invoke:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", uuid.NewString())
			w.Header().Set("Lambda-Runtime-Deadline-Ms",
				strconv.FormatInt(time.Now().Add(30*time.Second).UnixMilli(), 10))
			_, _ = w.Write(payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		i.answer <- body
	})
	i.api = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.api.Serve(listener) }()

	i.process = exec.Command(binary)
	i.process.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "PG_HOST=localhost",
		"PG_PORT=" + strconv.Itoa(db.Port), "PG_PASSWORD=" + password, "PG_ROLES=readonly",
		"PG_SSLMODE=verify-full", "PG_SSLROOTCERT=" + db.root, "AWS_REGION=us-east-1",
	}
	i.began = time.Now()
	if err := i.process.Start(); err != nil {
		_ = i.api.Close()
		return nil, err
	}
	return i, nil
}

func (i *instance) stop() {
	_ = i.process.Process.Kill()
	_ = i.process.Wait()
	_ = i.api.Close()
}

// send hands an event to the process and answers what it says.
func (i *instance) send(ctx context.Context, payload []byte) ([]byte, error) {
	select {
	case i.invoke <- payload:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case body := <-i.answer:
		return body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// call sends an event and fails where the answer is not a change.
func (i *instance) call(ctx context.Context, payload []byte) error {
	body, err := i.send(ctx, payload)
	if err != nil {
		return err
	}
	var answer struct {
		Body   struct{ Changed bool }
		Errors []string
	}
	if err := json.Unmarshal(body, &answer); err != nil || !answer.Body.Changed {
		return fmt.Errorf("the function answered %.300s", body)
	}
	return nil
}

// residentBytes is the most memory that the process has had; zero where the system does not tell.
func (i *instance) residentBytes() int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", i.process.Process.Pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// events are the escalate and the deescalate of a run of its own.
func events(user string) (escalate, deescalate []byte) {
	duration := int64(1800)
	e := event.Event{
		ID: uuid.NewString(), Meta: event.Meta{SchemaVersion: event.SchemaVersion},
		Run: event.Run{
			SRN: "acme:run:postgres:1.0.0:" + uuid.NewString(), Flow: "acme:flow:postgres:1.0.0",
			Actors: event.Actors{Request: &event.Actor{Username: user + "@example.com"}},
		},
		Event: event.Spec{Type: event.Escalate},
		Fields: event.Fields{Reason: "Look at order 4711", Duration: &duration,
			Target: event.Target{Name: "postgres-readonly"}},
		Type: event.TypeEvent,
	}
	escalate, _ = json.Marshal(e) // Strings and numbers always marshal.
	e.Event.Type = event.Deescalate
	deescalate, _ = json.Marshal(e)
	return escalate, deescalate
}
