package rules_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// runtime is as much of AWS as a plan of the flow's module asks, with a function that checks
// rules as the Runtime does. A function of any name is this one.
type runtime struct {
	*httptest.Server
	mu     sync.Mutex
	drafts map[string]rules.Draft // by the function's name
}

func newRuntime(t *testing.T) *runtime {
	t.Helper()
	r := &runtime{drafts: map[string]rules.Draft{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations",
		func(w http.ResponseWriter, call *http.Request) {
			var input struct {
				Step string `json:"step"`
				rules.Draft
			}
			if !assert.NoError(t, json.NewDecoder(call.Body).Decode(&input)) ||
				!assert.Equal(t, "check_rules", input.Step) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.drafts[call.PathValue("name")] = input.Draft
			assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"problems": input.Check()}))
		})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, call *http.Request) {
		if strings.HasSuffix(call.Header.Get("X-Amz-Target"), ".ValidateStateMachineDefinition") {
			_, err := io.WriteString(w, `{"result":"OK","diagnostics":[]}`)
			assert.NoError(t, err)
			return
		}
		assert.Equal(t, "GetCallerIdentity", call.FormValue("Action"))
		w.Header().Set("Content-Type", "text/xml")
		_, err := io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::111122223333:user/t</Arn><UserId>t</UserId>`+
			`<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		assert.NoError(t, err)
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

// draft is what a function was asked to check.
func (r *runtime) draft(function string) rules.Draft {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drafts[function]
}

// terraform plans in a folder of its own.
type terraform struct {
	t       *testing.T
	dir     string
	program string
	env     []string
}

func newTerraform(t *testing.T, r *runtime) *terraform {
	t.Helper()
	program, err := tools.Terraform(t.Context())
	require.NoError(t, err)
	dir, module := t.TempDir(), filepath.Join("modules", "postgres-flow")
	require.NoError(t, os.CopyFS(filepath.Join(dir, module),
		os.DirFS(filepath.Join("../../..", module))))
	// What Terraform may have left where somebody ran it by hand.
	require.NoError(t, os.RemoveAll(filepath.Join(dir, module, ".terraform")))
	provider, err := tools.TerraformEnv(dir)
	require.NoError(t, err)
	env := append(os.Environ(), "AWS_ENDPOINT_URL="+r.URL, "AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_SESSION_TOKEN=",
		"AWS_PROFILE=", "AWS_EC2_METADATA_DISABLED=true", "TF_IN_AUTOMATION=1")
	for name, value := range provider {
		env = append(env, name+"="+value)
	}
	return &terraform{t, dir, program, env}
}

func (w *terraform) write(name, text string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

// run answers what Terraform prints.
func (w *terraform) run(args ...string) ([]byte, error) {
	w.t.Helper()
	c := exec.CommandContext(w.t.Context(), w.program, args...)
	c.Dir, c.Env = w.dir, w.env
	// Asked to stop, Terraform stops its provider, too; killed, it would not.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	var out, failure bytes.Buffer
	c.Stdout, c.Stderr = &out, &failure
	err := c.Run()
	if failure.Len() > 0 {
		w.t.Log(failure.String())
	}
	return out.Bytes(), err
}

// plan answers the outputs of what is written.
func (w *terraform) plan() map[string]plannedFlow {
	w.t.Helper()
	for _, args := range [][]string{
		{"init", "-input=false", "-no-color"}, {"plan", "-input=false", "-no-color", "-out=plan"},
	} {
		out, err := w.run(args...)
		require.NoError(w.t, err, "%s", out)
	}
	out, err := w.run("show", "-json", "plan")
	require.NoError(w.t, err)
	var plan struct {
		Values struct {
			Outputs map[string]struct {
				Value plannedFlow `json:"value"`
			} `json:"outputs"`
		} `json:"planned_values"`
	}
	require.NoError(w.t, json.Unmarshal(out, &plan))
	flows := map[string]plannedFlow{}
	for name, output := range plan.Values.Outputs {
		flows[name] = output.Value
	}
	return flows
}

// refused plans what is written, and answers all that is said against it.
func (w *terraform) refused() string {
	w.t.Helper()
	out, err := w.run("init", "-input=false", "-no-color")
	require.NoError(w.t, err, "%s", out)
	out, err = w.run("plan", "-input=false", "-json")
	require.Error(w.t, err, "%s", out)
	var said []string
	for line := range bytes.Lines(out) {
		var message struct {
			Diagnostic struct{ Severity, Detail string }
		}
		require.NoError(w.t, json.Unmarshal(line, &message), "%s", line)
		if message.Diagnostic.Severity == "error" {
			said = append(said, oneLine(message.Diagnostic.Detail))
		}
	}
	return strings.Join(said, "\n")
}
