package test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// The roles that the example database has, as targets and in PostgreSQL, and
// who may approve.
const (
	readOnly     = "postgres-readonly"
	readOnlyRole = "readonly"
	approver     = "bob@example.com"

	query = "SELECT count(*) FROM orders"
)

// patience is how long a story waits for what ought to happen. It bounds a
// failure, and no success depends on it.
const patience = 90 * time.Second

// longEnough is how long a role is granted for where a story does something while it is held.
// Even on a busy machine that happens before the role expires.
const longEnough = 20 * time.Second

// world is one deployment, which the stories share.
type world struct {
	box        *sandbox.Sandbox
	deployment sandbox.Deployment

	buildClient sync.Once
	clientPath  string
}

// engineer is a person with a database user of their own, so that stories can
// be told beside each other.
type engineer struct {
	sandbox.Person
	world          *world
	user, password string
}

// engineer makes a person, the database user that their address maps to, and an
// account in Slack.
func (w *world) engineer(t *testing.T) engineer {
	t.Helper()
	name := "e-" + strings.ToLower(rand.Text()[:10])
	e := engineer{
		Person: w.person(t, name+"@example.com"), world: w,
		user: strings.ReplaceAll(name, "-", "_"), password: rand.Text(),
	}
	w.box.Slack.AddUser(slack.User{Name: name, Email: e.Email})
	user := pgx.Identifier{e.user}.Sanitize()
	w.asMaster(t, "CREATE ROLE "+user+" LOGIN PASSWORD '"+e.password+"'")
	t.Cleanup(func() { w.asMaster(t, "DROP ROLE "+user) })
	return e
}

// asMaster runs a statement as the database's owner.
func (w *world) asMaster(t *testing.T, statement string) {
	t.Helper()
	// Also at a test's end, where its own context is over.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := w.box.Master(ctx, w.deployment.Database)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	require.NoError(t, err)
}

// person signs somebody in.
func (w *world) person(t *testing.T, email string) sandbox.Person {
	t.Helper()
	p, err := w.box.Person(t.Context(), w.deployment, email)
	require.NoError(t, err)
	return p
}

// approver is somebody on the flow's list.
func (w *world) approver(t *testing.T) sandbox.Person {
	t.Helper()
	return w.person(t, approver)
}

// asks asks for the read-only role.
func (e engineer) asks(t *testing.T, d time.Duration) sandbox.Request {
	t.Helper()
	r, err := e.Ask(t.Context(), e.world.deployment.Flow, readOnly, "To see "+t.Name(), d)
	require.NoError(t, err)
	require.Equal(t, "requested", r.State)
	return r
}

// session opens a session of the engineer's.
func (e engineer) session(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := e.world.box.Connect(t.Context(), e.world.deployment.Database, e.user, e.password)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// canRead asserts that the engineer can read in a session, and in a fresh one.
func (e engineer) canRead(t *testing.T, open *pgx.Conn) {
	t.Helper()
	for _, session := range []*pgx.Conn{open, e.session(t)} {
		_, err := session.Exec(t.Context(), query)
		require.NoError(t, err, "%s holds the role and reads", e.user)
	}
}

// cannotRead asserts that the engineer can read neither in a fresh session nor
// in one that was opened before, which may have been ended.
func (e engineer) cannotRead(t *testing.T, open *pgx.Conn) {
	t.Helper()
	_, err := e.session(t).Exec(t.Context(), query)
	requireSQLState(t, err, "42501")
	if open == nil {
		return
	}
	_, err = open.Exec(t.Context(), query)
	require.Error(t, err, "%s reads on in an open session", e.user)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		// Insufficient privilege, or terminated by administrator command.
		require.Contains(t, []string{"42501", "57P01"}, refused.Code)
	}
}

func requireSQLState(t *testing.T, err error, code string) {
	t.Helper()
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code, refused.Message)
}

// requireCode asserts that the API refused with a code.
func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *sandbox.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code, refused.Message)
	require.Equal(t, status, refused.Status, refused.Message)
	require.NotEmpty(t, refused.Message)
}

// await waits until a request is in a state.
func await(t *testing.T, who sandbox.Person, id, state string) sandbox.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := who.Await(ctx, id, state)
	require.NoError(t, err)
	return r
}

// requireStory asserts which states a request has been in, by its audit trail.
func requireStory(t *testing.T, who sandbox.Person, id string, states ...string) sandbox.Request {
	t.Helper()
	r, err := who.Show(t.Context(), id)
	require.NoError(t, err)
	var been []string
	for _, record := range r.Audit {
		been = append(been, record.To)
		require.NotEmpty(t, record.By)
		require.NotEmpty(t, record.Rule)
		require.NotZero(t, record.At)
	}
	require.Equal(t, states, been)
	return r
}

// assume answers a configuration with the credentials of a role. An external id
// of "" is none.
func assume(t *testing.T, from aws.Config, role, externalID string) (aws.Config, error) {
	t.Helper()
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(from), role,
		func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "story"
			if externalID != "" {
				o.ExternalID = &externalID
			}
		})
	keys, err := provider.Retrieve(t.Context())
	to := from.Copy()
	to.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return keys, nil
	})
	return to, err
}

// answer is what the Postgres function answers.
type answer struct {
	Body struct {
		Code    string `json:"code"`
		User    string `json:"user"`
		Role    string `json:"role"`
		Changed bool   `json:"changed"`
	} `json:"body"`
	Errors []string `json:"errors"`
}

// invoke hands the Postgres function an event.
func (w *world) invoke(t *testing.T, as aws.Config, event any) answer {
	t.Helper()
	payload, ok := event.([]byte)
	if !ok {
		var err error
		payload, err = json.Marshal(event)
		require.NoError(t, err)
	}
	out, err := lambda.NewFromConfig(as).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: &w.deployment.PostgresFunction, Payload: payload,
	})
	require.NoError(t, err)
	require.Nil(t, out.FunctionError, string(out.Payload))
	var a answer
	require.NoError(t, json.Unmarshal(out.Payload, &a), string(out.Payload))
	return a
}

// sweeps answers a channel that takes what every sweep from now on answers.
func (w *world) sweeps(t *testing.T) <-chan string {
	t.Helper()
	answers := make(chan string, 100)
	t.Cleanup(w.box.Subscribe(func(event any) {
		i, ok := event.(front.Invocation)
		if !ok || i.FunctionARN != w.deployment.PostgresFunction ||
			i.Caller.Service != "scheduler.amazonaws.com" {
			return
		}
		select {
		case answers <- string(i.Answer):
		default:
		}
	}))
	return answers
}

// outside is the configuration of somebody in another account.
func (w *world) outside(account string) aws.Config {
	return w.box.Config(w.box.Administrator(account))
}

// keepLogs says where the logs of a sandbox are that will be gone, and prints
// the end of each.
func keepLogs(t *testing.T, box *sandbox.Sandbox) {
	t.Helper()
	logs, _ := filepath.Glob(filepath.Join(box.Dir, "logs", "*.log"))
	for _, path := range append(logs, filepath.Join(box.Dir, "sandbox.log")) {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "level=DEBUG") })
		t.Logf("The end of %s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}
