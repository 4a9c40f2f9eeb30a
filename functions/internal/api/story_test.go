package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
)

// shown is what these tests look at in an answer.
type shown struct {
	ID, State, Extends, Connect string
	DatabaseUser                string `json:"database_user"`
	ReviewDue                   string `json:"review_due"`
	BreakGlass                  bool   `json:"break_glass"`
	ApprovalsNeeded             int    `json:"approvals_needed"`
	Approvals                   []struct{ By, Reason string }
	Decision, Review            *struct{ By, Rule, Reason, Because string }
	Audit                       []struct{ From, To, Action, By, Rule, Reason, Because string }
}

// ask makes a call that succeeds.
func (d desk) ask(
	t *testing.T, status int, event events.APIGatewayV2HTTPRequest,
) (answer shown, body string) {
	t.Helper()
	got, body := d.call(t, event)
	require.Equal(t, status, got, body)
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	return answer, body
}

// advance takes a request to a state, as its workflow would.
func (d desk) advance(t *testing.T, id string, state request.State, action string) {
	t.Helper()
	r, err := d.store.Get(t.Context(), id)
	require.NoError(t, err)
	change := r.Change(state, request.Act{
		Action: action, By: request.ByWorkflow, At: d.clock.Now(), Rule: request.RuleGranted,
	})
	if state == request.Active {
		change.Request.ExpiresAt = d.clock.Now().Add(r.Duration)
		change.Request.DatabaseUser = "alice"
	}
	require.NoError(t, d.store.Apply(t.Context(), change))
}

// TestStory asks, looks, approves and looks again, through the API alone.
func TestStory(t *testing.T) {
	d := newDesk(t)
	_, body := d.ask(t, http.StatusCreated, as("Alice", "POST", "/requests", good))
	assert.JSONEq(t, `{"id":"request-1","flow":"postgres","target":"postgres-readonly",
		"target_label":"Read only","role":"readonly","requester":"alice@example.com",
		"reason":"Look at <order> 4711","duration":1800,"state":"requested","break_glass":false,
		"terms":"bob@example.com approves it.","approvals":[],"approvals_needed":1,
		"created_at":"2026-03-03T14:00:00.123Z","updated_at":"2026-03-03T14:00:00.123Z",
		"decide_by":"2026-03-03T15:00:00.123Z"}`, body)

	r, _ := d.ask(t, http.StatusOK, as("bob", "POST", "/requests/request-1/approve",
		`{"reason":"ok"}`))
	assert.Equal(t, "approved", r.State)
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/request-1/approve", "")) // once more

	story, body := d.ask(t, http.StatusOK, as("carol", "GET", "/requests/request-1", ""))
	assert.Equal(t, "bob@example.com", story.Decision.By)
	require.Len(t, story.Audit, 2)
	assert.Equal(t, "requested", story.Audit[1].From)
	assert.Equal(t, "approved", story.Audit[1].To)
	assert.Contains(t, story.Audit[1].Rule, "approver")
	assert.Equal(t, "ok", story.Audit[1].Reason)
	assert.NotContains(t, body, "arn:", "ARNs stay inside")

	d.advance(t, "request-1", request.Active, request.ActionGrant)
	story, _ = d.ask(t, http.StatusOK, as("carol", "GET", "/requests/request-1", ""))
	assert.Equal(t, "alice", story.DatabaseUser)
	assert.Equal(t, "host=db.internal dbname=app user=alice", story.Connect)

	r, _ = d.ask(t, http.StatusOK, as("alice", "POST", "/requests/request-1/revoke", ""))
	assert.Equal(t, "revoking", r.State)
	assert.Empty(t, r.Connect, "it is of no use any more")
}

// TestFlows shows every target with its rules, or with what is wrong with them.
func TestFlows(t *testing.T) {
	_, body := newDesk(t).ask(t, http.StatusOK, as("carol", "GET", "/flows", ""))
	var flows struct {
		Flows []struct {
			Name, Label string
			Groups      map[string][]string
			Targets     []struct {
				Name, Role, Problem string
				MaxDuration         int `json:"max_duration"`
				Rules               *struct {
					Summary         string
					Approvers       []string
					Approvals       int
					ApprovalTimeout int                           `json:"approval_timeout"`
					BackupAfter     int                           `json:"backup_after"`
					ApproveAtOnce   []struct{ Name, When string } `json:"approve_at_once"`
					Deny            []struct{ Name, When, Message string }
					BreakGlass      *struct{ People []string } `json:"break_glass"`
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &flows))
	require.Len(t, flows.Flows, 1)
	flow := flows.Flows[0]
	assert.Equal(t, "postgres", flow.Name)
	assert.Equal(t, map[string][]string{"oncall": {"dave@example.com"}}, flow.Groups)
	require.Len(t, flow.Targets, 3)

	simple := flow.Targets[0]
	assert.Equal(t, "readonly", simple.Role)
	assert.Equal(t, 3600, simple.MaxDuration)
	assert.Equal(t, []string{"bob@example.com"}, simple.Rules.Approvers)
	assert.Equal(t, 3600, simple.Rules.ApprovalTimeout)
	assert.Contains(t, simple.Rules.Summary, "bob@example.com")
	assert.Nil(t, simple.Rules.BreakGlass)

	full := flow.Targets[1].Rules
	assert.Equal(t, 2, full.Approvals)
	assert.Equal(t, 600, full.BackupAfter)
	assert.Equal(t, "on call", full.ApproveAtOnce[0].Name)
	assert.Equal(t, "Say what you look for.", full.Deny[0].Message)
	assert.Equal(t, []string{"alice@example.com"}, full.BreakGlass.People)

	broken := flow.Targets[2]
	assert.Nil(t, broken.Rules)
	assert.Contains(t, broken.Problem, "request.durration", "what is wrong, and where")
	assert.Contains(t, broken.Problem, "line 1")
}

const askAdmin = `{"flow":"postgres","target":"admin","reason":"Repair order 4711"`

// TestTwoApprovals needs two people, and shows how far it is.
func TestTwoApprovals(t *testing.T) {
	d := newDesk(t)
	r, _ := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", askAdmin+"}"))
	assert.Equal(t, 2, r.ApprovalsNeeded)
	r, _ = d.ask(t, http.StatusOK, as("bob", "POST", "/requests/"+r.ID+"/approve", ""))
	assert.Equal(t, "requested", r.State)
	require.Len(t, r.Approvals, 1)
	assert.Equal(t, "bob@example.com", r.Approvals[0].By)
	r, _ = d.ask(t, http.StatusOK, as("carol", "POST", "/requests/"+r.ID+"/approve", ""))
	assert.Equal(t, "approved", r.State)
	story, _ := d.ask(t, http.StatusOK, as("alice", "GET", "/requests/"+r.ID, ""))
	require.Len(t, story.Audit, 3)
	assert.Equal(t, "requested", story.Audit[1].From)
	assert.Equal(t, "requested", story.Audit[1].To)
}

// TestBackupApprovers lets a back-up approve once their time has come.
func TestBackupApprovers(t *testing.T) {
	d := newDesk(t)
	r, body := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", askAdmin+"}"))
	assert.Contains(t, body, `"backup_from":"2026-03-03T14:10:00.123Z"`)
	approve := as("Erin", "POST", "/requests/"+r.ID+"/approve", "")
	status, body := d.call(t, approve)
	assert.Equal(t, http.StatusForbidden, status)
	assert.Contains(t, body, `"code":"not_an_approver"`)
	d.clock.Advance(10 * time.Minute)
	r, _ = d.ask(t, http.StatusOK, approve)
	require.Len(t, r.Approvals, 1)
	story, _ := d.ask(t, http.StatusOK, as("alice", "GET", "/requests/"+r.ID, ""))
	assert.Equal(t, "backup_approver", story.Audit[1].Rule)
	assert.Equal(t, "erin@example.com", story.Audit[1].By)
}

// TestRulesDecide has what nobody is asked about: approved at once, and denied outright. Both
// are written down with the rule and the reason that it matched.
func TestRulesDecide(t *testing.T) {
	d := newDesk(t)
	r, _ := d.ask(t, http.StatusCreated, as("dave", "POST", "/requests", askAdmin+"}"))
	assert.Equal(t, "approved", r.State)
	assert.Equal(t, "rules", r.Decision.By)
	assert.Contains(t, r.Decision.Rule, "on call")
	assert.NotEmpty(t, r.Decision.Because)

	status, body := d.call(t, as("alice", "POST", "/requests",
		`{"flow":"postgres","target":"admin","reason":"just looking"}`))
	assert.Equal(t, http.StatusForbidden, status)
	assert.Contains(t, body, `"code":"denied_by_rule"`)
	assert.Contains(t, body, "Say what you look for.")
	assert.Contains(t, body, "no fishing")
	story, _ := d.ask(t, http.StatusOK, as("alice", "GET", "/requests/request-2", ""))
	assert.Equal(t, "denied", story.State)
	require.Len(t, story.Audit, 2)
	assert.Contains(t, story.Audit[1].Rule, "no fishing")
	assert.NotEmpty(t, story.Audit[1].Because)
}

// TestBreakGlass has it at once, and somebody else says afterwards what it was for.
func TestBreakGlass(t *testing.T) {
	d := newDesk(t)
	r, _ := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests",
		askAdmin+`,"break_glass":true}`))
	assert.Equal(t, "approved", r.State)
	assert.True(t, r.BreakGlass)
	assert.Contains(t, r.Decision.Rule, "break_glass")
	assert.NotEmpty(t, r.ReviewDue)

	list := as("bob", "GET", "/requests", "")
	list.QueryStringParameters = map[string]string{"review": "pending"}
	_, body := d.ask(t, http.StatusOK, list)
	assert.Contains(t, body, r.ID)

	review := "/requests/" + r.ID + "/review"
	for _, refused := range []struct {
		person, body string
		status       int
		code         string
	}{
		{"alice", `{"reason":"all fine"}`, 403, "self_approval"},
		{"mallo", `{"reason":"all fine"}`, 403, "not_an_approver"},
		{"bob", ``, 400, "missing_reason"},
	} {
		status, body := d.call(t, as(refused.person, "POST", review, refused.body))
		assert.Equal(t, refused.status, status)
		assert.Contains(t, body, `"code":"`+refused.code+`"`)
	}
	r, _ = d.ask(t, http.StatusOK, as("bob", "POST", review, `{"reason":"It was needed"}`))
	require.NotNil(t, r.Review)
	assert.Equal(t, "It was needed", r.Review.Reason)
	assert.Empty(t, r.ReviewDue)
	status, body := d.call(t, as("carol", "POST", review, `{"reason":"me too"}`))
	assert.Equal(t, http.StatusConflict, status)
	assert.Contains(t, body, `"code":"nothing_to_review"`)
	_, body = d.ask(t, http.StatusOK, list)
	assert.JSONEq(t, `{"requests":[]}`, body)
}

// TestExtend asks once more while it lasts: another request, with a decision of its own.
func TestExtend(t *testing.T) {
	d := newDesk(t)
	d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", good))
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/request-1/approve", ""))
	d.advance(t, "request-1", request.Active, request.ActionGrant)

	extend := as("alice", "POST", "/requests/request-1/extend", `{"duration":600}`)
	extend.Headers = map[string]string{"idempotency-key": "again"}
	r, body := d.ask(t, http.StatusCreated, extend)
	assert.NotEqual(t, "request-1", r.ID)
	assert.Equal(t, "request-1", r.Extends)
	assert.Equal(t, "requested", r.State)
	assert.Contains(t, body, `"duration":600`)
	assert.Contains(t, body, "Look at <order> 4711", "the reason of before")
	again, _ := d.ask(t, http.StatusCreated, extend)
	assert.Equal(t, r.ID, again.ID)
	other, _ := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests/request-1/extend", ""))
	assert.NotEqual(t, r.ID, other.ID)
}

// TestIdempotency sends one submission often, and makes one request.
func TestIdempotency(t *testing.T) {
	d := newDesk(t)
	keyed := func(person, body string) events.APIGatewayV2HTTPRequest {
		event := as(person, "POST", "/requests", body)
		event.Headers = map[string]string{"idempotency-key": "k-1"}
		return event
	}
	first, _ := d.ask(t, http.StatusCreated, keyed("alice", good))
	again, _ := d.ask(t, http.StatusCreated, keyed("alice", good))
	assert.Equal(t, first.ID, again.ID)

	status, body := d.call(t, keyed("alice", strings.Replace(good, "4711", "4712", 1)))
	assert.Equal(t, http.StatusConflict, status)
	assert.Contains(t, body, `"code":"idempotency_key_reused"`)

	other, _ := d.ask(t, http.StatusCreated, keyed("dave", good))
	assert.NotEqual(t, first.ID, other.ID, "keys are each person's own")
	page, err := d.store.List(t.Context(), request.Query{Limit: 10})
	require.NoError(t, err)
	assert.Len(t, page.Requests, 2)
}

// list calls GET /requests as alice and returns the numbers of the requests in the answer.
func (d desk) list(t *testing.T, query string) []string {
	t.Helper()
	_, body := d.ask(t, http.StatusOK, listing(t, query))
	return numbers(t, body)
}

// listing is the call of alice's list, with its query as API Gateway gives it.
func listing(t *testing.T, query string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	event := as("alice", "GET", "/requests", "")
	event.RawQueryString = query
	event.QueryStringParameters = map[string]string{}
	for name := range values {
		event.QueryStringParameters[name] = values.Get(name)
	}
	return event
}

// numbers are those in the ids of a page's requests.
func numbers(t *testing.T, body string) []string {
	t.Helper()
	var page struct{ Requests []shown }
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	all := []string{}
	for _, r := range page.Requests {
		all = append(all, strings.TrimPrefix(r.ID, "request-"))
	}
	return all
}

// TestFilters lists what is asked for and nothing else, and who held a role at a moment.
func TestFilters(t *testing.T) {
	d := newDesk(t)
	d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", good))
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/request-1/approve", ""))
	d.clock.Advance(time.Minute)
	d.advance(t, "request-1", request.Active, request.ActionGrant) // at 14:01
	d.ask(t, http.StatusCreated, as("dave", "POST", "/requests", askAdmin+"}"))
	d.advance(t, "request-2", request.Active, request.ActionGrant)
	d.clock.Advance(10 * time.Minute)
	d.advance(t, "request-1", request.Revoking, request.ActionRevoke)
	d.advance(t, "request-1", request.Done, request.ActionEnd) // at 14:11
	d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", good))

	for query, want := range map[string][]string{
		"":                                     {"3", "2", "1"},
		"next=":                                {"3", "2", "1"},
		"limit=1":                              {"3"},
		"state=active":                         {"2"},
		"target=postgres-readonly":             {"3", "1"},
		"flow=postgres&state=done":             {"1"},
		"flow=mysql":                           {},
		"requester=dave%40example.com":         {"2"},
		"requester=Dave%40Example.com":         {"2"},
		"requester=me":                         {"3", "1"},
		"requester=me&state=requested":         {"3"},
		"review=pending":                       {},
		"held_at=2026-03-03T14:00:59Z":         {},
		"held_at=2026-03-03T14:01:01Z":         {"2", "1"},
		"held_at=2026-03-03T15:11:00%2B01:00":  {"2", "1"},
		"held_at=2026-03-03T14:11:01Z":         {"2"},
		"held_at=2026-03-03T14:11:00Z&flow=x":  {},
		"held_at=2026-03-03T14:05:00Z&limit=1": {"2"},
	} {
		assert.Equal(t, want, d.list(t, query), "%q", query)
	}

	// A plus sign that was not encoded arrives as a space. The document asks to encode it.
	lenient := d.Handle(t.Context(), listing(t, "held_at=2026-03-03T15:11:00+01:00"))
	require.Equal(t, http.StatusOK, lenient.StatusCode, lenient.Body)
	assert.Equal(t, []string{"2", "1"}, numbers(t, lenient.Body))

	// Page by page, with the filter on each.
	event := as("alice", "GET", "/requests", "")
	var ids []string
	for next, n := "", 0; n == 0 || next != ""; n++ {
		require.Less(t, n, 5)
		event.QueryStringParameters = map[string]string{
			"limit": "1", "target": "postgres-readonly", "next": next,
		}
		_, body := d.ask(t, http.StatusOK, event)
		var page struct {
			Requests []shown
			Next     string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		for _, r := range page.Requests {
			ids = append(ids, r.ID)
		}
		next = page.Next
	}
	assert.Equal(t, []string{"request-3", "request-1"}, ids)
}

// TestWhoCouldRead answers an auditor's question: who could read what on the 3rd of March at
// 14:00? The answer is the role's time in the database, not that of the request or the decision.
func TestWhoCouldRead(t *testing.T) {
	d := newDesk(t)
	at := func(clock string) {
		moment, err := time.Parse("15:04:05", clock)
		require.NoError(t, err)
		moment = moment.AddDate(2026, 2, 2)
		d.clock.Advance(moment.Sub(d.clock.Now()))
	}
	granted := func(person, clock string, duration int) string {
		at(clock)
		r, _ := d.ask(t, http.StatusCreated, as(person, "POST", "/requests", fmt.Sprintf(
			`{"flow":"postgres","target":"readonly","reason":"x","duration":%d}`, duration)))
		d.ask(t, http.StatusOK, as("bob", "POST", "/requests/"+r.ID+"/approve", ""))
		d.advance(t, r.ID, request.Active, request.ActionGrant)
		return r.ID
	}
	end := func(id, clock string) {
		at(clock)
		d.advance(t, id, request.Revoking, request.ActionRevoke)
		d.advance(t, id, request.Done, request.ActionEnd)
	}

	before := granted("alice", "13:00:00", 1800)
	end(before, "13:30:00")
	ends := granted("carol", "13:20:00", 1800)
	end(ends, "14:00:00") // by then it is gone
	had := granted("alice", "13:30:00", 3600)
	late := granted("dave", "13:40:00", 600) // should have ended at 13:50, and nobody could do it
	at("13:50:00")
	d.advance(t, late, request.Revoking, request.ActionRevoke)
	at("13:55:00")
	extension, _ := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests/"+had+"/extend", ""))
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/"+extension.ID+"/approve", ""))
	begins := granted("erin", "14:00:00", 1800)
	at("14:00:01")
	d.advance(t, extension.ID, request.Active, request.ActionGrant)
	granted("mallo", "14:00:02", 1800)
	at("14:00:03")
	d.ask(t, http.StatusCreated, as("frank", "POST", "/requests", good)) // never decided
	end(had, "14:10:00")
	at("23:00:00")
	d.advance(t, late, request.Done, request.ActionEnd)

	const moment = "held_at=2026-03-03T14:00:00Z"
	_, body := d.ask(t, http.StatusOK, listing(t, moment))
	var page struct {
		Requests []struct {
			ID, Requester, Target, Role string
			DatabaseUser                string `json:"database_user"`
			GrantedAt                   string `json:"granted_at"`
			DoneAt                      string `json:"done_at"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	answer := []string{}
	for _, r := range page.Requests {
		answer = append(answer, strings.Join([]string{
			r.ID, r.Requester, r.Target, r.Role, r.GrantedAt, r.DoneAt}, " "))
	}
	assert.Equal(t, []string{
		begins + " erin@example.com postgres-readonly readonly 2026-03-03T14:00:00.000Z ",
		late + " dave@example.com postgres-readonly readonly 2026-03-03T13:40:00.000Z " +
			"2026-03-03T23:00:00.000Z",
		had + " alice@example.com postgres-readonly readonly 2026-03-03T13:30:00.000Z " +
			"2026-03-03T14:10:00.000Z",
	}, answer)
	assert.Equal(t, []string{strings.TrimPrefix(had, "request-")},
		d.list(t, moment+"&requester=alice%40example.com"), "of one person")
	assert.Empty(t, d.list(t, moment+"&target=postgres-admin"), "of another target")
	assert.Empty(t, d.list(t, "held_at=2026-03-02T14:00:00Z"), "the day before")
}

// TestOneKeyAtOnce sends one submission from many places at once: one request is made, and
// everybody gets it.
func TestOneKeyAtOnce(t *testing.T) {
	d := newDesk(t)
	event := as("alice", "POST", "/requests", good)
	event.Headers = map[string]string{"idempotency-key": "k-1"}
	answers := atOnce(8, func(int) events.APIGatewayV2HTTPResponse {
		return d.Handle(t.Context(), event)
	})
	for _, answer := range answers {
		assert.Equal(t, http.StatusCreated, answer.StatusCode)
		assert.JSONEq(t, answers[0].Body, answer.Body)
	}
	assert.Len(t, d.list(t, ""), 1)
}

// TestTwoDecideAtOnce has one approve and another deny: one decision wins. If that is the
// approval, the denial comes before the grant, and withdraws the request.
func TestTwoDecideAtOnce(t *testing.T) {
	d := newDesk(t)
	r, _ := d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", askAdmin+"}"))
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/"+r.ID+"/approve", ""))
	calls := []events.APIGatewayV2HTTPRequest{
		as("carol", "POST", "/requests/"+r.ID+"/approve", ""),
		as("bob", "POST", "/requests/"+r.ID+"/deny", ""),
	}
	answers := atOnce(2, func(i int) events.APIGatewayV2HTTPResponse {
		return d.Handle(t.Context(), calls[i])
	})
	story, _ := d.ask(t, http.StatusOK, as("alice", "GET", "/requests/"+r.ID, ""))
	assert.Equal(t, http.StatusOK, answers[1].StatusCode, answers[1].Body)
	if answers[0].StatusCode == http.StatusOK {
		assert.Equal(t, "revoking", story.State)
		assert.Equal(t, "carol@example.com", story.Decision.By)
		assert.Len(t, story.Audit, 4, "two records more")
		return
	}
	assert.Equal(t, http.StatusConflict, answers[0].StatusCode)
	assert.Contains(t, answers[0].Body, `"code":"already_decided"`)
	assert.Contains(t, answers[0].Body, "bob@example.com")
	assert.Equal(t, "denied", story.State)
	assert.Len(t, story.Audit, 3, "one record more")
}

// atOnce does something several times at once.
func atOnce[T any](n int, do func(i int) T) []T {
	results := make([]T, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { results[i] = do(i) })
	}
	group.Wait()
	return results
}

// previewer answers as the test says.
type previewer struct {
	foreseen request.Preview
	err      error
}

func (p previewer) Preview(context.Context, request.Request) (request.Preview, error) {
	return p.foreseen, p.err
}

// TestPreviews asks for a role that cannot be granted, and for one that leaves something behind.
func TestPreviews(t *testing.T) {
	d := newDesk(t)
	d.Service.Previewer = previewer{err: request.Refuse(nil, request.CannotBeGranted,
		"The database user alice belongs to alice@old.example.com.")}
	status, body := d.call(t, as("alice", "POST", "/requests", good))
	assert.Equal(t, http.StatusUnprocessableEntity, status)
	assert.JSONEq(t, `{"error":{"code":"cannot_be_granted",
		"message":"The database user alice belongs to alice@old.example.com."}}`, body)

	d.Service.Previewer = previewer{foreseen: request.Preview{
		NeedsSetRole: true, CouldLeave: []string{"It may create tables."},
	}}
	_, body = d.ask(t, http.StatusCreated, as("alice", "POST", "/requests", good))
	assert.Contains(t, body, `"needs_set_role":true,"could_leave":["It may create tables."]`)

	// The second id: the first was that of the request which was refused.
	d.ask(t, http.StatusOK, as("bob", "POST", "/requests/request-2/approve", ""))
	r, _ := d.ask(t, http.StatusOK, as("alice", "POST", "/requests/request-2/deny", ""))
	assert.Equal(t, "revoking", r.State, "withdrawn before anything was granted")
	stored, err := d.store.Get(t.Context(), "request-2")
	require.NoError(t, err)
	change := stored.Change(request.Done, request.Act{
		Action: request.ActionEnd, By: request.ByWorkflow, At: d.clock.Now(),
		Rule: request.RuleRevoked,
	})
	change.Request.LeftBehind = []request.Leftover{{Kind: "owned", What: "table public.mine"}}
	change.Request.LeftBehindMore, change.Request.NotLookedFor = 2, "It took too long."
	require.NoError(t, d.store.Apply(t.Context(), change))
	_, body = d.ask(t, http.StatusOK, as("carol", "GET", "/requests/request-2", ""))
	assert.Contains(t, body, `"left_behind":[{"kind":"owned","what":"table public.mine",`+
		`"taken_back":false}],"left_behind_more":2,"not_looked_for":"It took too long."`)
}

// TestAnotherAddress has an IAM user make a request, and then changes the user's listed address.
func TestAnotherAddress(t *testing.T) {
	d := newDesk(t)
	const arn = "arn:aws:iam::111122223333:user/alice"
	listed := func(email string) {
		callers, err := identity.New("111122223333", fmt.Sprintf(`{%q:%q}`, arn, email), iamRoles{})
		require.NoError(t, err)
		d.Callers = callers
	}
	by := func(id, method, path, body string) events.APIGatewayV2HTTPRequest {
		event := as("", method, path, body)
		event.RequestContext.Authorizer.IAM.UserARN = arn
		event.RequestContext.Authorizer.IAM.UserID = id
		return event
	}
	listed("alice@example.com")
	d.ask(t, http.StatusCreated, by("AIDA1", "POST", "/requests", good))
	d.advance(t, "request-1", request.Approved, request.ActionApprove)
	d.advance(t, "request-1", request.Active, request.ActionGrant)
	listed("alice@new.example.com")
	status, body := d.call(t, by("AIDA2", "POST", "/requests/request-1/revoke", ""))
	assert.Equal(t, http.StatusForbidden, status, "a user made anew under that name: %s", body)
	r, _ := d.ask(t, http.StatusOK, by("AIDA1", "POST", "/requests/request-1/revoke", ""))
	assert.Equal(t, "revoking", r.State)
}
