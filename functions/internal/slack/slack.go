// Package slack is where people meet the Runtime in Slack: the command /sym, the messages in a
// flow's channel with their buttons, the modals, and the direct messages to who asked. It knows
// Slack's calls and blocks; what may be done stands in the package request, and who may do it is
// asked there at every click.
package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// Service is what people can do with requests. [request.Service] is one.
type Service interface {
	Offered(ctx context.Context) ([]request.Flow, error)
	Check(ctx context.Context, person string, sub request.Submission) error
	Submit(ctx context.Context, person string, sub request.Submission) (request.Request, error)
	CheckExtension(ctx context.Context, person, id string, e request.Extension) error
	Extend(ctx context.Context, person, id string, e request.Extension) (request.Request, error)
	Approve(ctx context.Context, person, id, reason string) (request.Request, error)
	Deny(ctx context.Context, person, id, reason string) (request.Request, error)
	Revoke(ctx context.Context, person, id, reason string) (request.Request, error)
	Review(ctx context.Context, person, id, note string) (request.Request, error)
	Show(ctx context.Context, id string) (request.Story, error)
	CheckDenial(ctx context.Context, person, id string) error
	CheckReview(ctx context.Context, person, id string) error
}

// Store remembers what was posted, so that nothing is posted twice.
type Store interface {
	// SlackMessage is where a request's message is; empty where there is none yet.
	SlackMessage(ctx context.Context, requestID string) (channel, ts string, err error)
	SaveSlackMessage(ctx context.Context, requestID, channel, ts string) error

	// AddSlackCopy keeps where a direct message with buttons is, and of which kind, so that it can
	// lose them; SlackCopies lists the kind, the channel and the time stamp of each.
	AddSlackCopy(ctx context.Context, requestID, kind, channel, ts string) error
	SlackCopies(ctx context.Context, requestID string) ([][3]string, error)

	// Noted tells whether something was noted about a request; Note does so, and tells whether
	// it is new.
	Noted(ctx context.Context, requestID, name string) (bool, error)
	Note(ctx context.Context, requestID, name string) (first bool, err error)

	// LastFailure is the last failure of a request's workflow; zero where there is none.
	LastFailure(ctx context.Context, id string) (request.Failure, error)

	// Open lists open requests, the one that is due first before the others.
	Open(ctx context.Context, limit int) ([]request.Request, error)
}

// Secrets gives what Slack has given us.
type Secrets interface {
	// Slack returns the bot's token and the signing secret, from a cache. Where they have not
	// been put into the secret yet they are empty.
	Slack(ctx context.Context) (token, signingSecret string, err error)

	// Refresh forgets what is cached: Slack does not accept it any more.
	Refresh(ctx context.Context)
}

// Later does work after the reply: it gives the payload back to this function, in an invocation
// of its own.
type Later interface {
	Do(ctx context.Context, payload any) error
}

// Step is the step of the payloads that the Runtime gives to [Handler.Later].
const Step = "slack"

// Settings are what Terraform says of Slack.
type Settings struct {
	Workspace    string            // the id of the only workspace that is heard, T…
	ErrorChannel string            // where trouble is posted; empty for nowhere
	Users        map[string]string // see [ParseUsers]; they go before what Slack says
	APIURL       string            // in place of Slack's own, as https://slack.com/api/
}

// Parts are what the adapter works with.
type Parts struct {
	Service Service
	Store   Store
	Secrets Secrets
	Later   Later
	Report  func(context.Context, request.Trouble) // tells a human; nil is nobody
	Now     func() time.Time
	Log     *slog.Logger
}

// Slack is the adapter, by what the Runtime uses it for.
type Slack struct {
	Handler   *Handler
	Sink      *Sink
	Reminders *Reminders
	Poster    *Poster
}

// New makes the adapter. It fails where the settings make no sense.
func New(s Settings, p Parts) (*Slack, error) {
	if s.Workspace == "" {
		return nil, fmt.Errorf("the id of the Slack workspace is empty")
	}
	people := newPeople(s, p)
	if p.Report == nil {
		p.Report = func(context.Context, request.Trouble) {}
	}
	people.client = newClient(s.APIURL, p.Secrets)
	d := desk{Settings: s, Parts: p, client: people.client, people: people}
	return &Slack{
		Handler: &Handler{desk: d}, Sink: &Sink{desk: d}, Reminders: &Reminders{desk: d},
		Poster: &Poster{desk: d},
	}, nil
}

// Later does what a person has asked for in Slack, after the reply; see [Handler.Later].
func (s *Slack) Later(ctx context.Context, payload json.RawMessage) error {
	return s.Handler.Later(ctx, payload)
}

// Remind says what the passing of time brings; see [Reminders.Run].
func (s *Slack) Remind(ctx context.Context, now time.Time) error {
	return s.Reminders.Run(ctx, now)
}

// desk is what the parts of the adapter share.
type desk struct {
	Settings
	Parts
	client *client
	people *people
}

// ParseUsers reads the table of people whose Slack accounts are not matched by e-mail: a JSON
// object of e-mail addresses by Slack's user ids. Empty is none.
//
// Its error joins one for each entry that cannot be used; the table is good without these. The
// account of such an entry has an empty address, so that it belongs to no person, whatever Slack
// says.
func ParseUsers(document string) (map[string]string, error) {
	if document == "" {
		return nil, nil
	}
	var entries map[string]any
	if err := json.Unmarshal([]byte(document), &entries); err != nil {
		return nil, fmt.Errorf("it is no JSON object of e-mail addresses by Slack's user ids: %w",
			err)
	}
	users := map[string]string{}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		email, _ := entries[id].(string)
		switch {
		case !looksLikeUser.MatchString(id):
			errs = append(errs, fmt.Errorf("%q is no user id of Slack's, such as U012AB3CD", id))
			continue
		case !request.IsEmail(email):
			errs = append(errs, fmt.Errorf("%q, for the Slack user %s, is no e-mail address in ASCII",
				fmt.Sprint(entries[id]), id))
			email = ""
		}
		users[id] = email
	}
	return users, errors.Join(errs...)
}
