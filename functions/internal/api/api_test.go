package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/api"
	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

// desk is an API with everything behind it in the test's hands.
type desk struct {
	*api.API
	store     *requesttest.Memory
	workflows *requesttest.Workflows
}

func newDesk(t *testing.T) desk {
	t.Helper()
	callers, err := identity.New("111122223333", "", iamRoles{})
	require.NoError(t, err)
	d := desk{store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows()}
	log := slog.New(slog.DiscardHandler)
	d.API = &api.API{
		Callers: callers, Log: log,
		Service: &request.Service{
			Store: d.store, Workflows: d.workflows, Now: requesttest.NewClock().Now, Log: log,
			NewID: func() string { return "request-1" },
			Flows: requesttest.Flows{{
				Name: "postgres", Label: "Postgres access", StateMachineARN: "arn:machine",
				LambdaConnector: "arn:connector", Approvers: []string{"bob@example.com"},
				ApprovalTimeout: time.Hour,
				Targets: []request.Target{{
					Name: "postgres-readonly", Label: "Read only", Type: "postgres",
					RoleName: "readonly", FunctionARN: "arn:function",
					DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour,
				}},
			}},
		},
	}
	return d
}

// iamRoles stands in for IAM: it has one role of Identity Center's, and may be out of order.
type iamRoles struct{ err error }

func (r iamRoles) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (
	*iam.GetRoleOutput, error,
) {
	return &iam.GetRoleOutput{Role: &types.Role{
		RoleName: in.RoleName, RoleId: aws.String("AROADEV"),
		Path: aws.String("/aws-reserved/sso.amazonaws.com/"),
	}}, r.err
}

// as makes a call that a person signed, in the form that API Gateway gives it.
func as(person, method, path, body string) events.APIGatewayV2HTTPRequest {
	event := events.APIGatewayV2HTTPRequest{RawPath: path, Body: body}
	event.RequestContext.Stage = "$default"
	event.RequestContext.RequestID = "call-1"
	event.RequestContext.HTTP.Method = method
	event.RequestContext.Authorizer =
		&events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{
				UserARN: "arn:aws:sts::111122223333:assumed-role/" +
					"AWSReservedSSO_Dev_0123456789abcdef/" + person + "@example.com",
				UserID: "AROADEV:" + person + "@example.com",
			},
		}
	return event
}

func (d desk) call(t *testing.T, event events.APIGatewayV2HTTPRequest) (int, string) {
	t.Helper()
	response := d.Handle(t.Context(), event)
	assert.Equal(t, "application/json; charset=utf-8", response.Headers["Content-Type"])
	assert.True(t, json.Valid([]byte(response.Body)), response.Body)
	return response.StatusCode, response.Body
}

const good = `{"flow":"postgres","target":"readonly","reason":"Look at <order> 4711"}`

// TestStory asks, looks, approves and looks again, through the API alone.
func TestStory(t *testing.T) {
	d := newDesk(t)
	status, body := d.call(t, as("Alice", "POST", "/requests", good))
	require.Equal(t, http.StatusCreated, status, body)
	assert.JSONEq(t, `{"id":"request-1","flow":"postgres","target":"postgres-readonly",
		"target_label":"Read only","role":"readonly","requester":"alice@example.com",
		"reason":"Look at <order> 4711","duration":1800,"state":"requested",
		"created_at":"2026-03-03T14:00:00.123Z","updated_at":"2026-03-03T14:00:00.123Z",
		"decide_by":"2026-03-03T15:00:00.123Z"}`, body)

	status, body = d.call(t, as("bob", "POST", "/requests/request-1/approve", `{"reason":"ok"}`))
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, `"state":"approved"`)
	status, _ = d.call(t, as("bob", "POST", "/requests/request-1/approve", ""))
	assert.Equal(t, http.StatusOK, status, "a repetition, with no body")

	status, body = d.call(t, as("carol", "GET", "/requests/request-1", ""))
	require.Equal(t, http.StatusOK, status)
	var story struct {
		Decision struct{ By, Reason, Rule string }
		Audit    []struct{ From, To, By, Rule, Reason, At string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &story))
	assert.Equal(t, "bob@example.com", story.Decision.By)
	require.Len(t, story.Audit, 2)
	assert.Equal(t, "requested", story.Audit[1].From)
	assert.Equal(t, "approved", story.Audit[1].To)
	assert.Equal(t, "approver", story.Audit[1].Rule)
	assert.Equal(t, "ok", story.Audit[1].Reason)
	assert.NotContains(t, body, "arn:", "ARNs stay inside")

	status, body = d.call(t, as("carol", "GET", "/requests", ""))
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"id":"request-1"`)
	event := as("carol", "GET", "/requests", "")
	event.QueryStringParameters = map[string]string{"state": "denied", "limit": "10"}
	_, body = d.call(t, event)
	assert.JSONEq(t, `{"requests":[]}`, body)

	status, body = d.call(t, as("carol", "GET", "/flows", ""))
	require.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"flows":[{"name":"postgres","label":"Postgres access",
		"approvers":["bob@example.com"],"allow_self_approval":false,"approval_timeout":3600,
		"targets":[{"name":"postgres-readonly","label":"Read only","type":"postgres",
		"role":"readonly","default_duration":1800,"max_duration":3600}]}]}`, body)
}

// TestRefusals has every kind of bad call: each gets its own code, and changes nothing.
func TestRefusals(t *testing.T) {
	unsigned := as("alice", "GET", "/flows", "")
	unsigned.RequestContext.Authorizer = nil
	stranger := as("alice", "POST", "/requests", good)
	stranger.RequestContext.Authorizer.IAM.UserARN =
		"arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com"
	former := as("alice", "POST", "/requests", good)
	former.RequestContext.Authorizer.IAM.UserID = "AROAOTHER:alice@example.com"
	encoded := as("alice", "POST", "/requests",
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", 65<<10))))
	encoded.IsBase64Encoded = true
	garbled := as("alice", "POST", "/requests", "%%%")
	garbled.IsBase64Encoded = true
	query := func(name, value string) events.APIGatewayV2HTTPRequest {
		event := as("alice", "GET", "/requests", "")
		event.QueryStringParameters = map[string]string{name: value}
		return event
	}
	post := func(body string) events.APIGatewayV2HTTPRequest {
		return as("alice", "POST", "/requests", body)
	}
	ask := func(duration string) events.APIGatewayV2HTTPRequest {
		return post(`{"flow":"postgres","target":"readonly","reason":"x","duration":` +
			duration + `}`)
	}
	open := "/requests/open"
	active := "/requests/active"
	tests := []struct {
		name   string
		event  events.APIGatewayV2HTTPRequest
		status int
		code   string
	}{
		{"unsigned", unsigned, 403, "unknown_caller"},
		{"signed by a session anybody may name", stranger, 403, "unknown_caller"},
		{"signed by a role that was there before", former, 403, "unknown_caller"},
		{"no such path", as("alice", "GET", "/users", ""), 404, "route_not_found"},
		{"no such verb", as("alice", "POST", open+"/escalate", ""), 404, "route_not_found"},
		{"an empty id", as("alice", "GET", "/requests/", ""), 404, "route_not_found"},
		{"the pattern itself", as("alice", "GET", "/requests/{id}", ""), 404, "not_found"},
		{"another method", as("alice", "DELETE", open, ""), 405, "method_not_allowed"},
		{"GET on a decision", as("bob", "GET", open+"/approve", ""), 405, "method_not_allowed"},
		{"no body", post(""), 400, "invalid_json"},
		{"not JSON", post(`{"flow":`), 400, "invalid_json"},
		{"JSON and more", post(good + good), 400, "invalid_json"},
		{"a list", post(`[1]`), 400, "invalid_json"},
		{"null", post(`null`), 400, "invalid_json"},
		{"a string", post(`"x"`), 400, "invalid_json"},
		{"not base64", garbled, 400, "invalid_json"},
		{"too large", post(strings.Repeat(" ", 64<<10) + "{}"), 413, "body_too_large"},
		{"too large in base64", encoded, 413, "body_too_large"},
		{"too large a decision", as("bob", "POST", open+"/approve",
			strings.Repeat(" ", 64<<10)+"{}"), 413, "body_too_large"},
		{"a field too many", post(`{"flow":"postgres","requester":"bob@example.com"}`),
			400, "unknown_field"},
		{"a field in capitals", post(`{"Flow":"postgres"}`), 400, "unknown_field"},
		{"a field too many in a decision", as("bob", "POST", open+"/approve", `{"by":"x"}`),
			400, "unknown_field"},
		{"a flow that is a number", post(`{"flow":1}`), 400, "invalid_field"},
		{"a reason that is null", post(`{"flow":"postgres","target":"readonly","reason":null}`),
			400, "invalid_field"},
		{"nothing in it", post(`{}`), 400, "missing_field"},
		{"an empty flow", post(`{"flow":"","target":"readonly"}`), 400, "missing_field"},
		{"no target", post(`{"flow":"postgres","reason":"x"}`), 400, "unknown_target"},
		{"an unknown flow", post(`{"flow":"mysql"}`), 400, "unknown_flow"},
		{"an unknown target", post(`{"flow":"postgres","target":"x","reason":"x"}`),
			400, "unknown_target"},
		{"no reason", post(`{"flow":"postgres","target":"readonly"}`), 400, "missing_reason"},
		{"a duration of zero", ask("0"), 400, "invalid_duration"},
		{"minus one", ask("-1"), 400, "invalid_duration"},
		{"a fraction", ask("1.5"), 400, "invalid_duration"},
		{"a whole fraction", ask("60.0"), 400, "invalid_duration"},
		{"a text", ask(`"60"`), 400, "invalid_duration"},
		{"null", ask("null"), 400, "invalid_duration"},
		{"a list", ask("[60]"), 400, "invalid_duration"},
		{"the most negative", ask("-99999999999999999999"), 400, "invalid_duration"},
		{"too long", ask("3601"), 400, "duration_too_long"},
		{"longer than time", ask("99999999999999999999"), 400, "duration_too_long"},
		{"longer than a time.Duration", ask("9223372037"), 400, "duration_too_long"},
		{"no such request", as("bob", "POST", "/requests/x/approve", ""), 404, "not_found"},
		{"no such request to show", as("bob", "GET", "/requests/x", ""), 404, "not_found"},
		{"an odd id", as("bob", "GET", "/requests/%2e%2e", ""), 404, "not_found"},
		{"self-approval", as("alice", "POST", open+"/approve", ""), 403, "self_approval"},
		{"a stranger's approval", as("mallo", "POST", open+"/approve", ""),
			403, "not_an_approver"},
		{"a decision on a decision", as("bob", "POST", active+"/deny", ""),
			409, "already_decided"},
		{"a revocation of nothing", as("alice", "POST", open+"/revoke", ""), 409, "not_active"},
		{"a stranger's revocation", as("mallo", "POST", active+"/revoke", ""),
			403, "not_allowed_to_revoke"},
		{"an unknown state", query("state", "gone"), 400, "invalid_state"},
		{"no number as limit", query("limit", "all"), 400, "invalid_limit"},
		{"a limit of zero", query("limit", "0"), 400, "invalid_limit"},
		{"too high a limit", query("limit", "101"), 400, "invalid_limit"},
		{"a made up next", query("next", "x"), 400, "invalid_next"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			first := requesttest.New(time.Now())
			first.Request.ID = "open"
			require.NoError(t, d.store.Create(t.Context(), first))
			first.Request.ID = "active"
			require.NoError(t, d.store.Create(t.Context(), first))
			r := first.Request
			for _, state := range []request.State{request.Approved, request.Active} {
				change := r.Change(state, request.Act{
					Action: "approve", By: "carol@example.com", At: time.Now(),
				})
				require.NoError(t, d.store.Apply(t.Context(), change))
				r = change.Request
			}

			status, body := d.call(t, test.event)
			var answer struct {
				Error struct{ Code, Message string }
			}
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			assert.Equal(t, test.code, answer.Error.Code)
			assert.Equal(t, test.status, status)
			assert.Regexp(t, `^[A-Z].*\.$`, answer.Error.Message, "a sentence")

			page, err := d.store.List(t.Context(), request.Query{Limit: 10})
			require.NoError(t, err)
			require.Len(t, page.Requests, 2, "nothing new")
			for _, r := range page.Requests {
				assert.Contains(t, []string{"open requested 1", "active active 3"},
					r.ID+" "+string(r.State)+" "+string(rune('0'+r.Version)))
			}
		})
	}
}

// TestInside checks that a failure does not show what it was.
func TestInside(t *testing.T) {
	d := newDesk(t)
	d.store.Fail = func(string) error { return errors.New("secret host 10.1.2.3") }
	status, body := d.call(t, as("alice", "POST", "/requests", good))
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Contains(t, body, `"code":"internal"`)
	assert.Contains(t, body, "call-1", "what to tell whoever looks into it")
	assert.NotContains(t, body, "secret")

	d = newDesk(t)
	d.workflows.SetErrors(errors.New("secret host 10.1.2.3"), nil)
	status, body = d.call(t, as("alice", "POST", "/requests", good))
	assert.Equal(t, http.StatusBadGateway, status)
	assert.Contains(t, body, `"code":"workflow_not_started"`)
	assert.NotContains(t, body, "secret")
}

// TestIdentityNotChecked checks that a failure of IAM's is nobody's refusal.
func TestIdentityNotChecked(t *testing.T) {
	d := newDesk(t)
	var err error
	d.Callers, err = identity.New("111122223333", "", iamRoles{errors.New("secret host 10.1.2.3")})
	require.NoError(t, err)
	status, body := d.call(t, as("alice", "GET", "/flows", ""))
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, `"code":"identity_not_checked"`)
	assert.NotContains(t, body, "secret")
}

func TestEnvelope(t *testing.T) {
	d := newDesk(t)
	event := as("alice", "POST", "/requests", base64.StdEncoding.EncodeToString([]byte(good)))
	event.IsBase64Encoded = true
	status, body := d.call(t, event)
	assert.Equal(t, http.StatusCreated, status, body)

	event = as("alice", "GET", "/v1/flows", "")
	event.RequestContext.Stage = "v1"
	status, _ = d.call(t, event)
	assert.Equal(t, http.StatusOK, status, "a stage with a name is not part of the path")
}
