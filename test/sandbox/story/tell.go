package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// The people of the story, and what it is about.
const (
	asks     = "alice@example.com"
	approves = "bob@example.com"
	user     = "alice"
	target   = "postgres-readonly"
	reason   = "Order 3 was charged twice, says the customer"
	query    = "SELECT count(*) FROM orders"

	// grant is the shortest that Slack's modal offers, in seconds.
	grant = "15"

	// approveButton is the action id of the button in the channel's message.
	approveButton = "sym_approve"
)

// patience is how long the story waits for anything that ought to happen.
const patience = 60 * time.Second

// story is one request, with everything that it takes to tell it.
type story struct {
	*narrator
	box    *sandbox.Sandbox
	d      sandbox.Deployment
	db     database
	client string // the command-line client's path
	alice  sandbox.Person
	bob    sandbox.Person
	id     string // of the request, once there is one
}

// tell tells one request from start to finish, and answers an error at the
// first thing that is not as it should be.
func tell(ctx context.Context, n *narrator, box *sandbox.Sandbox, d sandbox.Deployment, client string) error {
	defer box.Subscribe(func(event any) { report(n, d, event) })()
	s := &story{narrator: n, box: box, d: d, client: client}
	for _, part := range []func(context.Context) error{
		s.enter, s.before, s.request, s.approval, s.whileItLasts, s.after,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// enter signs everybody in.
func (s *story) enter(ctx context.Context) error {
	passwords, err := s.box.UserPasswords(ctx, s.d.Database)
	if err != nil {
		return err
	}
	s.db = database{box: s.box, d: s.d.Database, password: passwords[user]}
	if s.alice, err = s.box.Person(ctx, s.d, asks); err != nil {
		return err
	}
	if s.bob, err = s.box.Person(ctx, s.d, approves); err != nil {
		return err
	}
	version, err := s.db.version(ctx)
	if err != nil {
		return err
	}
	s.say("The database is a PostgreSQL %s of this machine, in place of Aurora's.", version)
	s.say("Slack is a stand-in on this machine. Watch it in a browser: %s", s.box.Slack.URL())
	return nil
}

func (s *story) before(ctx context.Context) error {
	s.chapter("Before")
	return s.db.refuses(ctx, s.narrator, "In a session of her own, "+user)
}

// request is asked in Slack, and cannot be approved by who asked it.
func (s *story) request(ctx context.Context) error {
	s.chapter("The request, in Slack")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	alice := s.box.Slack.As(slack.Alice).In(slack.Requests)
	s.say("alice types /sym req %s, and fills in what she is asked:", s.d.Flow)
	if _, err := alice.Command(ctx, "/sym req "+s.d.Flow); err != nil {
		return fmt.Errorf("/sym req: %w", err)
	}
	modal, err := s.box.Slack.WaitModal(ctx, slack.Alice, func(slack.View) bool { return true })
	if err != nil {
		return err
	}
	answers := map[string]any{"For how long": grant, "Reason": reason}
	if refused, err := alice.Submit(ctx, modal, answers); err != nil || len(refused) > 0 {
		return fmt.Errorf("the modal was not taken: %v %w", refused, err)
	}
	s.say("Read only, for %s seconds: %q", grant, reason)
	message, err := s.channel(ctx, "Waits for approval")
	if err != nil {
		return err
	}
	s.quote(slack.Requests, message.Shown)

	s.say("She clicks Approve herself, and is told:")
	if err := alice.Click(ctx, message, approveButton); err != nil {
		return err
	}
	told, err := s.box.Slack.WaitWhisper(ctx, slack.Alice, slack.Says("another person"))
	if err != nil {
		return fmt.Errorf("%s could approve her own request: %w", asks, err)
	}
	s.quote("only alice sees this", told.Shown)
	mine, err := s.alice.List(ctx, "requester="+url.QueryEscape(asks)+"&state=requested")
	if err != nil || len(mine) != 1 {
		return fmt.Errorf("the API lists %d requests of %s that wait: %w", len(mine), asks, err)
	}
	s.id = mine[0].ID
	return nil
}

// approval is a click of somebody else's; what follows is the chain of roles.
func (s *story) approval(ctx context.Context) error {
	s.chapter("The approval, and the chain of roles to the database")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	message, err := s.channel(ctx, "Waits for approval")
	if err != nil {
		return err
	}
	s.say("bob clicks Approve.")
	if err := s.box.Slack.As(slack.Bob).Click(ctx, message, approveButton); err != nil {
		return err
	}
	active, err := s.box.Slack.WaitDM(ctx, slack.Alice, slack.Says("Active"))
	if err != nil {
		return err
	}
	s.quote("to alice", active.Shown)
	return nil
}

// whileItLasts reads in the database, and looks with the command-line client.
func (s *story) whileItLasts(ctx context.Context) error {
	s.chapter("While it lasts, in the database and in a terminal")
	session, err := s.db.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }()
	rows, err := count(ctx, session)
	if err != nil {
		return fmt.Errorf("%s holds the role and cannot read: %w", user, err)
	}
	s.say("%s: %s → %d. She keeps this session open.", user, query, rows)
	if err := s.run(ctx, "bob", s.bob, "list", "--state", "active"); err != nil {
		return err
	}

	s.chapter("The expiry")
	if err := s.awaitEnd(ctx); err != nil {
		return err
	}
	if _, err := count(ctx, session); err == nil {
		return fmt.Errorf("%s can still read in the session that she kept open", user)
	}
	s.say("The session that %s kept open is of no use any more.", user)
	return s.db.refuses(ctx, s.narrator, "In a fresh session, "+user)
}

// after looks back: in Slack, in the terminal, and by the API.
func (s *story) after(ctx context.Context) error {
	s.chapter("What is left of it")
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	message, err := s.channel(waiting, "Ended")
	if err != nil {
		return err
	}
	s.say("The message in Slack, the same one as before:")
	s.quote(slack.Requests, message.Shown)
	if err := s.run(ctx, "alice", s.alice, "show", s.id); err != nil {
		return err
	}
	r, err := s.bob.Show(ctx, s.id)
	if err != nil {
		return err
	}
	moment := r.GrantedAt.Add(r.DoneAt.Sub(r.GrantedAt) / 2).UTC()
	ask := "held_at=" + moment.Format(time.RFC3339)
	held, err := s.bob.List(ctx, ask)
	if err != nil {
		return err
	}
	if len(held) != 1 || held[0].ID != s.id {
		return errors.New("the API does not know who held a role while " + asks + " did")
	}
	s.say("An auditor asks the API: GET /requests?%s\n→ %s held %s, by the request %s", ask,
		held[0].Requester, held[0].Target, held[0].ID)
	return nil
}

// channel waits for the request's message to say something.
func (s *story) channel(ctx context.Context, words ...string) (slack.Message, error) {
	return s.box.Slack.WaitMessage(ctx, slack.Requests, slack.Says(append(words, asks, reason)...))
}

// quote shows what somebody reads in Slack.
func (s *story) quote(where, text string) {
	var quoted strings.Builder
	fmt.Fprintf(&quoted, "             ┌ %s\n", where)
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fmt.Fprintf(&quoted, "             │ %s\n", line)
	}
	s.text(quoted.String())
}

// awaitEnd counts down to the expiry and waits until the role is gone.
func (s *story) awaitEnd(ctx context.Context) error {
	r, err := s.bob.Show(ctx, s.id)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Until(r.ExpiresAt)+patience)
	defer cancel()
	if s.live {
		go func() {
			ticks := time.NewTicker(time.Second)
			defer ticks.Stop()
			for left := time.Until(r.ExpiresAt); left > 0; left = time.Until(r.ExpiresAt) {
				s.progress("%.0f s left", left.Seconds())
				select {
				case <-waiting.Done():
					return
				case <-ticks.C:
				}
			}
		}()
	}
	if _, err = s.bob.Await(waiting, s.id, "done"); err != nil {
		return err
	}
	told, err := s.box.Slack.WaitDM(waiting, slack.Alice, slack.Says("Ended"))
	if err != nil {
		return err
	}
	s.quote("to alice", told.Shown)
	return nil
}
