package test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/front"
)

// stories are told beside each other, each with an engineer of its own.
var stories = map[string]func(*testing.T, *world){
	"approved and expired":                          approvedAndExpired,
	"denied":                                        denied,
	"nobody answers in time":                        nobodyAnswers,
	"revoked early by the requester":                revokedEarly,
	"a role that is not a target":                   notATarget,
	"self-approval is refused":                      selfApproval,
	"approved by someone not on the list":           notOnTheList,
	"Runtime Connector asks for the external id":    runtimeConnector,
	"Lambda Connector trusts the Runtime Connector": lambdaConnector,
	"an outside platform walks the same chain":      outsidePlatform,
	"the sweep alone takes back":                    sweepAlone,
	"bad requests change nothing":                   badRequests,
	"bad events change nothing":                     badEvents,
	"a decision on what is decided":                 decidedAlready,
	"a caller without a name":                       nameless,
	"a forged token is nobody's login":              forgedToken,
}

func approvedAndExpired(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	e.cannotRead(t, session)

	// Asking changes nothing in the database.
	r := e.asks(t, 6*time.Second)
	e.cannotRead(t, session)

	// An approval gives the role, in sessions that are open already, too.
	_, err := w.approver().Approve(t.Context(), r.ID)
	require.NoError(t, err)
	r = await(t, e.Person, r.ID, "active")
	_, err = session.Exec(t.Context(), "SET ROLE "+readOnlyRole)
	require.NoError(t, err)
	e.canRead(t, session)
	require.WithinDuration(t, time.Now().Add(6*time.Second), r.ExpiresAt, 6*time.Second)

	// When the time is up it is gone, even where somebody had set the role.
	await(t, e.Person, r.ID, "done")
	require.True(t, time.Now().After(r.ExpiresAt.Add(-time.Second)), "not before its time")
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")
}

func denied(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	r, err := w.approver().Deny(t.Context(), r.ID, "Not on a Friday")
	require.NoError(t, err)
	require.Equal(t, "denied", r.State)

	// The reason is in the record, and nothing was ever granted.
	r = requireStory(t, e.Person, r.ID, "requested", "denied")
	require.Equal(t, "Not on a Friday", r.Audit[1].Reason)
	require.Equal(t, approver, r.Audit[1].By)
	w.requireEnded(t, r.ID)
	e.cannotRead(t, session)
}

func nobodyAnswers(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	flow := w.hurriedFlow(t, 3*time.Second)
	r, err := e.Ask(t.Context(), flow, flow+"-readonly", "Is anybody there?", time.Minute)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "expired")
	e.cannotRead(t, session)

	// Too late is too late.
	_, err = w.approver().Approve(t.Context(), r.ID)
	requireCode(t, err, 409, "already_decided")
	w.requireEnded(t, r.ID)
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested", "expired")
}

func revokedEarly(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, 30*time.Minute)
	_, err := w.approver().Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// Long before its time, the requester has had enough.
	_, err = e.Revoke(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)
	r = requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")
	require.Equal(t, e.Email, r.Audit[3].By)
}

func notATarget(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	for _, role := range []string{"rds_superuser", "postgres-rds-superuser", "pg_read_all_data", ""} {
		_, err := e.Ask(t.Context(), w.deployment.Flow, role, "Just curious", time.Minute)
		requireCode(t, err, 400, "unknown_target")
	}
	e.cannotRead(t, session)
}

func selfApproval(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	_, err := e.Approve(t.Context(), r.ID)
	requireCode(t, err, 403, "self_approval")

	// Nor may an approver, of their own request.
	bob := w.approver()
	own, err := bob.Ask(t.Context(), w.deployment.Flow, readOnly, "I know best", time.Minute)
	require.NoError(t, err)
	_, err = bob.Approve(t.Context(), own.ID)
	requireCode(t, err, 403, "self_approval")

	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested")
}

func notOnTheList(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	stranger := w.box.Person(w.deployment, "mallory@example.com")
	_, err := stranger.Approve(t.Context(), r.ID)
	requireCode(t, err, 403, "not_an_approver")
	_, err = stranger.Deny(t.Context(), r.ID, "no")
	requireCode(t, err, 403, "not_an_approver")
	_, err = stranger.Revoke(t.Context(), r.ID)
	require.Error(t, err)
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested")
}

func runtimeConnector(t *testing.T, w *world) {
	d := w.deployment
	platform := w.outside(outsideAccount)
	_, err := assume(t, platform, d.RuntimeConnector, d.ExternalID)
	require.NoError(t, err, "with the external id the outside platform may")

	for name, who := range map[string]aws.Config{
		"the outside platform":              platform,
		"a stranger":                        w.outside(strangerAccount),
		"the account's own administrator":   w.box.Config(w.box.Admin),
		"somebody who signed in to approve": w.box.Config(w.approver().Keys),
	} {
		_, err = assume(t, who, d.RuntimeConnector, "")
		require.ErrorContains(t, err, "AccessDenied", "%s without the external id", name)
		_, err = assume(t, who, d.RuntimeConnector, uuid.NewString())
		require.ErrorContains(t, err, "AccessDenied", "%s with a wrong external id", name)
	}
	// To know the external id is not enough.
	_, err = assume(t, w.outside(strangerAccount), d.RuntimeConnector, d.ExternalID)
	require.ErrorContains(t, err, "AccessDenied")
	_, err = assume(t, w.box.Config(w.box.Admin), d.RuntimeConnector, d.ExternalID)
	require.ErrorContains(t, err, "AccessDenied")
}

func lambdaConnector(t *testing.T, w *world) {
	d := w.deployment
	for name, who := range map[string]aws.Config{
		"the outside platform":              w.outside(outsideAccount),
		"a stranger":                        w.outside(strangerAccount),
		"the account's own administrator":   w.box.Config(w.box.Admin),
		"somebody who signed in to approve": w.box.Config(w.approver().Keys),
	} {
		_, err := assume(t, who, d.LambdaConnector, d.ExternalID)
		require.ErrorContains(t, err, "AccessDenied", name)
	}
	connector, err := assume(t, w.outside(outsideAccount), d.RuntimeConnector, d.ExternalID)
	require.NoError(t, err)
	_, err = assume(t, connector, d.LambdaConnector, "")
	require.NoError(t, err, "the Runtime Connector may")
}

func outsidePlatform(t *testing.T, w *world) {
	d := w.deployment
	e := w.engineer(t)
	session := e.session(t)
	platform, err := assume(t, w.outside(outsideAccount), d.RuntimeConnector, d.ExternalID)
	require.NoError(t, err)
	platform, err = assume(t, platform, d.LambdaConnector, "")
	require.NoError(t, err)

	// The role is not in the settings: it is what follows the flow's name.
	run := "acme:run:postgres:1.0.0:" + uuid.NewString()
	event := func(kind string) map[string]any {
		return originalEvent(kind, run, e.Email, d.PostgresFunction)
	}
	a := w.invoke(t, platform, event("escalate"))
	require.Empty(t, a.Errors)
	require.Equal(t, readOnlyRole, a.Body.Role)
	require.Equal(t, e.user, a.Body.User)
	require.True(t, a.Body.Changed)
	e.canRead(t, session)

	// Said twice is granted once.
	a = w.invoke(t, platform, event("escalate"))
	require.Empty(t, a.Errors)
	require.False(t, a.Body.Changed)

	a = w.invoke(t, platform, event("deescalate"))
	require.Empty(t, a.Errors)
	e.cannotRead(t, session)

	// What has ended stays ended.
	a = w.invoke(t, platform, event("escalate"))
	require.Equal(t, "run_ended", a.Body.Code)
	e.cannotRead(t, session)
}

// originalEvent is an event as the original platform sends it, in version 6 of
// its schema.
func originalEvent(kind, run, email, function string) map[string]any {
	actor := func(email string) map[string]any {
		return map[string]any{
			"user": "acme:user:normal:x:latest", "name": "X", "username": email,
			"identity": map[string]any{"service": "slack", "external_id": "T1", "user_id": "U1"},
		}
	}
	return map[string]any{
		"id":    uuid.NewString(),
		"meta":  map[string]any{"schema_version": 6},
		"state": map[string]any{"status": "pending", "errors": []string{}},
		"run": map[string]any{
			"srn": run, "parent": "acme:run:select:1.0.0:" + uuid.NewString(),
			"flow":   "acme:flow:postgres:1.0.0",
			"actors": map[string]any{"prompt": actor(email), "request": actor(email), "approve": actor(approver)},
		},
		"event": map[string]any{
			"srn": "sym:event-spec:approval:1.0.0:" + kind, "type": kind, "channel": "slack",
			"template": "sym:template:approval:1.0.0", "timestamp": "2022-05-10T14:47:29.442289",
		},
		"actor": actor(approver),
		"fields": map[string]any{
			"target_id": uuid.NewString(), "reason": "Order 4711", "duration": 1800,
			"target": map[string]any{
				"name": readOnly, "srn": "acme:target:lambda:postgres-readonly:1.0.0",
				"type": "aws_lambda_function", "label": "Read only",
				"settings": map[string]any{"arn": function},
			},
		},
		"type": "event",
	}
}

func sweepAlone(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	sweeps := w.sweeps(t)
	r := e.asks(t, 10*time.Second)
	_, err := w.approver().Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// Somebody stops the execution by hand. Nothing of the workflow is left.
	_, err = sfn.NewFromConfig(w.box.Config(w.box.Admin)).StopExecution(t.Context(), &sfn.StopExecutionInput{
		ExecutionArn: aws.String(w.execution(r.ID)), Cause: aws.String("A mistake"),
	})
	require.NoError(t, err)

	// The database's own function takes the role back all the same.
	deadline := time.After(3 * time.Minute)
	for swept := ""; !strings.Contains(swept, r.ID); {
		select {
		case swept = <-sweeps:
		case <-deadline:
			t.Fatal("no sweep took the grant back")
		}
	}
	e.cannotRead(t, session)
}

func badRequests(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	body := func(changes map[string]any) string {
		b := map[string]any{"flow": w.deployment.Flow, "target": readOnly, "reason": "x", "duration": 60}
		for name, value := range changes {
			if value == nil {
				delete(b, name)
			} else {
				b[name] = value
			}
		}
		data, err := json.Marshal(b)
		require.NoError(t, err)
		return string(data)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"unknown flow":          {body(map[string]any{"flow": "mysql"}), 400, "unknown_flow"},
		"unknown target":        {body(map[string]any{"target": "root"}), 400, "unknown_target"},
		"no reason":             {body(map[string]any{"reason": nil}), 400, "missing_reason"},
		"an empty reason":       {body(map[string]any{"reason": " \n"}), 400, "missing_reason"},
		"no time at all":        {body(map[string]any{"duration": 0}), 400, "invalid_duration"},
		"a negative duration":   {body(map[string]any{"duration": -1}), 400, "invalid_duration"},
		"half a second":         {body(map[string]any{"duration": 0.5}), 400, "invalid_duration"},
		"not a number":          {body(map[string]any{"duration": "long"}), 400, "invalid_duration"},
		"above the maximum":     {body(map[string]any{"duration": 3601}), 400, "duration_too_long"},
		"out of every range":    {`{"flow":"postgres","target":"readonly","reason":"x","duration":1e99}`, 400, "invalid_duration"},
		"not JSON":              {"flow=postgres", 400, "invalid_json"},
		"nothing":               {"", 400, "invalid_json"},
		"a list":                {"[]", 400, "invalid_json"},
		"a name of a requester": {body(map[string]any{"requester": approver}), 400, "unknown_field"},
		"over 64 KiB":           {body(map[string]any{"reason": strings.Repeat("x", 64<<10)}), 413, "body_too_large"},
	} {
		_, err := e.Call(t.Context(), "POST", "/requests", []byte(c.body))
		t.Log(name)
		requireCode(t, err, c.status, c.code)
	}
	_, err := e.Call(t.Context(), "GET", "/requests/"+uuid.NewString(), nil)
	requireCode(t, err, 404, "not_found")
	_, err = w.approver().Approve(t.Context(), uuid.NewString())
	requireCode(t, err, 404, "not_found")

	// Nothing of it has left a request behind, or a role.
	data, err := e.Call(t.Context(), "GET", "/requests?limit=100", nil)
	require.NoError(t, err)
	require.NotContains(t, string(data), e.Email)
	e.cannotRead(t, session)
}

func badEvents(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	connector, err := assume(t, w.outside(outsideAccount), w.deployment.RuntimeConnector, w.deployment.ExternalID)
	require.NoError(t, err)
	connector, err = assume(t, connector, w.deployment.LambdaConnector, "")
	require.NoError(t, err)

	event := func(change func(event, fields, settings map[string]any)) map[string]any {
		original := originalEvent("escalate", "acme:run:postgres:1.0.0:"+uuid.NewString(), e.Email, w.deployment.PostgresFunction)
		fields := original["fields"].(map[string]any)
		change(original, fields, fields["target"].(map[string]any)["settings"].(map[string]any))
		return original
	}
	for name, c := range map[string]struct {
		event any
		code  string
	}{
		"a list":            {[]byte(`[]`), "malformed_event"},
		"nothing in it":     {[]byte(`{}`), "malformed_event"},
		"an unknown type":   {[]byte(`{"type":"dance"}`), "malformed_event"},
		"no run":            {event(func(e, _, _ map[string]any) { delete(e, "run") }), "malformed_event"},
		"no requester":      {event(func(e, _, _ map[string]any) { e["run"].(map[string]any)["actors"] = nil }), "malformed_event"},
		"no target":         {event(func(_, f, _ map[string]any) { delete(f, "target") }), "malformed_event"},
		"a role not listed": {event(func(_, _, s map[string]any) { s["role_name"] = "rds_superuser" }), "role_not_allowed"},
		"a negative time":   {event(func(_, f, _ map[string]any) { f["duration"] = -5 }), "invalid_duration"},
	} {
		a := w.invoke(t, connector, c.event)
		require.Len(t, a.Errors, 1, name)
		require.NotEmpty(t, a.Errors[0], name)
		require.Equal(t, c.code, a.Body.Code, "%s: %s", name, a.Errors[0])
	}
	e.cannotRead(t, session)
}

func decidedAlready(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	carol := w.box.Person(w.deployment, "carol@example.com")
	r := e.asks(t, time.Minute)
	_, err := w.approver().Deny(t.Context(), r.ID, "")
	require.NoError(t, err)
	_, err = carol.Approve(t.Context(), r.ID)
	requireCode(t, err, 409, "already_decided")
	_, err = carol.Deny(t.Context(), r.ID, "me too")
	requireCode(t, err, 409, "already_decided")
	_, err = e.Revoke(t.Context(), r.ID)
	requireCode(t, err, 409, "not_active")
	requireStory(t, e.Person, r.ID, "requested", "denied")
	e.cannotRead(t, session)
}

func nameless(t *testing.T, w *world) {
	// The administrator's keys are nobody's in particular.
	admin := w.approver()
	admin.Keys = w.box.Admin
	_, err := admin.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "unknown_caller")

	// Keys that are not the sandbox's do not even get that far.
	forged := w.approver()
	forged.Keys.SecretAccessKey = "guessed"
	_, err = forged.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "")
}

func forgedToken(t *testing.T, w *world) {
	db := w.deployment.Database
	login := func(keys aws.Credentials, tokenFor, user string) error {
		token, err := auth.BuildAuthToken(t.Context(), fmt.Sprintf("%s:%d", db.Host, db.Port), front.Region,
			tokenFor, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }))
		require.NoError(t, err)
		conn, err := w.box.Connect(t.Context(), db, user, token)
		if err == nil {
			require.NoError(t, conn.Close(t.Context()))
		}
		return err
	}
	forged := w.box.Admin
	forged.SecretAccessKey = "guessed"
	require.NoError(t, login(w.box.Admin, "sym_broker", "sym_broker"), "a token of rds-db:connect lets the broker in")
	requireSQLState(t, login(forged, "sym_broker", "sym_broker"), "28000")
	requireSQLState(t, login(w.box.Admin, "alice", "sym_broker"), "28000")
	// Who is not in rds_iam has a password, and no token helps.
	requireSQLState(t, login(w.box.Admin, "alice", "alice"), "28P01")
}

// execution is the ARN of a request's execution.
func (w *world) execution(id string) string {
	return strings.Replace(w.deployment.StateMachine, ":stateMachine:", ":execution:", 1) + ":" + id
}

// requireEnded asserts that a request's execution comes to a good end.
func (w *world) requireEnded(t *testing.T, id string) {
	t.Helper()
	client := sfn.NewFromConfig(w.box.Config(w.box.Admin))
	require.Eventually(t, func() bool {
		out, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{
			ExecutionArn: aws.String(w.execution(id)),
		})
		return err == nil && out.Status == "SUCCEEDED"
	}, patience, 100*time.Millisecond, "the execution of %s ends", id)
}

// hurriedFlow writes a second flow beside the deployed one, the same but that
// it waits only so long for a decision. It is gone when the test ends.
func (w *world) hurriedFlow(t *testing.T, timeout time.Duration) (name string) {
	t.Helper()
	name = "hurried"
	base := "/sym/sandbox/flows/"
	client := ssm.NewFromConfig(w.box.Config(w.box.Admin))
	for from, to := range map[string]string{
		w.deployment.Flow:                          name,
		w.deployment.Flow + "/targets/" + readOnly: name + "/targets/" + name + "-readonly",
	} {
		out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(base + from)})
		require.NoError(t, err)
		var document map[string]any
		require.NoError(t, json.Unmarshal([]byte(*out.Parameter.Value), &document))
		document["name"] = to[strings.LastIndex(to, "/")+1:]
		if _, isFlow := document["approval_timeout_seconds"]; isFlow {
			document["approval_timeout_seconds"] = int(timeout.Seconds())
		}
		data, err := json.Marshal(document)
		require.NoError(t, err)
		_, err = client.PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: aws.String(base + to), Value: aws.String(string(data)), Type: types.ParameterTypeString,
		})
		require.NoError(t, err)
		t.Cleanup(func() {
			// The test's own context is over by now.
			_, err := client.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: aws.String(base + to)})
			require.NoError(t, err)
		})
	}
	return name
}
