package slack

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// respondMethod stands for the response_url where methods are named.
const respondMethod = "response_url"

// maxBody is the largest body that Slack's Web API takes from the app.
const maxBody = 1 << 20

// APICall is a call of the app's to the Web API.
type APICall struct {
	Method string
	Args   map[string]string
	Error  string // what it was refused with; empty if it was not
}

// result is the body of an answer of Slack's.
type result map[string]any

func refuse(code string) result { return result{"ok": false, "error": code} }

// invalid refuses a call, with what is wrong with its arguments.
func invalid(code string, problems []string) result {
	r := refuse(code)
	messages := make([]string, 0, len(problems))
	for _, p := range problems {
		messages = append(messages, "[ERROR] "+p)
	}
	r["errors"] = problems
	r["response_metadata"] = map[string]any{"messages": messages}
	return r
}

// method is a method of the Web API: what its token has to be allowed, and what it
// does. The lock is held meanwhile.
type method struct {
	scope string
	do    func(*Server, args) result
}

// methods are those that the app may call. Slack has more; those are unknown here.
var methods = map[string]method{
	"auth.test":           {"", (*Server).authTest},
	"chat.getPermalink":   {"", (*Server).permalink},
	"chat.postEphemeral":  {"chat:write", (*Server).postEphemeral},
	"chat.postMessage":    {"chat:write", (*Server).postMessage},
	"chat.update":         {"chat:write", (*Server).updateMessage},
	"conversations.open":  {"im:write", (*Server).openConversation},
	"users.info":          {"users:read", (*Server).userInfo},
	"users.lookupByEmail": {"users:read.email", (*Server).lookupByEmail},
	"views.open":          {"", (*Server).openView},
	"views.push":          {"", (*Server).pushView},
	"views.update":        {"", (*Server).updateView},
}

// args are the arguments of a call: a form's, or a document's, whose values that
// are no strings stay JSON as they do in a form.
type args map[string]string

// readArgs reads the arguments of a call, and the token with them.
func readArgs(w http.ResponseWriter, r *http.Request) (args, string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, "", err
	}
	all := args{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var document map[string]json.RawMessage
		if err := json.Unmarshal(body, &document); err != nil {
			return nil, "", err
		}
		for name, value := range document {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			all[name] = text
		}
	} else {
		if r.Method == http.MethodGet { // which slack-go uses for what only reads
			body = []byte(r.URL.RawQuery)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, "", err
		}
		for name := range form {
			all[name] = form.Get(name)
		}
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = all["token"]
	}
	delete(all, "token")
	return all, token, nil
}

// api answers a call of the Web API.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	given, token, err := readArgs(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault(w, name) {
		s.recordAPI(APICall{Method: name, Args: given, Error: "fault"})
		return
	}
	out := refuse("invalid_arguments")
	if err == nil {
		out = s.authorised(name, token, given)
	}
	code, _ := out["error"].(string)
	s.recordAPI(APICall{Method: name, Args: given, Error: code})
	answer(w, http.StatusOK, out)
}

func (s *Server) recordAPI(c APICall) {
	s.apiCalls = append(s.apiCalls, c)
	if len(s.apiCalls) > mostRemembered {
		s.apiCalls = slices.Clone(s.apiCalls[len(s.apiCalls)-mostRemembered:])
	}
	s.notify()
}

// authorised does what a call asks for if its token may have it done.
func (s *Server) authorised(name, token string, given args) result {
	m, known := methods[name]
	switch {
	case !known:
		return refuse("unknown_method")
	case token == "":
		return refuse("not_authed")
	case token != s.token:
		return refuse("invalid_auth")
	case m.scope != "" && !s.scopes[m.scope]:
		return s.missing(m.scope)
	}
	return m.do(s, given)
}

// missing refuses what the token lacks a scope for.
func (s *Server) missing(scope string) result {
	r := refuse("missing_scope")
	r["needed"] = scope
	r["provided"] = strings.Join(slices.Sorted(maps.Keys(s.scopes)), ",")
	return r
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) authTest(args) result {
	return result{
		"ok": true, "url": s.URL() + "/", "team": "Sandbox", "team_id": Workspace,
		"user": "sym", "user_id": BotUser, "bot_id": BotID, "is_enterprise_install": false,
	}
}

func (s *Server) userInfo(a args) result {
	u, ok := s.users[a["user"]]
	if !ok {
		return refuse("user_not_found")
	}
	return result{"ok": true, "user": s.describe(u)}
}

func (s *Server) lookupByEmail(a args) result {
	for _, u := range s.everybody() {
		if u.Team == Workspace && !u.Deleted && u.Email != "" &&
			strings.EqualFold(u.Email, a["email"]) {
			return result{"ok": true, "user": s.describe(u)}
		}
	}
	return refuse("users_not_found")
}

// describe is an account as Slack describes it to the app. Its address is told
// only to whom that is allowed.
func (s *Server) describe(u User) map[string]any {
	profile := map[string]any{
		"real_name": u.Real, "display_name": u.Name, "team": u.Team,
	}
	if s.scopes["users:read.email"] && u.Email != "" {
		profile["email"] = u.Email
	}
	described := map[string]any{
		"id": u.ID, "team_id": u.Team, "name": u.Name, "real_name": u.Real,
		"deleted": u.Deleted, "is_bot": u.Bot, "is_app_user": false, "is_admin": false,
		"is_restricted": u.Guest, "is_ultra_restricted": false,
		"is_email_confirmed": !u.Unconfirmed && !u.Bot, "tz": "Etc/UTC", "profile": profile,
	}
	if u.Team != Workspace {
		described["is_stranger"] = true
	}
	return described
}

func (s *Server) openConversation(a args) result {
	if _, ok := s.users[a["users"]]; !ok {
		return refuse("user_not_found")
	}
	return result{"ok": true, "channel": map[string]any{"id": s.direct(a["users"]).ID}}
}
