package slack

import (
	"cmp"
	"slices"
	"strings"
)

// User is an account.
type User struct {
	ID    string
	Name  string // what follows the @
	Real  string // what people are called
	Email string
	// Team is the workspace that the account is of; empty is this one.
	Team string
	// Unconfirmed is an address that nobody has proved to be theirs.
	Unconfirmed bool
	// Guest is somebody from outside who may see some channels.
	Guest bool
	Bot   bool
	// Deleted is an account that has been deactivated.
	Deleted bool
}

// The people of every stand-in.
const (
	Alice       = "U0ALICE"
	Bob         = "U0BOB"
	Carol       = "U0CAROL"
	Guest       = "U0GUEST"
	Unconfirmed = "U0NEW"
	OtherBot    = "U0ROBOT"
	Stranger    = "U0STRANGER" // from another workspace, in a channel that both share
)

// The channels of every stand-in.
const (
	Requests = "#access-requests"
	Errors   = "#sym-errors"
	General  = "#general"
)

// settle puts the people and channels there.
func (s *Server) settle() {
	for _, u := range []User{
		{ID: Alice, Name: "alice", Real: "Alice Archer", Email: "alice@example.com"},
		{ID: Bob, Name: "bob", Real: "Bob Baker", Email: "bob@example.com"},
		{ID: Carol, Name: "carol", Real: "Carol Cooper", Email: "carol@example.com"},
		{ID: Guest, Name: "gus", Real: "Gus Guest", Email: "gus@example.com", Guest: true},
		{ID: Unconfirmed, Name: "nell", Real: "Nell New", Email: "nell@example.com",
			Unconfirmed: true},
		{ID: OtherBot, Name: "robot", Real: "Robot", Email: "robot@example.com", Bot: true},
		{ID: Stranger, Name: "sam", Real: "Sam Stranger", Email: "sam@example.org",
			Team: elsewhere},
		{ID: BotUser, Name: "sym", Real: "Sym", Bot: true},
		{ID: slackbot, Name: "slackbot", Real: "Slackbot", Bot: true},
	} {
		s.AddUser(u)
	}
	for _, name := range []string{General, Requests, Errors} {
		s.AddChannel(Channel{Name: name})
	}
}

// AddUser adds an account, or changes the one with its id. It makes up the id and
// the names if they are empty.
func (s *Server) AddUser(u User) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == "" {
		u.ID = s.id("U")
	}
	if u.Name == "" {
		u.Name, _, _ = strings.Cut(u.Email, "@")
	}
	u.Real = cmp.Or(u.Real, u.Name)
	u.Team = cmp.Or(u.Team, Workspace)
	s.users[u.ID] = u
	s.notify()
	return u
}

// User finds an account by its id, name or e-mail address.
func (s *Server) User(who string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user(who)
}

func (s *Server) user(who string) (User, bool) {
	if u, ok := s.users[who]; ok {
		return u, true
	}
	for _, u := range s.everybody() {
		if strings.EqualFold(u.Email, who) && who != "" || u.Name == strings.TrimPrefix(who, "@") {
			return u, true
		}
	}
	return User{}, false
}

// everybody is all accounts, in the order of their ids.
func (s *Server) everybody() []User {
	all := make([]User, 0, len(s.users))
	for _, u := range s.users {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Channel is a place for messages.
type Channel struct {
	ID   string
	Name string // with its #; empty for a direct message
	// Private is a channel that the app has not been invited to, so that it does
	// not even see that it is there.
	Private  bool
	Archived bool

	with string // the other one of a direct message with the app
}

// AddChannel adds a channel, or changes the one of its name, and returns its id.
func (s *Server) AddChannel(c Channel) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Name = "#" + strings.TrimPrefix(c.Name, "#")
	if known := s.channel(c.Name); known != nil {
		c.ID = known.ID
	}
	if c.ID == "" {
		c.ID = s.id("C")
	}
	s.channels[c.ID] = &c
	s.notify()
	return c.ID
}

// channel finds a channel by its id or by its name, with or without #. The lock is
// held.
func (s *Server) channel(which string) *Channel {
	if c, ok := s.channels[which]; ok {
		return c
	}
	for _, c := range s.channels {
		if c.Name != "" && c.Name == "#"+strings.TrimPrefix(which, "#") {
			return c
		}
	}
	return nil
}

// direct is the conversation between the app and somebody. It is opened if it is
// not there. The lock is held.
func (s *Server) direct(user string) *Channel {
	for _, c := range s.channels {
		if c.with == user {
			return c
		}
	}
	c := &Channel{ID: s.id("D"), with: user}
	s.channels[c.ID] = c
	return c
}

// visible tells whether somebody sees a channel.
func (c *Channel) visible(user string) bool { return c.with == "" || c.with == user }
