package slack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
)

// The people of the tests, and their Slack accounts.
const (
	alice = "alice@example.com" // asks
	bob   = "bob@example.com"   // approves
	carol = "carol@example.com" // approves
	dave  = "dave@example.com"  // approves when nobody else does
	mallo = "mallo@example.com" // does neither

	aliceID = "U0ALICE"
	bobID   = "U0BOB"
	carolID = "U0CAROL"
	daveID  = "U0DAVE"
	malloID = "U0MALLO"

	workspace = "T0SYM"
	channel   = "C0REQUESTS"
	errorsTo  = "C0ERRORS"
)

// world is the adapter with everything around it in the test's hands.
type world struct {
	*Slack
	service   *request.Service
	store     *requesttest.Memory
	workflows *requesttest.Workflows
	clock     *requesttest.Clock
	secrets   *secrets
	later     *queue
	api       *fakeSlack
	log       *bytes.Buffer

	mu       sync.Mutex
	troubles []request.Trouble
}

// newWorld makes a world in which alice asks for postgres-readonly, which bob and carol approve.
func newWorld(t *testing.T, change ...func(*request.Flow, *rules.Document, *Settings)) *world {
	t.Helper()
	w := &world{
		store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows(),
		clock: requesttest.NewClock(), secrets: &secrets{token: "xoxb-1", signing: "sign-1"},
		later: &queue{}, log: &bytes.Buffer{},
	}
	w.api = startFakeSlack(t)
	t.Cleanup(func() { w.api.checkLimits(t) })
	flow := request.Flow{
		Name: "postgres", Label: "Orders database", RequestChannel: channel,
		StateMachineARN: "arn:machine", LambdaConnector: "arn:connector",
		Groups: map[string][]string{}, TargetRules: map[string]*rules.Rules{},
		Problems: map[string]error{},
		Targets: []request.Target{
			{Name: "postgres-readonly", Label: "Read the orders", RoleName: "readonly",
				FunctionARN: "arn:function", DefaultDuration: 30 * time.Minute,
				MaxDuration: 4 * time.Hour, Connect: "host=db.example.com dbname=orders"},
			{Name: "postgres-admin", RoleName: "admin", FunctionARN: "arn:function",
				DefaultDuration: 5 * time.Minute, MaxDuration: 10 * time.Minute},
		},
	}
	document := rules.Document{
		Approvers: []string{bob, carol}, Approvals: 1, ApprovalTimeoutSeconds: 3600,
	}
	settings := Settings{Workspace: workspace, ErrorChannel: errorsTo, APIURL: w.api.URL + "/api/"}
	for _, c := range change {
		c(&flow, &document, &settings)
	}
	compiled, err := rules.Compile(document)
	require.NoError(t, err)
	for _, target := range flow.Targets {
		flow.TargetRules[target.Name] = compiled
	}
	var last atomic.Int64
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: w.log}, nil))
	w.service = &request.Service{
		Store: w.store, Flows: requesttest.Flows{flow}, Workflows: w.workflows,
		Now: w.clock.Now, Log: log,
		NewID: func() string { return fmt.Sprint("request-", last.Add(1)) },
	}
	w.Slack, err = New(settings, Parts{
		Service: w.service, Store: w.store, Secrets: w.secrets, Later: w.later, Now: w.clock.Now,
		Log: log, Report: func(_ context.Context, t request.Trouble) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.troubles = append(w.troubles, t)
		},
	})
	require.NoError(t, err)
	return w
}

// lockedWriter lets several goroutines write to a buffer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// secrets are a shared secret that the test holds, behind a cache.
type secrets struct {
	mu             sync.Mutex
	token, signing string // in the cache
	freshToken     string // what Refresh brings, if set
	freshSigning   string
	err            error
	refreshes      int
}

func (s *secrets) Slack(context.Context) (token, signingSecret string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.signing, s.err
}

func (s *secrets) Refresh(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshes++
	if s.freshToken != "" {
		s.token = s.freshToken
	}
	if s.freshSigning != "" {
		s.signing = s.freshSigning
	}
}

// queue keeps what is to be done later until the test says when that is.
type queue struct {
	mu       sync.Mutex
	payloads [][]byte
	err      error
}

func (q *queue) Do(_ context.Context, payload any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	encoded, err := json.Marshal(payload)
	q.payloads = append(q.payloads, encoded)
	return err
}

func (q *queue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.payloads
	q.payloads = nil
	return all
}

// work does what was put off.
func (w *world) work(t *testing.T) {
	t.Helper()
	for _, payload := range w.later.take() {
		var p struct {
			Step  string          `json:"step"`
			Slack json.RawMessage `json:"slack"`
		}
		require.NoError(t, json.Unmarshal(payload, &p))
		require.Equal(t, Step, p.Step)
		require.NoError(t, w.Handler.Later(t.Context(), p.Slack))
	}
}

// deliver brings every record of a request to Slack, again and again if a test wants.
func (w *world) deliver(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, w.tryDeliver(t, id))
}

func (w *world) tryDeliver(t *testing.T, id string) error {
	t.Helper()
	r, err := w.store.Get(t.Context(), id)
	require.NoError(t, err)
	records, err := w.store.Records(t.Context(), id)
	require.NoError(t, err)
	for _, record := range records {
		if err := w.Sink.Deliver(t.Context(), delivery.Item{Request: r, Record: record}); err != nil {
			return err
		}
	}
	return nil
}

// submit asks for access, not through Slack.
func (w *world) submit(t *testing.T, sub ...request.Submission) request.Request {
	t.Helper()
	s := request.Submission{Flow: "postgres", Target: "postgres-readonly",
		Reason: "Look at order 4711"}
	if len(sub) > 0 {
		s = sub[0]
	}
	r, err := w.service.Submit(t.Context(), alice, s)
	require.NoError(t, err)
	return r
}

// move takes a request on as the workflow does.
func (w *world) move(t *testing.T, id string, states ...request.State) request.Request {
	t.Helper()
	var last request.Request
	for _, state := range states {
		r, err := w.store.Get(t.Context(), id)
		require.NoError(t, err)
		act := request.Act{By: request.ByWorkflow, At: w.clock.Now()}
		switch state {
		case request.Active:
			act.Action, act.Rule = request.ActionGrant, request.RuleGranted
		case request.Revoking:
			act.Action, act.Rule = request.ActionRevoke, request.RuleExpiry
		case request.Done:
			act.Action, act.Rule = request.ActionEnd, request.RuleRevoked
		case request.Expired:
			act.Action, act.Rule = request.ActionExpire, request.RuleApprovalTimeout
			act.Reason = request.NobodyDecided
		case request.Failed:
			act.Action, act.Rule = request.ActionFail, request.RuleRefused
			act.Reason = "The role was refused."
		}
		change := r.Change(state, act)
		if state == request.Active {
			change.Request.ExpiresAt = w.clock.Now().Add(r.Duration)
			change.Request.DatabaseUser = "alice"
		}
		require.NoError(t, w.store.Apply(t.Context(), change))
		last = change.Request
	}
	return last
}

func (w *world) get(t *testing.T, id string) request.Request {
	t.Helper()
	r, err := w.store.Get(t.Context(), id)
	require.NoError(t, err)
	return r
}

// requests are all that were ever made.
func (w *world) requests(t *testing.T) []request.Request {
	t.Helper()
	page, err := w.store.List(t.Context(), request.Query{Limit: 100})
	require.NoError(t, err)
	return page.Requests
}

// event is a call as API Gateway gives it to the function: signed, in base64.
func (w *world) event(path string, form url.Values) events.APIGatewayV2HTTPRequest {
	body := form.Encode()
	event := events.APIGatewayV2HTTPRequest{
		RawPath: path, Headers: sign("sign-1", body, w.clock.Now()),
		Body: base64.StdEncoding.EncodeToString([]byte(body)), IsBase64Encoded: true,
	}
	event.RequestContext.RequestID = "call-1"
	event.RequestContext.HTTP.Method = http.MethodPost
	return event
}

func commandForm(user, text string) url.Values {
	return url.Values{"command": {"/sym"}, "text": {text}, "user_id": {user},
		"team_id": {workspace}, "trigger_id": {"trigger-1"}}
}

// command gives the slash command, and returns the answer: its text, and all that it shows.
func (w *world) command(t *testing.T, user, text string) string {
	t.Helper()
	response := w.Handler.Handle(t.Context(), w.event(commandsPath, commandForm(user, text)))
	require.Equal(t, http.StatusOK, response.StatusCode)
	if response.Body == "" {
		return ""
	}
	var answer struct {
		Type   string          `json:"response_type"`
		Blocks json.RawMessage `json:"blocks"`
	}
	require.NoError(t, json.Unmarshal([]byte(response.Body), &answer))
	assert.Equal(t, "ephemeral", answer.Type)
	return shown(t, answer.Blocks)
}

func interactionForm(payload map[string]any) url.Values {
	encoded, _ := json.Marshal(payload)
	return url.Values{"payload": {string(encoded)}}
}

// interact sends an interaction, and returns the body of the answer.
func (w *world) interact(t *testing.T, payload map[string]any) string {
	t.Helper()
	response := w.Handler.Handle(t.Context(), w.event(interactionsPath, interactionForm(payload)))
	require.Equal(t, http.StatusOK, response.StatusCode, response.Body)
	return response.Body
}

// clickPayload is a click on a button of a message.
func (w *world) clickPayload(user, button, id string) map[string]any {
	return map[string]any{
		"type": "block_actions", "team": map[string]any{"id": workspace},
		"user": map[string]any{"id": user, "team_id": workspace}, "trigger_id": "trigger-2",
		"response_url": w.api.URL + "/respond/" + user,
		"container":    map[string]any{"type": "message", "channel_id": channel},
		"actions": []any{map[string]any{
			"type": "button", "block_id": "actions", "action_id": button, "value": id,
		}},
	}
}

func (w *world) click(t *testing.T, user, button, id string) {
	t.Helper()
	assert.Empty(t, w.interact(t, w.clickPayload(user, button, id)))
}

// modalPayload is a modal as Slack sends it: with what was opened, and what was put into it, by
// the names of the blocks. What is not put in is as it was offered.
func modalPayload(
	t *testing.T, view map[string]any, user, kind string, put map[string]any,
) map[string]any {
	t.Helper()
	values := map[string]any{}
	for _, b := range view["blocks"].([]any) {
		block := b.(map[string]any)
		if block["type"] != "input" {
			continue
		}
		id := block["block_id"].(string)
		e := block["element"].(map[string]any)
		name, _, _ := strings.Cut(id, ":")
		value := map[string]any{"type": e["type"]}
		chosen, isPut := put[name]
		switch e["type"] {
		case "static_select":
			value["selected_option"] = e["initial_option"]
			if isPut {
				value["selected_option"] = map[string]any{"value": chosen}
			}
		case "checkboxes":
			value["selected_options"] = []any{}
			if isPut {
				value["selected_options"] = e["options"]
			}
		default:
			value["value"] = e["initial_value"]
			if isPut {
				value["value"] = chosen
			}
		}
		values[id] = map[string]any{e["action_id"].(string): value}
	}
	return map[string]any{
		"type": kind, "team": map[string]any{"id": workspace}, "trigger_id": "trigger-3",
		"user": map[string]any{"id": user, "team_id": workspace},
		"view": map[string]any{
			"id": view["id"], "hash": view["hash"], "callback_id": view["callback_id"],
			"private_metadata": view["private_metadata"], "type": "modal",
			"blocks": view["blocks"], "state": map[string]any{"values": values},
		},
	}
}

// fill submits the modal that was opened last, and returns the errors in it by the names of the
// blocks.
func (w *world) fill(t *testing.T, user string, put map[string]any) map[string]string {
	t.Helper()
	body := w.interact(t, modalPayload(t, w.api.modal(t), user, "view_submission", put))
	if body == "" {
		return nil
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, "errors", answer.Action)
	named := map[string]string{}
	for id, sentence := range answer.Errors {
		name, _, _ := strings.Cut(id, ":")
		named[name] = sentence
	}
	return named
}

// pick changes the flow or the target in the modal that was opened last.
func (w *world) pick(t *testing.T, user, block, value string) {
	t.Helper()
	view := w.api.modal(t)
	payload := modalPayload(t, view, user, "block_actions", map[string]any{block: value})
	payload["actions"] = []any{map[string]any{
		"type": "static_select", "block_id": block, "action_id": valueAction,
		"selected_option": map[string]any{"value": value},
	}}
	assert.Empty(t, w.interact(t, payload))
}

// fakeSlack is Slack's Web API in memory, with faults that a test puts in.
type fakeSlack struct {
	*httptest.Server

	mu       sync.Mutex
	users    map[string]map[string]any
	tokens   []string // that are accepted
	posts    []*post
	answers  []answered // to clicks
	views    []map[string]any
	calls    []string
	failures map[string][]fault  // by method, each once
	onCall   func(method string) // if set
}

// post is a message in a channel, or to a person.
type post struct {
	Channel, TS, Text, Thread, Parse string

	Broadcast bool
	Blocks    json.RawMessage
	Updates   int
	Deleted   bool
}

type answered struct {
	User, Type string
	Replace    bool
	Blocks     json.RawMessage
}

// fault is what a call is answered with: an error of Slack's, a status, or no answer at all.
type fault struct {
	err        string
	status     int
	retryAfter string
	after      bool // the call takes effect all the same
}

func startFakeSlack(t *testing.T) *fakeSlack {
	t.Helper()
	f := &fakeSlack{users: map[string]map[string]any{}, tokens: []string{"xoxb-1"},
		failures: map[string][]fault{}}
	for id, email := range map[string]string{aliceID: alice, bobID: bob, carolID: carol,
		daveID: dave, malloID: mallo} {
		f.users[id] = account(id, email)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// account is an account as users.info describes one of the workspace's members.
func account(id, email string, change ...func(map[string]any)) map[string]any {
	u := map[string]any{
		"id": id, "team_id": workspace, "name": strings.ToLower(id), "deleted": false,
		"is_bot": false, "is_restricted": false, "is_ultra_restricted": false,
		"is_email_confirmed": true, "profile": map[string]any{"email": email},
	}
	for _, c := range change {
		c(u)
	}
	return u
}

// fail makes the next call of a method fail.
func (f *fakeSlack) fail(method string, faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures[method] = append(f.failures[method], faults...)
}

func (f *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if user, ok := strings.CutPrefix(r.URL.Path, "/respond/"); ok {
		f.answer(w, user, body)
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	f.calls = append(f.calls, method)
	if f.onCall != nil {
		f.onCall(method)
	}
	form, _ := url.ParseQuery(string(body))
	if r.Method == http.MethodGet {
		form = r.URL.Query()
	}
	var document map[string]any
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(body, &document)
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = form.Get("token")
	}
	var failed fault
	if queue := f.failures[method]; len(queue) > 0 {
		failed, f.failures[method] = queue[0], queue[1:]
	}
	reply := map[string]any{"ok": false, "error": "invalid_auth"}
	if slices.Contains(f.tokens, token) {
		reply = map[string]any{"ok": false, "error": failed.err}
		if failed == (fault{}) || failed.after {
			reply = f.do(method, form, document)
		}
	}
	switch {
	case failed.status == -1:
		panic(http.ErrAbortHandler) // the connection breaks off
	case failed.status > 0:
		w.Header().Set("Retry-After", failed.retryAfter)
		w.WriteHeader(failed.status)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reply)
	}
}

func (f *fakeSlack) answer(w http.ResponseWriter, user string, body []byte) {
	if queue := f.failures["respond"]; len(queue) > 0 {
		f.failures["respond"] = queue[1:]
		if queue[0].status == -1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(queue[0].status)
		return
	}
	var said struct {
		Type    string          `json:"response_type"`
		Replace bool            `json:"replace_original"`
		Blocks  json.RawMessage `json:"blocks"`
	}
	_ = json.Unmarshal(body, &said)
	f.answers = append(f.answers, answered{user, said.Type, said.Replace, said.Blocks})
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"ok":true}`))
}

func (f *fakeSlack) do(method string, form url.Values, document map[string]any) map[string]any {
	refuse := func(err string) map[string]any { return map[string]any{"ok": false, "error": err} }
	switch method {
	case "users.info":
		if u, ok := f.users[form.Get("user")]; ok {
			return map[string]any{"ok": true, "user": u}
		}
		return refuse("user_not_found")
	case "users.lookupByEmail":
		for _, id := range slices.Sorted(maps.Keys(f.users)) {
			profile := f.users[id]["profile"].(map[string]any)
			if strings.EqualFold(fmt.Sprint(profile["email"]), form.Get("email")) {
				return map[string]any{"ok": true, "user": f.users[id]}
			}
		}
		return refuse("users_not_found")
	case "chat.postMessage":
		p := &post{
			Channel: form.Get("channel"), TS: fmt.Sprintf("1700000000.%06d", len(f.posts)+1),
			Text: form.Get("text"), Thread: form.Get("thread_ts"), Parse: form.Get("parse"),
			Broadcast: form.Get("reply_broadcast") == "true",
			Blocks:    json.RawMessage(form.Get("blocks")),
		}
		f.posts = append(f.posts, p)
		return map[string]any{"ok": true, "channel": p.Channel, "ts": p.TS}
	case "chat.update":
		for _, p := range f.posts {
			if p.TS == form.Get("ts") && p.Channel == form.Get("channel") && !p.Deleted {
				p.Text, p.Blocks = form.Get("text"), json.RawMessage(form.Get("blocks"))
				p.Parse = form.Get("parse")
				p.Updates++
				return map[string]any{"ok": true, "channel": p.Channel, "ts": p.TS}
			}
		}
		return refuse("message_not_found")
	case "chat.getPermalink":
		return map[string]any{"ok": true, "channel": form.Get("channel"), "permalink": "https://" +
			"sym.slack.com/archives/" + form.Get("channel") + "/p" + form.Get("message_ts")}
	case "views.open", "views.update":
		view := document["view"].(map[string]any)
		view["id"] = fmt.Sprintf("V%d", len(f.views)+1)
		if id, ok := document["view_id"].(string); ok {
			view["id"] = id
			if last := f.views[len(f.views)-1]; last["hash"] != document["hash"] {
				return refuse("hash_conflict")
			}
		}
		view["hash"] = fmt.Sprintf("hash-%d", len(f.views)+1)
		f.views = append(f.views, view)
		return map[string]any{"ok": true, "view": map[string]any{"id": view["id"]}}
	}
	return refuse("unknown_method")
}

// checkLimits finds what Slack would have refused.
func (f *fakeSlack) checkLimits(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, view := range f.views {
		checkLimits(t, view)
	}
	for _, p := range f.posts {
		checkLimits(t, p.Blocks)
		assert.NotEmpty(t, p.Text)
		assert.Less(t, len(p.Text), 4000)
		// Slack refuses more than about 12,000 characters in all as msg_blocks_too_long.
		assert.Less(t, len(utf16.Encode([]rune(shown(t, p.Blocks)))), 11_000)
	}
	for _, a := range f.answers {
		checkLimits(t, a.Blocks)
	}
}

// modal is the modal as it is now.
func (f *fakeSlack) modal(t *testing.T) map[string]any {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NotEmpty(t, f.views, "no modal was opened")
	return f.views[len(f.views)-1]
}

func (f *fakeSlack) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.views)
}

// to are the messages in a channel, or to a person.
func (f *fakeSlack) to(channel string) []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []post
	for _, p := range f.posts {
		if p.Channel == channel && !p.Deleted {
			found = append(found, *p)
		}
	}
	return found
}

// told are what was said to a person, by the text that the messages show.
func (f *fakeSlack) told(t *testing.T, user string) []string {
	t.Helper()
	var all []string
	for _, p := range f.to(user) {
		all = append(all, shown(t, p.Blocks))
	}
	return all
}

// whispered is what was answered to a person's clicks.
func (f *fakeSlack) whispered(t *testing.T, user string) []string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, a := range f.answers {
		if a.User == user {
			assert.Equal(t, "ephemeral", a.Type)
			assert.False(t, a.Replace, "the message stays as it is")
			all = append(all, shown(t, a.Blocks))
		}
	}
	return all
}

// shown is what somebody reads of blocks.
func shown(t *testing.T, blocks json.RawMessage) string {
	t.Helper()
	if len(blocks) == 0 {
		return ""
	}
	var all any
	require.NoError(t, json.Unmarshal(blocks, &all))
	var text strings.Builder
	var read func(any)
	read = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				read(item)
			}
		case map[string]any:
			switch v["type"] {
			case "user":
				fmt.Fprintf(&text, "@%s", v["user_id"])
			case "date":
				fmt.Fprintf(&text, "%s", v["fallback"])
			}
			for _, key := range []string{"text", "elements", "label"} {
				switch inner := v[key].(type) {
				case string:
					text.WriteString(inner)
				case nil:
				default:
					read(inner)
				}
			}
			switch v["type"] {
			case "rich_text_section", "rich_text_quote", "rich_text_preformatted", "header",
				"context", "button", "section":
				text.WriteString("\n")
			}
		}
	}
	read(all)
	return strings.TrimSpace(text.String())
}
