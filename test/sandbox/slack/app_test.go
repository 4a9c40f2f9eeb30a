package slack

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// app is a Slack app as small as can be: it checks signatures with slack-go and
// does what a test has it do.
type app struct {
	*Server
	clock *clock
	api   *slackapi.Client
	// What it does: with a command, and with an interaction. Nothing is an empty
	// answer.
	command  func(url.Values) any
	interact func(slackapi.InteractionCallback) any
	status   int
	refused  int // signatures
	got      []url.Values
}

func start(t *testing.T) *app {
	t.Helper()
	a := &app{clock: &clock{now: time.Now()}, status: http.StatusOK}
	server, err := Start(Options{Now: a.clock.Now})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	a.Server = server
	a.login()
	web := httptest.NewServer(a)
	t.Cleanup(web.Close)
	server.Connect(web.URL+"/commands", web.URL+"/interactions")
	return a
}

// login takes the token as it is now.
func (a *app) login() {
	a.api = slackapi.New(a.Token(), slackapi.OptionAPIURL(a.APIURL()))
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verifier, err := slackapi.NewSecretsVerifier(r.Header, a.SigningSecret())
	body, _ := io.ReadAll(r.Body)
	if err == nil {
		_, _ = verifier.Write(body)
		err = verifier.Ensure()
	}
	if err != nil {
		a.refused++
		http.Error(w, "unsigned", http.StatusUnauthorized)
		return
	}
	form, _ := url.ParseQuery(string(body))
	a.got = append(a.got, form)
	var out any
	switch {
	case r.URL.Path == "/commands" && a.command != nil:
		out = a.command(form)
	case r.URL.Path == "/interactions" && a.interact != nil:
		var said slackapi.InteractionCallback
		if err := json.Unmarshal([]byte(form.Get("payload")), &said); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out = a.interact(said)
	}
	if text, ok := out.(string); ok {
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if out != nil {
		_ = json.NewEncoder(w).Encode(out)
	}
}

// soon bounds a failure; no success depends on it.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func plain(text string) *slackapi.TextBlockObject {
	return slackapi.NewTextBlockObject(slackapi.PlainTextType, text, false, false)
}

// buttons is a message's blocks with a button of each action.
func buttons(text string, actions ...string) slackapi.MsgOption {
	var all []slackapi.BlockElement
	for _, action := range actions {
		all = append(all, slackapi.NewButtonBlockElement(action, "r-1", plain(action)))
	}
	return slackapi.MsgOptionBlocks(
		slackapi.NewSectionBlock(plain(text), nil, nil), slackapi.NewActionBlock("actions", all...))
}

// form is a modal with a choice that the app wants to know of, and a reason.
func form(title string) slackapi.ModalViewRequest {
	var options []*slackapi.OptionBlockObject
	for _, name := range []string{"readonly", "readwrite"} {
		options = append(options, slackapi.NewOptionBlockObject(name, plain("Role "+name), nil))
	}
	target := slackapi.NewOptionsSelectBlockElement(slackapi.OptTypeStatic, plain("Choose"),
		"value", options...)
	target.InitialOption = options[0]
	reason := slackapi.NewPlainTextInputBlockElement(plain("Why"), "value")
	reason.MaxLength = 20
	loud := slackapi.NewCheckboxGroupsBlockElement("value",
		slackapi.NewOptionBlockObject("yes", plain("Loudly"), nil))
	return slackapi.ModalViewRequest{
		Type: slackapi.VTModal, Title: plain(title), Submit: plain("Send"), Close: plain("Cancel"),
		CallbackID: "form", PrivateMetadata: "m-1",
		Blocks: slackapi.Blocks{BlockSet: []slackapi.Block{
			slackapi.NewInputBlock("target", plain("Target"), nil, target).WithDispatchAction(true),
			slackapi.NewInputBlock("reason", plain("Reason"), nil, reason),
			slackapi.NewInputBlock("loud", plain("Emergency"), nil, loud).WithOptional(true),
		}},
	}
}

// opens has the app open a modal at every command.
func (a *app) opens(t *testing.T, view slackapi.ModalViewRequest) {
	t.Helper()
	a.command = func(given url.Values) any {
		_, err := a.api.OpenViewContext(t.Context(), given.Get("trigger_id"), view)
		assert.NoError(t, err)
		return nil
	}
}

// opened gives the command, and answers the modal that it opens.
func (a *app) opened(t *testing.T, user string) View {
	t.Helper()
	_, err := a.As(user).Command(t.Context(), "/sym req")
	require.NoError(t, err)
	v := a.Modal(user)
	require.NotNil(t, v)
	return *v
}
