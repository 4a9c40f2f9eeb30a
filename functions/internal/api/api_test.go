package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
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
	"sym-postgres-quickstart/functions/internal/rules"
)

// desk is an API with everything behind it in the test's hands.
type desk struct {
	*api.API
	store     *requesttest.Memory
	workflows *requesttest.Workflows
	clock     *requesttest.Clock
}

func newDesk(t *testing.T) desk {
	t.Helper()
	callers, err := identity.New("111122223333", "", iamRoles{})
	require.NoError(t, err)
	d := desk{
		store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows(),
		clock: requesttest.NewClock(),
	}
	log := slog.New(slog.DiscardHandler)
	var ids atomic.Int64
	d.API = &api.API{
		Callers: callers, Log: log,
		Service: &request.Service{
			Store: d.store, Workflows: d.workflows, Now: d.clock.Now, Log: log,
			NewID: func() string { return fmt.Sprintf("request-%d", ids.Add(1)) },
			Flows: requesttest.Flows{flow(t)},
		},
	}
	return d
}

// flow has a target of every kind: one that bob approves, one with every rule there is, and one
// whose rules do not compile.
func flow(t *testing.T) request.Flow {
	t.Helper()
	target := func(role, label string) request.Target {
		return request.Target{
			Name: "postgres-" + role, Label: label, Type: "postgres", RoleName: role,
			FunctionARN: "arn:function", DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour,
			Connect: "host=db.internal dbname=app",
		}
	}
	compile := func(document rules.Document) *rules.Rules {
		set, err := rules.Compile(document)
		require.NoError(t, err)
		return set
	}
	_, broken := rules.Compile(rules.Document{
		Approvers: []string{"bob@example.com"}, Approvals: 1, ApprovalTimeoutSeconds: 3600,
		ApproveWhen: "request.durration < duration('1h')",
	})
	require.Error(t, broken)
	return request.Flow{
		Name: "postgres", Label: "Postgres access", StateMachineARN: "arn:machine",
		LambdaConnector: "arn:connector",
		Groups:          map[string][]string{"oncall": {"dave@example.com"}},
		Targets: []request.Target{
			target("readonly", "Read only"), target("admin", "Everything"), target("broken", ""),
		},
		TargetRules: map[string]*rules.Rules{
			"postgres-readonly": compile(rules.Document{
				Approvers: []string{"bob@example.com"}, Approvals: 1,
				ApprovalTimeoutSeconds: 3600,
			}),
			"postgres-admin": compile(rules.Document{
				Requesters: []string{"alice@example.com", "dave@example.com"},
				Approvers:  []string{"bob@example.com", "carol@example.com"}, Approvals: 2,
				ApprovalTimeoutSeconds: 3600,
				BackupApprovers:        []string{"erin@example.com"}, BackupAfterSeconds: 600,
				ApproveAtOnce: []rules.Condition{{
					Name: "on call", When: `"oncall" in requester.groups`,
				}},
				Deny: []rules.Denial{{
					Name: "no fishing", When: `request.reason.contains("just looking")`,
					Message: "Say what you look for.",
				}},
				BreakGlass: &rules.BreakGlass{
					People: []string{"alice@example.com"}, MaxDurationSeconds: 900,
				},
			}),
		},
		Problems: map[string]error{"postgres-broken": broken},
	}
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
	conforms(t, event, response)
	assert.Equal(t, "application/json; charset=utf-8", response.Headers["Content-Type"])
	assert.True(t, json.Valid([]byte(response.Body)), response.Body)
	return response.StatusCode, response.Body
}

const good = `{"flow":"postgres","target":"readonly","reason":"Look at <order> 4711"}`

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
	keyed := func(key string) events.APIGatewayV2HTTPRequest {
		event := post(good)
		event.Headers = map[string]string{"idempotency-key": key}
		return event
	}
	twice := query("state", "active,denied")
	twice.RawQueryString = "state=active&state=denied"
	garbledQuery := query("state", "active")
	garbledQuery.RawQueryString = "state=%zz"
	flowsOf := as("alice", "GET", "/flows", "")
	flowsOf.QueryStringParameters = map[string]string{"state": "active"}
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
		{"a field twice", post(`{"flow":"postgres","target":"readonly","reason":"x",` +
			`"target":"postgres-admin"}`), 400, "invalid_field"},
		{"a field twice, once by an escape", post(`{"flow":"postgres","\u0066low":"x"}`),
			400, "invalid_field"},
		{"a decision's reason twice", as("bob", "POST", open+"/deny",
			`{"reason":"a","reason":"b"}`), 400, "invalid_field"},
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
		{"self-approval in capitals", as("ALICE", "POST", open+"/approve", ""),
			403, "self_approval"},
		{"an approver's look-alike", as("b\u043eb", "POST", open+"/approve", ""),
			403, "unknown_caller"},
		{"a stranger's approval", as("mallo", "POST", open+"/approve", ""),
			403, "not_an_approver"},
		{"a decision on a decision", as("bob", "POST", active+"/deny", ""),
			409, "already_decided"},
		{"a revocation of nothing", as("alice", "POST", open+"/revoke", ""), 409, "not_active"},
		{"a stranger's revocation", as("mallo", "POST", active+"/revoke", ""),
			403, "not_allowed_to_revoke"},
		{"an unknown state", query("state", "gone"), 400, "invalid_state"},
		{"an empty state", query("state", ""), 400, "invalid_parameter"},
		{"an empty moment", query("held_at", ""), 400, "invalid_parameter"},
		{"an empty requester", query("requester", ""), 400, "invalid_parameter"},
		{"a state given twice", twice, 400, "invalid_parameter"},
		{"a query that cannot be read", garbledQuery, 400, "invalid_parameter"},
		{"an unknown parameter", query("States", "active"), 400, "unknown_parameter"},
		{"a parameter where there are none", flowsOf, 400, "unknown_parameter"},
		{"a requester who is no address", query("requester", "alice"),
			400, "invalid_parameter"},
		{"a requester who looks like another", query("requester", "\u0430lice@example.com"),
			400, "invalid_parameter"},
		{"another review", query("review", "done"), 400, "invalid_parameter"},
		{"a moment that is none", query("held_at", "yesterday"), 400, "invalid_time"},
		{"a moment without a zone", query("held_at", "2026-03-03T14:00:00"),
			400, "invalid_time"},
		{"a moment to come", query("held_at", "2026-03-03T14:02:00Z"), 400, "invalid_time"},
		{"an empty key", keyed(""), 400, "invalid_idempotency_key"},
		{"a key with a space", keyed("a b"), 400, "invalid_idempotency_key"},
		{"a key of other letters", keyed("\u00e4"), 400, "invalid_idempotency_key"},
		{"too long a key", keyed(strings.Repeat("k", 129)), 400, "invalid_idempotency_key"},
		{"broken glass that is a text", post(`{"flow":"postgres","target":"readonly",` +
			`"reason":"x","break_glass":"yes"}`), 400, "invalid_field"},
		{"broken glass that is null", post(`{"flow":"postgres","target":"readonly",` +
			`"reason":"x","break_glass":null}`), 400, "invalid_field"},
		{"broken glass without a rule for it", post(`{"flow":"postgres","target":"readonly",` +
			`"reason":"x","break_glass":true}`), 403, "break_glass_not_allowed"},
		{"somebody who may not ask", as("mallo", "POST", "/requests",
			`{"flow":"postgres","target":"admin","reason":"x"}`), 403, "not_a_requester"},
		{"rules that do not compile", post(`{"flow":"postgres","target":"broken",` +
			`"reason":"x"}`), 503, "flow_misconfigured"},
		{"ten thousand characters", post(`{"flow":"postgres","target":"readonly","reason":"` +
			strings.Repeat("x", 10_000) + `"}`), 400, "invalid_reason"},
		{"an extension of nothing", as("alice", "POST", "/requests/x/extend", ""),
			404, "not_found"},
		{"an extension before it is active", as("alice", "POST", open+"/extend", ""),
			409, "not_active"},
		{"an extension of another's", as("mallo", "POST", active+"/extend", ""),
			403, "not_your_request"},
		{"an extension for too long", as("alice", "POST", active+"/extend",
			`{"duration":3601}`), 400, "duration_too_long"},
		{"an extension of another target", as("alice", "POST", active+"/extend",
			`{"target":"postgres-admin"}`), 400, "unknown_field"},
		{"a review of nothing", as("bob", "POST", active+"/review", `{"reason":"x"}`),
			409, "nothing_to_review"},
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
