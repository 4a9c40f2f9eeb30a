// Package slack stands in for Slack on one machine: a workspace with people,
// channels, direct messages, threads and modals, the part of Slack's Web API that
// the Runtime calls, Slack's signed calls to the Runtime, and a page on which a
// person reads and clicks.
//
// It refuses what Slack would refuse, in Slack's words, as far as Slack documents
// it (https://docs.slack.dev/reference). It knows the blocks that the Runtime uses
// and their neighbours: anything else is refused as well, so that nothing passes
// here by not being looked at.
package slack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The workspace, the app in it, and its command.
const (
	Workspace = "T0SANDBOX"
	AppID     = "A0SYM"
	BotID     = "B0SYM"
	BotUser   = "U0SYMBOT"
	Command   = "/sym"

	workspaceDomain = "sandbox"
	elsewhere       = "T0ELSEWHERE" // another workspace
	slackbot        = "USLACKBOT"
)

// Scopes are what the app's token may do unless [Server.SetScopes] says otherwise.
var Scopes = []string{"chat:write", "chat:write.public", "commands", "users:read",
	"users:read.email"}

// How long Slack waits for the app, and what it gives out is good for.
// See https://docs.slack.dev/interactivity/handling-user-interaction.
const (
	replyWithin    = 3 * time.Second
	triggerFor     = 3 * time.Second
	respondFor     = 30 * time.Minute
	mostResponses  = 5
	mostViews      = 3   // on top of each other
	mostRemembered = 500 // calls of the app and to it
)

// Options change how the stand-in behaves. The zero value is Slack.
type Options struct {
	// Now is the clock that signatures and everything that runs out go by.
	Now func() time.Time
	// ReplyWithin is how long the app may take to answer; 3 seconds if it is zero.
	ReplyWithin time.Duration
}

// Server is a running stand-in. Close stops it.
type Server struct {
	now         func() time.Time
	replyWithin time.Duration
	listener    net.Listener
	server      *http.Server
	client      *http.Client
	closing     context.Context
	close       context.CancelFunc

	mu              sync.Mutex
	changed         chan struct{} // closed, and made anew, at every change
	token           string
	signingSecret   string
	scopes          map[string]bool
	commandsURL     string
	interactionsURL string
	serial          int // of everything that gets an id
	lastTS          int64
	users           map[string]User
	channels        map[string]*Channel
	messages        map[string][]*Message // by channel, in their order
	stacks          map[string][]*View    // by user; the last is on top
	triggers        map[string]*trigger
	responses       map[string]*responding
	faults          faults
	read            map[string]map[string]string // by user and channel: the last that was read
	apiCalls        []APICall
	calls           []*Call
}

// Start starts a stand-in on a free port of this machine, with its people and
// channels.
func Start(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the Slack stand-in cannot start: %w", err)
	}
	s := &Server{
		now: o.Now, replyWithin: o.ReplyWithin, listener: listener,
		changed: make(chan struct{}), users: map[string]User{},
		channels: map[string]*Channel{}, messages: map[string][]*Message{},
		stacks: map[string][]*View{}, triggers: map[string]*trigger{},
		responses: map[string]*responding{}, read: map[string]map[string]string{},
		client: &http.Client{
			// Slack follows no redirects of an app's, and reuses no connection for us
			// to be wrong about.
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
			Transport: &http.Transport{DisableKeepAlives: true},
		},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.replyWithin == 0 {
		s.replyWithin = replyWithin
	}
	s.closing, s.close = context.WithCancel(context.Background())
	s.Rotate()
	s.SetScopes(Scopes...)
	s.settle()
	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Close stops the stand-in, and every wait for it.
func (s *Server) Close() error {
	s.close()
	if err := s.server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the Slack stand-in cannot be stopped: %w", err)
	}
	return nil
}

// URL is the address of the page.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// APIURL is the address of the Web API, for SLACK_API_URL.
func (s *Server) APIURL() string { return s.URL() + "/api/" }

// Connect says where the app is to be called: for its command, and for clicks and
// modals.
func (s *Server) Connect(commandsURL, interactionsURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commandsURL, s.interactionsURL = commandsURL, interactionsURL
	s.notify()
}

// Token is the app's token, for the shared secret.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// SigningSecret is what Slack signs its calls with, for the shared secret.
func (s *Server) SigningSecret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signingSecret
}

// Rotate makes a new token and a new signing secret. The old ones are of no use
// from now on.
func (s *Server) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = "xoxb-sandbox-" + rand.Text()
	s.signingSecret = strings.ToLower(rand.Text())
}

// SetScopes says what the token may do from now on.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = map[string]bool{}
	for _, scope := range scopes {
		s.scopes[scope] = true
	}
}

// notify wakes whoever waits for a change. The lock is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// id makes a new id with a prefix. The lock is held.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s0%06d", prefix, s.serial)
}

// ts is the time stamp of a new message, which is its id in its channel. The lock
// is held.
func (s *Server) ts() string {
	s.lastTS = max(s.lastTS+1, s.now().UnixMicro())
	return fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
}
