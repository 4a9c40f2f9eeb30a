package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// The people of the story, and what it is about.
const (
	asks     = "alice@example.com"
	approves = "bob@example.com"
	user     = "alice"
	target   = "postgres-readonly"
	reason   = "Order 3 was charged twice, says the customer"
	grant    = 6 * time.Second
	query    = "SELECT count(*) FROM orders"
)

// patience is how long the story waits for anything that ought to happen.
const patience = 60 * time.Second

// tell tells one request from start to finish, and answers an error at the
// first thing that is not as it should be.
func tell(ctx context.Context, n *narrator, box *sandbox.Sandbox, d sandbox.Deployment) error {
	defer box.Subscribe(func(event any) { report(n, d, event) })()
	passwords, err := box.UserPasswords(ctx, d.Database)
	if err != nil {
		return err
	}
	db := database{box: box, d: d.Database, password: passwords[user]}
	alice, err := box.Person(ctx, d, asks)
	if err != nil {
		return err
	}
	bob, err := box.Person(ctx, d, approves)
	if err != nil {
		return err
	}

	version, err := db.version(ctx)
	if err != nil {
		return err
	}
	n.say("The database is a PostgreSQL %s of this machine, in place of Aurora's.", version)

	n.chapter("Before")
	if err := db.refuses(ctx, n, "In a session of her own, "+user); err != nil {
		return err
	}

	n.chapter("The request")
	request, err := alice.Ask(ctx, d.Flow, target, reason, grant)
	if err != nil {
		return fmt.Errorf("%s could not ask: %w", asks, err)
	}
	n.say("%s asks for %s for %.0f seconds: %q", asks, target, grant.Seconds(), reason)
	n.say("Request %s is %s. Nothing has changed in the database.", request.ID, request.State)
	var refused *sandbox.APIError
	if _, err := alice.Approve(ctx, request.ID); !errors.As(err, &refused) {
		return fmt.Errorf("%s could approve their own request", asks)
	}
	n.say("%s tries to approve it herself and is refused:\n%s", asks, refused.Message)

	n.chapter("The approval, and the chain of roles to the database")
	if _, err := bob.Approve(ctx, request.ID); err != nil {
		return fmt.Errorf("%s could not approve: %w", approves, err)
	}
	n.say("%s approves it.", approves)
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if request, err = bob.Await(waiting, request.ID, "active"); err != nil {
		return err
	}
	n.say("The request is active until %s.", clock(request.ExpiresAt))

	n.chapter("While it lasts")
	session, err := db.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }()
	rows, err := count(ctx, session)
	if err != nil {
		return fmt.Errorf("%s holds the role and cannot read: %w", user, err)
	}
	n.say("%s: %s → %d. She keeps this session open.", user, query, rows)

	n.chapter("The expiry")
	if err := awaitEnd(ctx, n, bob, request); err != nil {
		return err
	}
	if _, err := count(ctx, session); err == nil {
		return fmt.Errorf("%s can still read in the session that she kept open", user)
	}
	n.say("The session that %s kept open is of no use any more.", user)
	if err := db.refuses(ctx, n, "In a fresh session, "+user); err != nil {
		return err
	}
	return recount(ctx, n, bob, request.ID)
}

// awaitEnd counts down to the expiry and waits until the role is gone.
func awaitEnd(ctx context.Context, n *narrator, who sandbox.Person, request sandbox.Request) error {
	waiting, cancel := context.WithTimeout(ctx, time.Until(request.ExpiresAt)+patience)
	defer cancel()
	if n.live {
		go func() {
			ticks := time.NewTicker(time.Second)
			defer ticks.Stop()
			for left := time.Until(request.ExpiresAt); left > 0; left = time.Until(request.ExpiresAt) {
				n.progress("%.0f s left", left.Seconds())
				select {
				case <-waiting.Done():
					return
				case <-ticks.C:
				}
			}
		}()
	}
	ended, err := who.Await(waiting, request.ID, "done")
	if err != nil {
		return err
	}
	n.say("The request is %s.", ended.State)
	return nil
}

// recount prints the audit trail.
func recount(ctx context.Context, n *narrator, who sandbox.Person, id string) error {
	request, err := who.Show(ctx, id)
	if err != nil {
		return err
	}
	n.chapter("What the audit trail says")
	for _, r := range request.Audit {
		because := ""
		if r.Reason != "" {
			because = ", " + r.Reason
		}
		n.text(fmt.Sprintf("  %s  %-9s  by %s (%s%s)\n", clock(r.At), r.To, r.By, r.Rule, because))
	}
	n.text("\n")
	return nil
}

// report tells a hop of the chain, or what the Postgres function answered.
func report(n *narrator, d sandbox.Deployment, event any) {
	switch e := event.(type) {
	case front.Assumption:
		with := "no external id is asked for"
		if e.ExternalID != "" {
			with = "with the external id " + e.ExternalID[:8] + "…"
		}
		if e.Refused != "" {
			n.say("%s was refused %s: %s", short(e.Caller.ARN), short(e.RoleARN), e.Refused)
			return
		}
		n.say("%s assumed %s (%s)", short(e.Caller.ARN), short(e.RoleARN), with)
	case front.Invocation:
		if e.FunctionARN != d.PostgresFunction {
			return
		}
		var order struct {
			Type  string
			Event struct{ Type string }
		}
		_ = json.Unmarshal(e.Payload, &order)
		if order.Type == "event" {
			order.Type = order.Event.Type
		}
		caller := e.Caller.Service
		if caller == "" {
			caller = short(e.Caller.ARN)
		}
		n.say("%s invoked %s: %s\n%s", caller, short(e.FunctionARN), order.Type, e.Answer)
	}
}

// short is the last name in an ARN: a role's, a function's, or the role of a
// session.
func short(arn string) string {
	resource := arn[strings.LastIndex(arn, ":")+1:]
	parts := strings.Split(resource, "/")
	if strings.HasPrefix(resource, "assumed-role/") {
		return parts[1]
	}
	return parts[len(parts)-1]
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// database is the example database as the user of the story sees it.
type database struct {
	box      *sandbox.Sandbox
	d        sandbox.Database
	password string
}

func (db database) open(ctx context.Context) (*pgx.Conn, error) {
	return db.box.Connect(ctx, db.d, user, db.password)
}

func (db database) version(ctx context.Context) (version string, err error) {
	session, err := db.open(ctx)
	if err != nil {
		return "", err
	}
	defer session.Close(context.WithoutCancel(ctx))
	return session.PgConn().ParameterStatus("server_version"), nil
}

// refuses asks the database and expects PostgreSQL to refuse it.
func (db database) refuses(ctx context.Context, n *narrator, who string) error {
	session, err := db.open(ctx)
	if err != nil {
		return err
	}
	defer session.Close(context.WithoutCancel(ctx))
	rows, err := count(ctx, session)
	var refused *pgconn.PgError
	if err == nil {
		return fmt.Errorf("%s can read without the role: %s answered %d", user, query, rows)
	}
	if !errors.As(err, &refused) || refused.Code != "42501" {
		return fmt.Errorf("%s should have been refused, but this happened: %w", user, err)
	}
	n.say("%s: %s → %s", who, query, refused.Message)
	return nil
}

func count(ctx context.Context, session *pgx.Conn) (rows int, err error) {
	return rows, session.QueryRow(ctx, query).Scan(&rows)
}
