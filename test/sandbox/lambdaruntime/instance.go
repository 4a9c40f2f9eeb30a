package lambdaruntime

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"sym-postgres-quickstart/test/sandbox/process"
)

// maxAnswer is the largest answer Lambda takes from a function.
const maxAnswer = 6 << 20

// instance is one process of a function and the Runtime API that it talks to.
type instance struct {
	function Function
	key      string
	stream   string
	process  *process.Process
	server   *http.Server
	log      *os.File
	logs     func(Function, string, string)

	// next hands invocations to the process; done takes what they came to.
	next chan invocation
	done chan outcome
	// logged is closed when everything that the process wrote is in the log.
	logged  chan struct{}
	stopped sync.Once
}

type invocation struct {
	id       string
	arn      string // by which the function was invoked
	payload  []byte
	deadline time.Time
}

type outcome struct {
	id     string
	result Result
}

func start(f Function, key, code, logFile string, logs func(Function, string, string)) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{
		function: f, key: key, logs: logs,
		stream: time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" +
			strings.ReplaceAll(uuid.NewString(), "-", ""),
		next: make(chan invocation), done: make(chan outcome, 1), logged: make(chan struct{}),
	}
	fail := func(err error) (*instance, error) {
		return nil, errors.Join(fmt.Errorf("%s cannot be started: %w", f.Name, err), listener.Close())
	}
	if err := os.MkdirAll(filepath.Dir(logFile), 0o750); err != nil {
		return fail(err)
	}
	i.log, err = os.OpenFile(logFile, // #nosec G304 -- a log in our own folder
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	i.server = &http.Server{Handler: i.api(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.server.Serve(listener) }()

	out, in, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	i.process, err = execute(func() *exec.Cmd {
		command := exec.Command(filepath.Join(code, "bootstrap")) // #nosec G204 -- to run functions is what this is for
		command.Dir = code
		command.Env = i.environment(listener.Addr().String(), code)
		command.Stdout, command.Stderr = in, in
		return command
	})
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		_ = i.server.Close()
		return fail(err)
	}
	go i.copyLog(out)
	return i, nil
}

// execute starts a program that was written a moment ago. A process that was forked in that moment
// has the file open for writing until it becomes another program, and for so long nobody can
// execute it (https://go.dev/issue/22315).
func execute(command func() *exec.Cmd) (*process.Process, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		p, err := process.Start(command(), syscall.SIGKILL)
		if !errors.Is(err, syscall.ETXTBSY) || wait > time.Second {
			return p, err
		}
		time.Sleep(wait)
	}
}

// environment is the process's whole environment: Lambda's reserved variables
// and the function's own, and nothing of this machine's.
func (i *instance) environment(api, code string) []string {
	f := i.function
	variables := map[string]string{
		"PATH":                            "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LANG":                            "en_US.UTF-8",
		"TZ":                              ":UTC",
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(f.MemoryMiB),
		"AWS_LAMBDA_LOG_GROUP_NAME":       f.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      i.stream,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"AWS_REGION":                      f.Region,
		"AWS_DEFAULT_REGION":              f.Region,
		"LAMBDA_TASK_ROOT":                code,
		"LAMBDA_RUNTIME_DIR":              code,
		"_HANDLER":                        f.Handler,
	}
	for name, value := range f.Environment {
		variables[name] = value
	}
	list := make([]string, 0, len(variables))
	for name, value := range variables {
		list = append(list, name+"="+value)
	}
	return list
}

// api is the Lambda Runtime API.
func (i *instance) api() http.Handler {
	mux := http.NewServeMux()
	const root = "/2018-06-01/runtime"
	mux.HandleFunc("GET "+root+"/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case in := <-i.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(in.deadline.UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", in.arn)
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(in.payload)
		}
	})
	answer := func(kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
			result := Result{Payload: data, Error: kind}
			if err != nil {
				result = failed("Function.ResponseSizeTooLarge",
					"Response payload size exceeded maximum allowed payload size (6291556 bytes).")
			}
			i.done <- outcome{r.PathValue("id"), result}
			w.WriteHeader(http.StatusAccepted)
		}
	}
	mux.HandleFunc("POST "+root+"/invocation/{id}/response", answer(""))
	mux.HandleFunc("POST "+root+"/invocation/{id}/error", answer("Unhandled"))
	mux.HandleFunc("POST "+root+"/init/error", answer("Unhandled"))
	return mux
}

// invoke runs one invocation, and answers whether the instance can take another.
func (i *instance) invoke(ctx context.Context, arn string, payload []byte) (result Result, reusable bool) {
	began := time.Now()
	in := invocation{uuid.NewString(), arn, payload, began.Add(i.function.Timeout)}
	i.write("START RequestId: " + in.id + " Version: $LATEST")
	defer func() {
		took := time.Since(began)
		i.write("END RequestId: " + in.id)
		i.write(fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tMemory Size: %d MB\tMax Memory Used: %d MB",
			in.id, float64(took.Microseconds())/1000, i.function.MemoryMiB, i.residentMiB()))
	}()
	timeout := time.NewTimer(i.function.Timeout)
	defer timeout.Stop()
	memory := time.NewTicker(50 * time.Millisecond)
	defer memory.Stop()
	next := i.next
	for {
		select {
		case next <- in:
			next = nil // Handed over; from here on the process has the word.
		case out := <-i.done:
			if out.id == in.id || out.id == "" {
				return out.result, out.id != ""
			}
		case <-i.process.Exited():
			<-i.logged
			return failed("Runtime.ExitError", fmt.Sprintf(
				"RequestId: %s Error: Runtime exited with error: %s", in.id, describe(i.process.Wait()))), false
		case <-timeout.C:
			return failed("Sandbox.Timedout", fmt.Sprintf(
				"RequestId: %s Error: Task timed out after %.2f seconds", in.id,
				i.function.Timeout.Seconds())), false
		case <-memory.C:
			if i.residentMiB() > i.function.MemoryMiB {
				return failed("Runtime.OutOfMemory", fmt.Sprintf(
					"RequestId: %s Error: Runtime exited with error: signal: killed", in.id)), false
			}
		case <-ctx.Done():
			return failed("Sandbox.Stopped", "The sandbox gave the invocation up: "+ctx.Err().Error()), false
		}
	}
}

func describe(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func failed(kind, message string) Result {
	data, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	return Result{Payload: data, Error: "Unhandled"}
}

func (i *instance) alive() bool {
	select {
	case <-i.process.Exited():
		return false
	default:
		return true
	}
}

// stop ends the process and everything it started.
func (i *instance) stop() {
	i.stopped.Do(func() {
		i.process.Kill()
		<-i.logged
		_ = i.server.Close()
		_ = i.log.Close()
	})
}

func (i *instance) copyLog(out *os.File) {
	defer close(i.logged)
	defer out.Close()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			i.write(line)
		}
		if err != nil {
			return
		}
	}
}

func (i *instance) write(line string) {
	_, _ = fmt.Fprintln(i.log, line)
	if i.logs != nil {
		i.logs(i.function, i.stream, line)
	}
}
