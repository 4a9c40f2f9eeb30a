package test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/slack"
)

// readWrite is the target that the deployment wants two approvals for.
const readWrite = "postgres-readwrite"

func twoApprovals(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r, err := e.Ask(t.Context(), w.deployment.Flow, readWrite, "To repair order 3", longEnough)
	require.NoError(t, err)
	require.Equal(t, 2, r.ApprovalsNeeded)

	// One is not enough, however often.
	bob := w.approver(t)
	for range 2 {
		r, err = bob.Approve(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, "requested", r.State)
	}
	require.Len(t, r.Approvals, 1)
	e.cannotRead(t, session)

	_, err = w.person(t, "carol@example.com").Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)
	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested", "requested", "approved", "active", "revoking", "done")
}

func backupApprover(t *testing.T, w *world) {
	e := w.engineer(t)
	dave := w.person(t, "dave@example.com")
	flow := w.flowLike(t, "patient", map[string]any{
		"backup_approvers": []string{dave.Email}, "backup_after_seconds": 2,
	})
	r, err := e.Ask(t.Context(), flow, flow+"-readonly", "Bob is on holiday", longEnough)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := dave.Approve(t.Context(), r.ID)
		return err == nil
	}, patience, 200*time.Millisecond, "their time comes")
	r = await(t, e.Person, r.ID, "active")
	require.Equal(t, "backup_approver", r.Approvals[0].Rule)
	require.GreaterOrEqual(t, r.Approvals[0].At.Sub(r.Audit[0].At), 2*time.Second)
}

func byTheRules(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	flow := w.flowLike(t, "strict", map[string]any{
		"approve_at_once": []any{map[string]any{
			"name": "short", "when": `request.duration <= duration("20s")`,
		}},
		"deny": []any{map[string]any{
			"name": "no ticket", "when": `!request.reason.contains("OPS-")`,
			"message": "Name the ticket.",
		}},
	})
	ask := func(reason string, d time.Duration) (string, error) {
		r, err := e.Ask(t.Context(), flow, flow+"-readonly", reason, d)
		return r.ID, err
	}

	// What is denied outright is denied before anything else, and written down.
	_, err := ask("Just looking", longEnough)
	requireCode(t, err, 403, "denied_by_rule")
	require.ErrorContains(t, err, "Name the ticket.")
	denied, err := e.List(t.Context(), "requester="+url.QueryEscape(e.Email)+"&state=denied")
	require.NoError(t, err)
	require.Len(t, denied, 1)
	r := requireStory(t, e.Person, denied[0].ID, "requested", "denied")
	require.Equal(t, `deny "no ticket"`, r.Audit[1].Rule)
	require.Equal(t, "rules", r.Audit[1].By)
	require.Contains(t, r.Audit[1].Because, `request.reason.contains("OPS-")`)
	e.cannotRead(t, session)

	// What is short needs nobody.
	id, err := ask("OPS-1: look at order 3", longEnough)
	require.NoError(t, err)
	await(t, e.Person, id, "active")
	e.canRead(t, session)
	await(t, e.Person, id, "done")
	e.cannotRead(t, session)
	r = requireStory(t, e.Person, id, "requested", "approved", "active", "revoking", "done")
	require.Equal(t, `approve_at_once "short"`, r.Audit[1].Rule)

	// And all else waits for somebody.
	id, err = ask("OPS-1: look at order 3", time.Minute)
	require.NoError(t, err)
	requireStory(t, e.Person, id, "requested")
	// This flow is of our making, so that Terraform ends nothing of it.
	_, err = w.approver(t).Deny(t.Context(), id, "Seen enough")
	require.NoError(t, err)
}

func brokenGlass(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	alarms := w.alarms(t)
	flow := w.flowLike(t, "emergency", map[string]any{"break_glass": map[string]any{
		"people": []string{e.Email}, "max_duration_seconds": int(longEnough.Seconds()),
	}})
	bob := w.approver(t)
	_, err := bob.BreakGlass(t.Context(), flow, flow+"-readonly", "Me too", longEnough)
	requireCode(t, err, 403, "break_glass_not_allowed")
	_, err = e.BreakGlass(t.Context(), flow, flow+"-readonly", "For long", longEnough+time.Second)
	requireCode(t, err, 400, "duration_too_long")

	r, err := e.BreakGlass(t.Context(), flow, flow+"-readonly", "The shop is down", longEnough)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// Everybody hears of it, wherever they look.
	for alarm := ""; !strings.Contains(alarm, r.ID); {
		select {
		case alarm = <-alarms:
		case <-time.After(patience):
			t.Fatal("nobody was told by the topic")
		}
	}
	w.message(t, slack.Errors, r.ID, "broken the glass", "The shop is down")
	w.message(t, slack.Requests, r.ID, "Break-glass", "without waiting for anybody")
	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)

	// It is over when somebody else has looked at it.
	open, err := bob.List(t.Context(), "requester="+url.QueryEscape(e.Email)+"&review=pending")
	require.NoError(t, err)
	require.Len(t, open, 1)
	_, err = e.Review(t.Context(), r.ID, "I was right")
	requireCode(t, err, 403, "self_approval")
	_, err = bob.Review(t.Context(), r.ID, "A queue was restarted. That was right.")
	require.NoError(t, err)
	w.message(t, slack.Requests, r.ID, "reviewed it", "That was right.")
	open, err = bob.List(t.Context(), "requester="+url.QueryEscape(e.Email)+"&review=pending")
	require.NoError(t, err)
	require.Empty(t, open)
	requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done", "done")
}

// planOnlyAsks invokes the Runtime as a plan may, and asks it for more.
func planOnlyAsks(t *testing.T, w *world) {
	client := lambda.NewFromConfig(w.box.Config(w.box.Admin))
	ask := func(payload string) *lambda.InvokeOutput {
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{
			FunctionName: aws.String("sym-sandbox-runtime"), Qualifier: aws.String("check"),
			Payload: []byte(payload),
		})
		require.NoError(t, err)
		return out
	}
	out := ask(`{"step":"check_rules","targets":{}}`)
	require.Nil(t, out.FunctionError)
	require.JSONEq(t, `{"problems":[]}`, string(out.Payload))
	for _, payload := range []string{
		`{"step":"reconcile"}`,
		`{"step":"slack","slack":{"do":"approve","user":"U0BOB","id":"x"}}`,
		`{"rawPath":"/requests","requestContext":{"http":{"method":"GET"},
			"authorizer":{"iam":{"userArn":"arn:aws:iam::123456789012:role/x"}}}}`,
	} {
		out := ask(payload)
		require.NotNil(t, out.FunctionError, payload)
		require.Contains(t, string(out.Payload), "UnknownInvocation", payload)
	}
}

func extended(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	bob := w.approver(t)
	first := e.asks(t, longEnough)
	_, err := e.Extend(t.Context(), first.ID, "Longer", time.Minute)
	requireCode(t, err, 409, "not_active")
	_, err = bob.Approve(t.Context(), first.ID)
	require.NoError(t, err)
	await(t, e.Person, first.ID, "active")

	// Longer is not a right: somebody decides again.
	longer, err := e.Extend(t.Context(), first.ID, "One more table", time.Minute)
	require.NoError(t, err)
	require.Equal(t, "requested", longer.State)
	require.Equal(t, first.ID, longer.Extends)
	_, err = e.Approve(t.Context(), longer.ID)
	requireCode(t, err, 403, "self_approval")
	_, err = bob.Approve(t.Context(), longer.ID)
	require.NoError(t, err)
	await(t, e.Person, longer.ID, "active")

	// The first one's end is not the end.
	await(t, e.Person, first.ID, "done")
	e.canRead(t, session)
	_, err = e.Revoke(t.Context(), longer.ID)
	require.NoError(t, err)
	await(t, e.Person, longer.ID, "done")
	e.cannotRead(t, session)
}
