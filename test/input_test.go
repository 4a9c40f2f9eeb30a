package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func notATarget(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	for _, role := range []string{"rds_superuser", "postgres-rds-superuser", "pg_read_all_data", ""} {
		_, err := e.Ask(t.Context(), w.deployment.Flow, role, "Just curious", time.Minute)
		requireCode(t, err, 400, "unknown_target")
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
	_, err = w.approver(t).Approve(t.Context(), uuid.NewString())
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
