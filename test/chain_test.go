package test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/front"
)

func runtimeConnector(t *testing.T, w *world) {
	d := w.deployment
	platform := w.outside(outsideAccount)
	_, err := assume(t, platform, d.RuntimeConnector, d.ExternalID)
	require.NoError(t, err, "with the external id the outside platform may")

	for name, who := range map[string]aws.Config{
		"the outside platform":              platform,
		"a stranger":                        w.outside(strangerAccount),
		"the account's own administrator":   w.box.Config(w.box.Admin),
		"somebody who signed in to approve": w.box.Config(w.approver(t).Keys),
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
		"somebody who signed in to approve": w.box.Config(w.approver(t).Keys),
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
			"target_id": uuid.NewString(), "reason": "Order 4711", "duration": 600,
			"target": map[string]any{
				"name": readOnly, "srn": "acme:target:lambda:postgres-readonly:1.0.0",
				"type": "aws_lambda_function", "label": "Read only",
				"settings": map[string]any{"arn": function},
			},
		},
		"type": "event",
	}
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
