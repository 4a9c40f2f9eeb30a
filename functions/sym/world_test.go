package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // for machines that know no zones

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/api"
	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
)

// The program itself runs where a test starts this binary with this variable set.
const runsMain = "SYM_TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		os.Exit(start())
	}
	os.Exit(m.Run())
}

const region = "eu-west-1"

// world is the API over HTTP, with signatures checked as API Gateway does, and with everything
// behind it in the test's hands. A person runs the client against it.
type world struct {
	*httptest.Server
	t         *testing.T
	api       *api.API
	store     *requesttest.Memory
	workflows *requesttest.Workflows
	clock     *requesttest.Clock

	mu      sync.Mutex
	instead func(http.ResponseWriter, *http.Request) bool
	calls   []call
	made    []string // the ids of the requests that were made
	later   []event
	pauses  []time.Duration
}

// call is what came over HTTP.
type call struct {
	line, key, body string
}

// event is something that happens at a time.
type event struct {
	at time.Time
	do func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	people := map[string]string{}
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "mallory"} {
		people["arn:aws:iam::111122223333:user/"+name] = name + "@example.com"
	}
	table, err := json.Marshal(people)
	require.NoError(t, err)
	callers, err := identity.New("111122223333", string(table), nil)
	require.NoError(t, err)
	w := &world{
		t: t, store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows(),
		clock: requesttest.NewClock(),
	}
	log := slog.New(slog.DiscardHandler)
	w.api = &api.API{Callers: callers, Log: log, Service: &request.Service{
		Store: w.store, Workflows: w.workflows, Now: w.clock.Now, Log: log,
		NewID: uuid.NewString, // where there is no key
		Flows: requesttest.Flows{postgres(t)},
	}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)

	nowhere := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": region, "AWS_PROFILE": "",
		"SYM_API": w.URL, "SYM_DIR": "", "NO_COLOR": "", "TERM": "xterm",
	} {
		t.Setenv(name, value)
	}
	return w
}

// postgres has a target that bob approves, and one with every rule there is.
func postgres(t *testing.T) request.Flow {
	t.Helper()
	target := func(role, label string) request.Target {
		return request.Target{
			Name: "postgres-" + role, Label: label, Type: "postgres", RoleName: role,
			DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour,
			Connect: "host=db.internal dbname=app",
		}
	}
	compile := func(document rules.Document) *rules.Rules {
		set, err := rules.Compile(document)
		require.NoError(t, err)
		return set
	}
	return request.Flow{
		Name: "postgres", Label: "Postgres",
		Groups:  map[string][]string{"oncall": {"dave@example.com"}},
		Targets: []request.Target{target("readonly", "Read only"), target("admin", "Everything")},
		TargetRules: map[string]*rules.Rules{
			"postgres-readonly": compile(rules.Document{
				Approvers: []string{"bob@example.com"}, Approvals: 1,
				ApprovalTimeoutSeconds: 3600,
			}),
			"postgres-admin": compile(rules.Document{
				Approvers: []string{"bob@example.com", "carol@example.com"}, Approvals: 2,
				ApprovalTimeoutSeconds: 3600,
				ApproveAtOnce: []rules.Condition{{
					Name: "on call", When: `"oncall" in requester.groups`,
				}},
				Deny: []rules.Denial{{
					Name: "no fishing", When: `request.reason.contains("just looking")`,
					Message: "Say what you look for.",
				}},
				BreakGlass: &rules.BreakGlass{
					People: []string{"alice@example.com"}, MaxDurationSeconds: 900,
				},
			}),
		},
	}
}

// serve is API Gateway: it checks the signature and makes an event of the call.
func (w *world) serve(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever called has gone
	}
	w.mu.Lock()
	w.calls = append(w.calls, call{
		r.Method + " " + r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), string(body),
	})
	instead := w.instead
	w.mu.Unlock()
	if instead != nil && instead(answer, r) {
		return
	}
	person, signed := signer(r, body)
	if !signed {
		answer.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(answer, `{"message":"Forbidden"}`)
		return
	}
	e := events.APIGatewayV2HTTPRequest{
		RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery, Body: string(body),
		Headers: map[string]string{}, QueryStringParameters: map[string]string{},
	}
	for name, values := range r.Header {
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		e.QueryStringParameters[name] = strings.Join(values, ",")
	}
	e.RequestContext.Stage = "$default"
	e.RequestContext.RequestID = "call-1"
	e.RequestContext.HTTP.Method = r.Method
	e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{
			UserARN: "arn:aws:iam::111122223333:user/" + person, UserID: "AIDA" + person,
		},
	}
	response := w.api.Handle(r.Context(), e)
	for name, value := range response.Headers {
		answer.Header().Set(name, value)
	}
	if response.StatusCode == http.StatusCreated {
		w.remember(response.Body)
	}
	answer.WriteHeader(response.StatusCode)
	_, _ = io.WriteString(answer, response.Body)
}

// answer has calls answered in the API's place; false where they are left to the API.
func (w *world) answer(instead func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instead = instead
}

// remember keeps the id of a request that was made.
func (w *world) remember(body string) {
	var made struct{ ID string }
	assert.NoError(w.t, json.Unmarshal([]byte(body), &made))
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.made, made.ID) {
		w.made = append(w.made, made.ID)
	}
}

// id is that of the n-th request that was made.
func (w *world) id(n int) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.GreaterOrEqual(w.t, len(w.made), n)
	return w.made[n-1]
}

// named replaces the ids in a text by their numbers, of the same length.
func (w *world) named(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, id := range w.made {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("ID-%0*d", len(id)-len("ID-"), i+1))
	}
	return text
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([a-z]+)/\d{8}/` + region +
	`/execute-api/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

// signer is who has signed a call: it is signed once more with their secret.
func signer(r *http.Request, body []byte) (person string, ok bool) {
	given := r.Header.Get("Authorization")
	match := authorization.FindStringSubmatch(given)
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if match == nil || err != nil {
		return "", false
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return "", false
	}
	for name := range strings.SplitSeq(match[2], ";") {
		if value := r.Header.Get(name); value != "" && !strings.HasPrefix(name, "x-amz-") {
			again.Header.Set(name, value)
		}
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(r.Context(), keys(match[1]), again, hex.EncodeToString(sum[:]),
		"execute-api", region, at)
	return match[1], err == nil && again.Header.Get("Authorization") == given &&
		r.Header.Get("X-Amz-Security-Token") == keys(match[1]).SessionToken
}

// keys are a person's credentials.
func keys(person string) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: person, SecretAccessKey: "secret of " + person,
		SessionToken: "token of " + person,
	}
}

func (w *world) signIn(person string) {
	w.t.Setenv("AWS_ACCESS_KEY_ID", keys(person).AccessKeyID)
	w.t.Setenv("AWS_SECRET_ACCESS_KEY", keys(person).SecretAccessKey)
	w.t.Setenv("AWS_SESSION_TOKEN", keys(person).SessionToken)
}

// result is what a run of the client has printed, and how it ended.
type result struct {
	code     int
	out, err string
}

// sym runs the client as somebody who has no terminal.
func (w *world) sym(person string, args ...string) result {
	w.t.Helper()
	return w.run(w.t.Context(), person, nil, args...)
}

// run runs the client as somebody, with whatever is to be different.
func (w *world) run(
	ctx context.Context, person string, change func(*program), args ...string,
) result {
	w.t.Helper()
	w.signIn(person)
	var out, errs bytes.Buffer
	p := w.program(&out, &errs)
	if change != nil {
		change(p)
	}
	code := p.run(ctx, args)
	return result{code, w.named(out.String()), w.named(errs.String())}
}

// program is a call of the client in Berlin, without a terminal.
func (w *world) program(out, errs io.Writer) *program {
	w.t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(w.t, err)
	return &program{
		out: out, err: errs, getenv: os.Getenv, now: w.clock.Now, sleep: w.sleep,
		location: berlin, width: func() int { return 0 },
	}
}

// terminal gives a person a terminal of that width.
func terminal(width int) func(*program) {
	return func(p *program) {
		p.outTerminal, p.errTerminal = true, true
		p.width = func() int { return width }
	}
}

// sleep lets the time pass, and what happens in it.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	w.pauses = append(w.pauses, d)
	end := w.clock.Now().Add(d)
	for len(w.later) > 0 && !w.later[0].at.After(end) {
		next := w.later[0]
		w.later = w.later[1:]
		w.clock.Advance(next.at.Sub(w.clock.Now()))
		next.do()
	}
	w.clock.Advance(end.Sub(w.clock.Now()))
	return ctx.Err()
}

// after has something happen in a while.
func (w *world) after(d time.Duration, do func()) {
	w.later = append(w.later, event{w.clock.Now().Add(d), do})
	slices.SortStableFunc(w.later, func(a, b event) int { return a.at.Compare(b.at) })
}

// advance takes a request to a state, as its workflow would.
func (w *world) advance(id string, state request.State) {
	w.t.Helper()
	r, err := w.store.Get(w.t.Context(), id)
	require.NoError(w.t, err)
	act := map[request.State]request.Act{
		request.Active:   {Action: request.ActionGrant, Rule: request.RuleGranted},
		request.Revoking: {Action: request.ActionExpire, Rule: request.RuleExpiry},
		request.Done:     {Action: request.ActionEnd, Rule: request.RuleRevoked},
		request.Failed: {Action: request.ActionFail, Rule: request.RuleRefused,
			Reason: "There is no user alice in the database."},
		request.Expired: {Action: request.ActionExpire, Rule: request.RuleApprovalTimeout,
			Reason: request.NobodyDecided},
	}[state]
	act.By, act.At = request.ByWorkflow, w.clock.Now()
	change := r.Change(state, act)
	if state == request.Active {
		change.Request.ExpiresAt = w.clock.Now().Add(r.Duration)
		change.Request.DatabaseUser, _, _ = strings.Cut(r.Requester, "@")
	}
	require.NoError(w.t, w.store.Apply(w.t.Context(), change))
}

// flows changes what can be asked for.
func (w *world) flows(flows ...request.Flow) {
	w.api.Service.Flows = requesttest.Flows(flows)
}

// asked is a request that alice has made for readonly.
func (w *world) asked() string {
	w.t.Helper()
	r := w.sym("alice", "request", "readonly", "--reason", "Order 3 was charged twice")
	require.Equal(w.t, exitOK, r.code, r.err)
	return w.id(len(w.made))
}

// approve has somebody approve a request, by whatever way.
func (w *world) approve(person, id string) {
	w.t.Helper()
	_, err := w.api.Service.Approve(w.t.Context(), person+"@example.com", id, "")
	require.NoError(w.t, err)
}

// active is such a request that was approved and granted.
func (w *world) active() string {
	w.t.Helper()
	id := w.asked()
	w.approve("bob", id)
	w.advance(id, request.Active)
	return id
}

// state is how far a request has come.
func (w *world) state(id string) request.State {
	w.t.Helper()
	r, err := w.store.Get(w.t.Context(), id)
	require.NoError(w.t, err)
	return r.State
}

// TestSignatureIsChecked checks this world: who signs with another secret is refused.
func TestSignatureIsChecked(t *testing.T) {
	w := newWorld(t)
	w.signIn("alice")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	p := w.program(io.Discard, io.Discard)
	assert.Equal(t, exitFailure, p.run(t.Context(), []string{"list"}))
}
