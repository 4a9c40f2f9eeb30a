package slack

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The page is plain files: nothing is built, and nothing is fetched from elsewhere.
//
//go:embed page
var files embed.FS

// mostShown is how many messages of a channel the page shows, the latest.
const mostShown = 200

// policy lets the page run its own script and nothing else, should a message ever
// find a way to become HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// routes is everything that the stand-in serves.
func (s *Server) routes() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.api)
	mux.HandleFunc("GET /api/chat.getPermalink", func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("method", "chat.getPermalink")
		s.api(w, r)
	})
	mux.HandleFunc("POST /respond/{key}", s.respond)
	mux.HandleFunc("GET /page/events", s.events)
	mux.HandleFunc("POST /page/{act}", s.act)
	// The address of a message, as chat.getPermalink gives it.
	mux.HandleFunc("GET /archives/{channel}/{ts}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/#"+url.Values{"in": {r.PathValue("channel")}}.Encode(), http.StatusFound)
	})
	mux.Handle("GET /", http.FileServerFS(page))
	// Other pages in the same browser can neither call us, nor read us under a name
	// of theirs that leads here.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host) {
			http.Error(w, "This is for this machine alone: use "+s.URL()+".", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

// local tells whether a name in a request is this machine's. The port may be
// another where it is forwarded.
func local(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// events sends what somebody sees, now and whenever it changes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	who := r.FormValue("as")
	if _, ok := s.User(who); !ok {
		http.Error(w, fmt.Sprintf("There is nobody %q.", who), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	last := ""
	for {
		s.mu.Lock()
		changed := s.changed
		screen, err := json.Marshal(s.screen(who))
		s.mu.Unlock()
		if err != nil {
			return
		}
		if string(screen) != last {
			last = string(screen)
			if _, err := fmt.Fprintf(w, "data: %s\n\n", screen); err != nil {
				return
			}
			if flusher.Flush() != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.closing.Done():
			return
		}
	}
}

// What somebody sees.
type (
	screen struct {
		Me        string                  `json:"me"`
		Command   string                  `json:"command"`
		App       string                  `json:"app"`
		Connected bool                    `json:"connected"`
		Down      bool                    `json:"down"`
		People    []shownUser             `json:"people"`
		Channels  []shownChannel          `json:"channels"`
		Messages  map[string][]shownWords `json:"messages"`
		Modal     *shownModal             `json:"modal"`
	}
	shownUser struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Real   string `json:"real"`
		Email  string `json:"email"`
		Kind   string `json:"kind"` // what is special about the account
		Bot    bool   `json:"bot"`
		Unread int    `json:"unread"` // direct messages
	}
	shownChannel struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		With   string `json:"with"` // who a direct message is with
		Unread int    `json:"unread"`
	}
	shownWords struct {
		TS        string          `json:"ts"`
		Thread    string          `json:"thread,omitempty"`
		Broadcast bool            `json:"broadcast,omitempty"`
		User      string          `json:"user"`
		Private   bool            `json:"private,omitempty"` // only they see it
		Edited    bool            `json:"edited,omitempty"`
		Text      string          `json:"text"`
		Blocks    json.RawMessage `json:"blocks,omitempty"`
	}
	shownModal struct {
		ID      string                    `json:"id"`
		Title   string                    `json:"title"`
		Submit  string                    `json:"submit"`
		Close   string                    `json:"close"`
		Blocks  json.RawMessage           `json:"blocks"`
		Values  map[string]map[string]any `json:"values"`
		Errors  map[string]string         `json:"errors"`
		Trouble string                    `json:"trouble"`
	}
)

// screen is what somebody sees. The lock is held.
func (s *Server) screen(who string) screen {
	me, _ := s.user(who)
	out := screen{
		Me: me.ID, Command: Command, App: BotUser, Connected: s.commandsURL != "",
		Down: s.faults.down, Messages: map[string][]shownWords{},
	}
	for _, u := range s.everybody() {
		out.People = append(out.People, shownUser{
			ID: u.ID, Name: u.Name, Real: u.Real, Email: u.Email, Kind: u.kind(), Bot: u.Bot,
			Unread: s.unread(u.ID, s.direct(u.ID)),
		})
	}
	for _, c := range s.channels {
		if !c.visible(me.ID) {
			continue
		}
		shown := shownChannel{ID: c.ID, Name: c.Name, Unread: s.unread(me.ID, c)}
		if c.with != "" {
			shown.With = BotUser
		}
		words := []shownWords{}
		for _, m := range s.messages[c.ID] {
			if !m.visible(me.ID) {
				continue
			}
			words = append(words, shownWords{
				TS: m.TS, Thread: m.Thread, Broadcast: m.Broadcast, User: m.User,
				Private: m.For != "", Edited: m.Edited != "" && len(m.Blocks) == 0,
				Text: m.Text, Blocks: m.Blocks,
			})
		}
		out.Channels = append(out.Channels, shown)
		out.Messages[c.ID] = words[max(0, len(words)-mostShown):]
	}
	slices.SortFunc(out.Channels, func(a, b shownChannel) int {
		return cmp.Or(strings.Compare(a.With, b.With), strings.Compare(a.Name, b.Name))
	})
	if stack := s.stacks[me.ID]; len(stack) > 0 {
		v := stack[len(stack)-1]
		out.Modal = &shownModal{
			ID: v.ID, Title: v.Title, Submit: v.Submit, Close: v.Close, Blocks: v.Blocks,
			Values: v.Values, Errors: v.Errors, Trouble: v.Trouble,
		}
	}
	return out
}

// visible tells whether somebody sees a message, if they see its channel.
func (m *Message) visible(user string) bool {
	return !m.Deleted && (m.For == "" || m.For == user)
}

// unread is how much in a channel somebody has not seen yet. The lock is held.
func (s *Server) unread(user string, c *Channel) (n int) {
	for _, m := range s.messages[c.ID] {
		if m.visible(user) && m.User != user && m.TS > s.read[user][c.ID] {
			n++
		}
	}
	return n
}

// kind is what is special about an account, as the page says it.
func (u User) kind() string {
	switch {
	case u.Bot:
		return "bot"
	case u.Deleted:
		return "deactivated"
	case u.Team != Workspace:
		return "another workspace"
	case u.Guest:
		return "guest"
	case u.Unconfirmed:
		return "e-mail not confirmed"
	}
	return ""
}

// deed is what somebody does on the page.
type deed struct {
	As      string         `json:"as"`
	Channel string         `json:"channel"`
	TS      string         `json:"ts"`
	Text    string         `json:"text"`
	Action  string         `json:"action"`
	View    string         `json:"view"`
	Block   string         `json:"block"`
	Values  map[string]any `json:"values"` // of a modal, by block
}

// act does what somebody does on the page. What the app does wrong is said in the
// answer, and in the place where Slack says it.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	var d deed
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "The page sends JSON.", http.StatusUnsupportedMediaType)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&d); err != nil {
		http.Error(w, "This is no JSON: "+err.Error(), http.StatusBadRequest)
		return
	}
	p := s.As(d.As).In(d.Channel)
	// What was begun is done to its end, though the page may be gone.
	ctx := context.WithoutCancel(r.Context())
	var err error
	switch r.PathValue("act") {
	case "say":
		if strings.HasPrefix(d.Text, "/") {
			_, err = p.Command(ctx, d.Text)
		} else {
			err = p.Say(d.Text)
		}
	case "click":
		err = s.clicked(ctx, p, d)
	case "choose":
		if err = s.typed(p, d); err == nil {
			err = p.Choose(ctx, View{ID: d.View}, d.Block, d.Values[d.Block])
		}
	case "submit":
		_, err = p.Submit(ctx, View{ID: d.View}, d.Values)
	case "dismiss":
		err = p.Dismiss(ctx, View{ID: d.View})
	case "read":
		s.seen(d.As, d.Channel, d.TS)
	default:
		http.NotFound(w, r)
		return
	}
	out := map[string]string{}
	if err != nil {
		out["trouble"] = sentence(err)
	}
	answer(w, http.StatusOK, out)
}

// sentence is what the page says of an error.
func sentence(err error) string {
	failed, ok := asAppError(err)
	switch {
	case !ok:
		return "This did not work: " + err.Error() + "."
	case failed.Status > 0:
		return fmt.Sprintf("This app responded with status code %d.", failed.Status)
	case failed.Code == "operation_timeout":
		return "This app did not respond in time."
	default:
		return "This app could not be reached."
	}
}

// clicked clicks in a message as it is on the page.
func (s *Server) clicked(ctx context.Context, p Person, d deed) error {
	s.mu.Lock()
	m := s.find(d.Channel, d.TS)
	if m == nil {
		s.mu.Unlock()
		return fmt.Errorf("the message is gone")
	}
	now := s.snapshot(m)
	s.mu.Unlock()
	return p.Click(ctx, now, d.Action)
}

// typed keeps what stands in a modal on the page.
func (s *Server) typed(p Person, d deed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, v, err := p.open(View{ID: d.View})
	if err != nil {
		return err
	}
	return s.putAll(v, d.Values, false)
}

// seen notes how far somebody has read a channel.
func (s *Server) seen(user, channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read[user] == nil {
		s.read[user] = map[string]string{}
	}
	if ts > s.read[user][channel] {
		s.read[user][channel] = ts
		s.notify()
	}
}
