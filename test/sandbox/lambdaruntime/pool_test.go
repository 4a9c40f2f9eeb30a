package lambdaruntime

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// probe is the archive of testdata/probe, built once.
var probe = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bootstrap")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/probe").CombinedOutput(); err != nil {
		return out, err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
})

type sight struct {
	Environment map[string]string
	Process     int
	Deadline    bool
}

func newProbe(t *testing.T) (*Pool, Function) {
	t.Helper()
	archive, err := probe()
	require.NoError(t, err, string(archive))
	pool := NewPool(t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(pool.Close)
	sum, err := pool.AddCode(archive)
	require.NoError(t, err)
	return pool, Function{
		ARN:  "arn:aws:lambda:us-east-1:123456789012:function:probe",
		Name: "probe", Handler: "bootstrap", CodeSHA256: sum, Revision: "1",
		Timeout: 20 * time.Second, MemoryMiB: 128, Region: "us-east-1",
		LogGroup: "/aws/lambda/probe", Environment: map[string]string{"GREETING": "hello"},
	}
}

func invoke(t *testing.T, p *Pool, f Function, order string) (Result, sight) {
	t.Helper()
	result, err := p.Invoke(t.Context(), f, []byte(order))
	require.NoError(t, err)
	var seen sight
	if result.Error == "" {
		require.NoError(t, json.Unmarshal(result.Payload, &seen), string(result.Payload))
	}
	return result, seen
}

func TestFunctionSeesLambdasEnvironmentAndNothingElse(t *testing.T) {
	t.Setenv("A_SECRET_OF_THIS_MACHINE", "1")
	pool, f := newProbe(t)
	_, seen := invoke(t, pool, f, `{"Do":"look"}`)
	require.Equal(t, "hello", seen.Environment["GREETING"])
	require.Equal(t, "probe", seen.Environment["AWS_LAMBDA_FUNCTION_NAME"])
	require.Equal(t, "128", seen.Environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
	require.Equal(t, "/aws/lambda/probe", seen.Environment["AWS_LAMBDA_LOG_GROUP_NAME"])
	require.NotContains(t, seen.Environment, "A_SECRET_OF_THIS_MACHINE")
	require.NotContains(t, seen.Environment, "HOME")
	require.True(t, seen.Deadline, "the invocation has a deadline")
}

func TestInstanceIsKeptForTheNextInvocation(t *testing.T) {
	t.Parallel()
	pool, f := newProbe(t)
	_, first := invoke(t, pool, f, `{}`)
	_, second := invoke(t, pool, f, `{}`)
	require.Equal(t, first.Process, second.Process)
	f.Revision = "2"
	_, third := invoke(t, pool, f, `{}`)
	require.NotEqual(t, first.Process, third.Process, "a new configuration needs a new instance")
}

func TestInvocationsAtOnceHaveInstancesOfTheirOwn(t *testing.T) {
	t.Parallel()
	pool, f := newProbe(t)
	const n = 3
	var waiting sync.WaitGroup
	waiting.Add(n)
	// Nobody gets an answer before all have asked, so all are running at once.
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		waiting.Done()
		waiting.Wait()
	}))
	defer server.Close()
	processes := make(chan int, n)
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			result, err := pool.Invoke(t.Context(), f, []byte(`{"Do":"ask","URL":"`+server.URL+`"}`))
			var seen sight
			if err == nil && json.Unmarshal(result.Payload, &seen) == nil {
				processes <- seen.Process
			}
		})
	}
	group.Wait()
	close(processes)
	different := map[int]bool{}
	for p := range processes {
		different[p] = true
	}
	require.Len(t, different, n)
}

func TestFailuresAreLambdas(t *testing.T) {
	t.Parallel()
	pool, f := newProbe(t)
	for order, wanted := range map[string]string{
		"fail": `{"errorMessage":"as ordered","errorType":"OutOfLuck"}`,
		"exit": "Runtime.ExitError",
		"hang": "Task timed out after 1.00 seconds",
	} {
		f := f
		if order == "hang" {
			f.Timeout, f.Revision = time.Second, "short"
		}
		result, _ := invoke(t, pool, f, `{"Do":"`+order+`"}`)
		require.Equal(t, "Unhandled", result.Error, order)
		require.Contains(t, string(result.Payload), wanted, order)
	}
	_, seen := invoke(t, pool, f, `{}`)
	require.NotZero(t, seen.Process, "after every failure the function runs again")
}

func TestMemoryIsLimited(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("how much memory a process holds is known on Linux only")
	}
	pool, f := newProbe(t)
	result, _ := invoke(t, pool, f, `{"Do":"grow"}`)
	require.Contains(t, string(result.Payload), "Runtime.OutOfMemory")
}

func TestLogsCanBeRead(t *testing.T) {
	t.Parallel()
	pool, f := newProbe(t)
	invoke(t, pool, f, `{"Do":"speak"}`)
	pool.Close()
	log, err := os.ReadFile(pool.LogFile("probe"))
	require.NoError(t, err)
	for _, wanted := range []string{"START RequestId:", "doing speak", "END RequestId:", "REPORT RequestId:", "Memory Size: 128 MB"} {
		require.Contains(t, string(log), wanted)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	t.Parallel()
	pool, f := newProbe(t)
	_, seen := invoke(t, pool, f, `{}`)
	pool.Close()
	require.ErrorIs(t, syscall.Kill(seen.Process, 0), syscall.ESRCH)
	_, err := pool.Invoke(t.Context(), f, []byte(`{}`))
	require.ErrorContains(t, err, "being stopped")
}

func TestArchiveStaysInItsFolder(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	_, err := w.Create("../outside")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	pool := NewPool(t.TempDir(), slog.New(slog.DiscardHandler))
	_, err = pool.AddCode(packed.Bytes())
	require.ErrorContains(t, err, "outside of its folder")
	_, err = pool.AddCode([]byte("no zip"))
	require.ErrorContains(t, err, "not a zip archive")
}
