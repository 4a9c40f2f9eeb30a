package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	exampledb "sym-postgres-quickstart/modules/example-db"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

const password = "s3cret"

// servers has one server of every version, and server is the newest.
var (
	servers []*pgserver.Server
	server  *pgserver.Server
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		ctx := context.Background()
		installations, missing := tools.Servers(ctx)
		if missing != nil {
			fmt.Fprintln(os.Stderr, missing)
		}
		for _, installation := range installations {
			started, err := pgserver.Start(ctx, pgserver.Config{Binaries: installation.Binaries})
			if err == nil {
				defer started.Stop()
				err = prepare(ctx, started)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			servers = append(servers, started)
		}
		if len(servers) == 0 {
			fmt.Fprintln(os.Stderr, "These tests need a PostgreSQL server on this machine.")
			return 1
		}
		server = servers[0]
		return m.Run()
	}())
}

// prepare makes the example database, as its owner would.
func prepare(ctx context.Context, server *pgserver.Server) error {
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	setup, err := database.Script(postgreslambda.Setup, map[string]string{
		"broker": "sym_broker", "roles": "readonly,readwrite"})
	if err != nil {
		return err
	}
	seed, err := database.Script(exampledb.Seed, nil)
	if err != nil {
		return err
	}
	for _, script := range []string{seed, setup, "ALTER ROLE sym_broker PASSWORD 's3cret'; " +
		"ALTER ROLE alice PASSWORD 's3cret'; ALTER ROLE bob PASSWORD 's3cret'"} {
		if _, err := conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

func environment(changes map[string]string) func(string) string {
	variables := map[string]string{
		"PG_HOST": "127.0.0.1", "PG_PORT": strconv.Itoa(server.Port), "PG_USER": "sym_broker",
		"PG_PASSWORD": password, "PG_SSLMODE": "disable", "PG_ROLES": "readonly, superb",
		"PG_MAX_DURATION": "3600",
	}
	for name, value := range changes {
		variables[name] = value
	}
	return func(name string) string { return variables[name] }
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// payload is an event of the original's schema; changes are made to its text.
func payload(t *testing.T, run string, replacements ...string) []byte {
	t.Helper()
	text, err := os.ReadFile("../internal/event/testdata/escalate-v6.json")
	require.NoError(t, err)
	replacements = append(replacements, "8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01", run)
	return []byte(strings.NewReplacer(replacements...).Replace(string(text)))
}

func invoke(t *testing.T, h lambda.Handler, payload []byte) (event.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	raw, err := h.Invoke(ctx, payload)
	var answer event.Answer
	if err == nil {
		require.NoError(t, json.Unmarshal(raw, &answer))
	}
	return answer, err
}

func body[T any](t *testing.T, answer event.Answer) (body T) {
	t.Helper()
	require.Empty(t, answer.Errors)
	require.NoError(t, json.Unmarshal(answer.Body, &body))
	return body
}

func aliceReads(t *testing.T) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URLFor("alice", password, "postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "SELECT * FROM orders")
	return err == nil
}

func TestEventsOfTheOriginalSchema(t *testing.T) {
	h := newHandler(environment(nil), quiet())
	run := uuid.NewString()
	require.False(t, aliceReads(t))

	answer, err := invoke(t, h, payload(t, run))
	require.NoError(t, err)
	escalated := body[event.Escalated](t, answer)
	assert.Equal(t, "alice", escalated.User)
	assert.Equal(t, "readonly", escalated.Role)
	assert.Equal(t, 30*time.Minute, escalated.ExpiresAt.Sub(escalated.GrantedAt))
	require.True(t, aliceReads(t))

	answer, err = invoke(t, h, []byte(`{"type":"status"}`))
	require.NoError(t, err)
	require.Len(t, body[event.Status](t, answer).Active, 1)
	answer, err = invoke(t, h, []byte(`{"type":"sweep"}`))
	require.NoError(t, err)
	assert.Empty(t, body[event.Swept](t, answer).Revoked)

	// The deescalate needs the run only: the role may have left the allow-list, and the
	// rest of the event may be anything.
	h = newHandler(environment(map[string]string{"PG_ROLES": ""}), quiet())
	answer, err = invoke(t, h, []byte(fmt.Sprintf(
		`{"type":"event","event":{"type":"deescalate"},"run":{"srn":%q},"fields":[]}`,
		escalated.Run)))
	require.NoError(t, err)
	assert.True(t, body[event.Deescalated](t, answer).Changed)
	require.False(t, aliceReads(t))
}

func TestWithoutADurationTheMostIsGiven(t *testing.T) {
	h := newHandler(environment(nil), quiet())
	run := uuid.NewString()
	answer, err := invoke(t, h, payload(t, run, `"duration": 1800`, `"more": 1`))
	require.NoError(t, err)
	escalated := body[event.Escalated](t, answer)
	assert.Equal(t, time.Hour, escalated.ExpiresAt.Sub(escalated.GrantedAt))
	_, err = invoke(t, h, payload(t, run, `"type": "escalate"`, `"type": "deescalate"`))
	require.NoError(t, err)
}

// TestRefusals is the table of what is refused. The codes are written out, since callers
// compare them: a code that changes here breaks somebody.
func TestRefusals(t *testing.T) {
	const role, user = "postgres-readonly", "alice@"
	long := strings.Repeat("a", 64)
	tests := map[string]struct {
		code    string
		changes []string
	}{
		"not JSON":     {"malformed_event", []string{`"type"`, `type`}},
		"no requester": {"malformed_event", []string{`"request"`, `"asker"`}},
		"no e-mail":    {"malformed_event", []string{"alice@example.com", "alice"}},
		"too long":     {"invalid_duration", []string{"1800", "3601"}},
		"no time":      {"invalid_duration", []string{"1800", "0"}},

		"role outside of the allow-list": {"role_not_allowed", []string{role, "postgres-readwrite"}},
		"role of another case":           {"role_not_allowed", []string{role, "postgres-ReadOnly"}},
		"role with a space after it":     {"role_not_allowed", []string{role, "postgres-readonly "}},
		"role of the server":             {"role_not_allowed", []string{role, "postgres-pg_monitor"}},
		"role with SQL in it":            {"role_not_allowed", []string{role, `postgres-x\"; DROP`}},
		"role name too long":             {"invalid_name", []string{role, "postgres-" + long}},
		"role name with a NUL":           {"invalid_name", []string{role, `postgres-read\u0000only`}},
		"role that does not exist":       {"unknown_role", []string{role, "postgres-superb"}},
		"role unknown to setup.sql":      {"role_not_granted", []string{role, "postgres-not set up"}},
		"role that is dangerous":         {"dangerous_role", []string{role, "postgres-pg_read_server_files"}},
		"role that leads to danger":      {"dangerous_role", []string{role, "postgres-inner"}},
		"role that leads to it later":    {"dangerous_role", []string{role, "postgres-outer"}},
		"role that is a superuser":       {"dangerous_role", []string{role, "postgres-postgres"}},
		"role that is the broker":        {"dangerous_role", []string{role, "postgres-sym_broker"}},

		"user unknown":           {"unknown_user", []string{user, "zoe@"}},
		"user of another case":   {"unknown_user", []string{user, "CAROL@"}},
		"user with quotes":       {"unknown_user", []string{user, `o'brien\"@`}},
		"user with spaces":       {"unknown_user", []string{user, "al ice@"}},
		"user in other letters":  {"malformed_event", []string{user, "аlice@"}}, // The first is Cyrillic.
		"user with SQL in it":    {"unknown_user", []string{user, "a; DROP ROLE alice; @"}},
		"user name too long":     {"invalid_name", []string{user, long + "@"}},
		"user name long in é":    {"malformed_event", []string{user, strings.Repeat("é", 32) + "@"}},
		"user name with a NUL":   {"malformed_event", []string{user, `ali\u0000ce@`}},
		"user is the broker":     {"user_refused", []string{user, "sym-broker@"}},
		"user is the master":     {"user_refused", []string{user, "postgres@"}},
		"user administers RDS":   {"user_refused", []string{user, "rdsadmin@"}},
		"user is a group":        {"user_refused", []string{user, "readwrite@"}},
		"user of another person": {"user_taken", []string{user, "bob@"}},
		"role that has the user": {"circular_role", []string{role, "postgres-team"}},
	}
	for _, server := range servers {
		t.Run(strconv.Itoa(server.Major), func(t *testing.T) {
			conn, err := pgx.Connect(t.Context(), server.URL())
			require.NoError(t, err)
			defer conn.Close(context.Background())
			_, err = conn.PgConn().Exec(t.Context(), `
				CREATE ROLE "not set up"; CREATE ROLE "Carol" LOGIN; CREATE ROLE rdsadmin LOGIN;
				CREATE ROLE "inner"; GRANT pg_write_server_files TO "inner";
				CREATE ROLE "outer"; GRANT "inner" TO "outer";
				CREATE ROLE team; GRANT team TO sym_broker WITH ADMIN OPTION; GRANT alice TO team;
				INSERT INTO sym.users VALUES ('bob', 'robert@example.com')`).ReadAll()
			require.NoError(t, err)
			defer func() {
				_, err = conn.PgConn().Exec(context.Background(), `DROP ROLE "not set up", "Carol",
					rdsadmin, "outer", "inner", team; DELETE FROM sym.users`).ReadAll()
				assert.NoError(t, err)
			}()
			h := newHandler(environment(map[string]string{
				"PG_PORT": strconv.Itoa(server.Port),
				"PG_ROLES": "readonly,superb,not set up,pg_read_server_files,inner,outer,postgres," +
					"sym_broker,team",
			}), quiet())
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					answer, err := invoke(t, h, payload(t, uuid.NewString(), test.changes...))
					require.NoError(t, err, "what cannot succeed is no function error")
					refusal := answer.Refusal()
					require.NotNil(t, refusal, string(answer.Body))
					assert.Equal(t, test.code, string(refusal.Code), refusal.Message)
					// A sentence for Slack.
					assert.Regexp(t, `^[A-Z"].*\.$`, refusal.Message)
				})
			}
			var changed int
			require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_auth_members
				WHERE grantor = 'sym_broker'::regrole`).Scan(&changed))
			require.Zero(t, changed)
		})
	}
	require.False(t, aliceReads(t))
}

func TestPeopleAndUsers(t *testing.T) {
	for _, usernames := range []string{`{"Someone@Example.com":"bob"}`} {
		h := newHandler(environment(map[string]string{"PG_USERNAMES": usernames}), quiet())
		run := uuid.NewString()
		answer, err := invoke(t, h, payload(t, run, "alice@example.com", "someone@example.com"))
		require.NoError(t, err)
		assert.Equal(t, "bob", body[event.Escalated](t, answer).User)
		// The real bob cannot have the user any more.
		answer, err = invoke(t, h, payload(t, uuid.NewString(), "alice@", "bob@"))
		require.NoError(t, err)
		assert.Equal(t, event.UserTaken, answer.Refusal().Code)
		_, err = invoke(t, h, payload(t, run, `"type": "escalate"`, `"type": "deescalate"`))
		require.NoError(t, err)
	}
	h := newHandler(environment(map[string]string{"PG_USERNAME_FROM": "email"}), quiet())
	answer, err := invoke(t, h, payload(t, uuid.NewString()))
	require.NoError(t, err)
	assert.Contains(t, answer.Refusal().Message, `"alice@example.com"`)
}

func TestFunctionErrorsHaveStableTypes(t *testing.T) {
	for want, changes := range map[string]map[string]string{
		"DatabaseUnavailable":    {"PG_PORT": "1"},
		"CredentialsUnavailable": {"PG_PASSWORD": "s3cret but wrong"},
		"ConfigurationInvalid":   {"PG_HOST": ""},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := invoke(t, newHandler(environment(changes), quiet()),
				payload(t, uuid.NewString()))
			require.Error(t, err)
			assert.Equal(t, want, reflect.TypeOf(err).Name())
			assert.NotContains(t, err.Error(), password)
		})
	}
}

func TestLocalAnswersAsLambdaWould(t *testing.T) {
	var out bytes.Buffer
	run := func(h lambda.Handler, in io.Reader) int {
		out.Reset()
		return local(t.Context(), h, in, &out)
	}
	h := newHandler(environment(nil), quiet())
	assert.Equal(t, 0, run(h, strings.NewReader(`{"type":"sweep"}`)))
	assert.JSONEq(t, `{"body":{"revoked":[],"failed":[],"repaired":[],"drift":[]},
		"errors":[]}`, out.String())
	assert.Equal(t, 0, run(h, strings.NewReader(`{}`)))
	assert.Contains(t, out.String(), `"malformed_event"`)
	h = newHandler(environment(map[string]string{"PG_PORT": "1"}), quiet())
	assert.Equal(t, 1, run(h, strings.NewReader(`{"type":"sweep"}`)))
	assert.Contains(t, out.String(), `"errorType":"DatabaseUnavailable"`)
}

func TestDeadlineHasAMargin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	with, cancelWith := withMargin(ctx)
	defer cancelWith()
	outer, _ := ctx.Deadline()
	inner, ok := with.Deadline()
	require.True(t, ok)
	assert.InDelta(t, time.Second, outer.Sub(inner), float64(10*time.Millisecond))
}
