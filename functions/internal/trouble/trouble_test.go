package trouble

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

const topicARN = "arn:aws:sns:us-east-1:123456789012:sym-main-errors"

// topic stands in for SNS and keeps what is published.
type topic struct {
	mu       sync.Mutex
	messages []url.Values
	down     bool
}

func (s *topic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.messages = append(s.messages, form)
	_, _ = io.WriteString(w, `<PublishResponse><PublishResult><MessageId>1</MessageId>`+
		`</PublishResult></PublishResponse>`)
}

// channel is an error channel.
type channel struct {
	posted []request.Trouble
	err    error
}

func (c *channel) Post(_ context.Context, t request.Trouble) error {
	if c.err != nil {
		return c.err
	}
	c.posted = append(c.posted, t)
	return nil
}

func newReporter(t *testing.T) (*Reporter, *topic, *channel, *bytes.Buffer) {
	s, c, log := &topic{}, &channel{}, &bytes.Buffer{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r := New(sns.New(sns.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}), topicARN, slog.New(slog.NewTextHandler(log, nil)))
	r.Poster = c
	return r, s, c, log
}

func TestReport(t *testing.T) {
	r, topic, channel, _ := newReporter(t)
	trouble := request.Trouble{
		What: "The grant failed.", Whom: "alice@example.com", Do: "Look.", RequestID: "r-1",
	}
	// Also where the time of the caller has run out.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Report(ctx, trouble)
	assert.Equal(t, []request.Trouble{trouble}, channel.posted)
	require.Len(t, topic.messages, 1)
	assert.Equal(t, topicARN, topic.messages[0].Get("TopicArn"))
	assert.Equal(t, "Sym: The grant failed.", topic.messages[0].Get("Subject"))
	assert.Equal(t, "What: The grant failed.\n\nFor whom: alice@example.com\n\n"+
		"What to do: Look.\n\nRequest: r-1", topic.messages[0].Get("Message"))

	r.Poster = nil
	r.Report(t.Context(), request.Trouble{What: "Something."})
	require.Len(t, topic.messages, 2)
	assert.Equal(t, "What: Something.", topic.messages[1].Get("Message"))
}

// TestEachFailsAlone has one way fail, then the other, then both.
func TestEachFailsAlone(t *testing.T) {
	r, topic, channel, log := newReporter(t)
	trouble := request.Trouble{What: "The grant failed."}
	channel.err = errors.New("no such channel")
	require.NoError(t, r.Tell(t.Context(), trouble))
	assert.Len(t, topic.messages, 1)
	assert.Contains(t, log.String(), "no such channel")

	channel.err, topic.down = nil, true
	require.NoError(t, r.Tell(t.Context(), trouble))
	assert.Len(t, channel.posted, 1)

	channel.err = errors.New("no such channel")
	require.ErrorContains(t, r.Tell(t.Context(), trouble), "no such channel")
	r.Report(t.Context(), trouble)
	assert.Contains(t, log.String(), `what="The grant failed."`, "the log has it")
}

func TestSubject(t *testing.T) {
	for what, want := range map[string]string{
		"Plain.":                 "Sym: Plain.",
		"Two\nlines\r\n\x1b[31m": "Sym: Two lines   [31m",
		"“Größe”":                "Sym: ?Gr??e?",
		strings.Repeat("ä", 200): "Sym: " + strings.Repeat("?", 91) + "...",
		strings.Repeat("x", 94):  "Sym: " + strings.Repeat("x", 94),
	} {
		got := subject(what)
		assert.Equal(t, want, got)
		assert.Less(t, len(got), 100)
	}
}

// TestAlerts takes each record that a human has to hear of, and some that none has.
func TestAlerts(t *testing.T) {
	at := time.Date(2026, 3, 3, 14, 0, 0, 0, time.UTC)
	act := func(action, rule string) request.Act {
		return request.Act{Action: action, By: "workflow", At: at, Rule: rule, Reason: "Because."}
	}
	asked := requesttest.New(at)
	glass := asked
	glass.Request.BreakGlass = true
	glass.Request.ReviewDue = at.Add(24 * time.Hour)
	broken := glass.Request.Change(request.Approved, act(request.ActionApprove, "on_call"))
	reminder := broken.Request.Note(act(request.ActionRemind, request.RuleReviewDue))
	reviewed := reminder
	reviewed.Request = reminder.Request.Note(act(request.ActionReview, "approver")).Request
	approved := asked.Request.Change(request.Approved, act(request.ActionApprove, "approver"))
	active := approved.Request.Change(request.Active, act(request.ActionGrant, "granted"))
	tests := []struct {
		name   string
		change request.Change
		want   string // of What; empty for nothing
	}{
		{"asked for", asked, ""},
		{"asked for with broken glass", glass, ""},
		{"approved", approved, ""},
		{"broken glass", broken, "has broken the glass"},
		{"granted after that", broken.Request.Change(request.Active,
			act(request.ActionGrant, request.RuleGranted)), ""},
		{"review due", reminder, "Nobody has reviewed yet"},
		{"reviewed meanwhile", reviewed, ""},
		{"never started", asked.Request.Change(request.Failed,
			act(request.ActionFail, request.RuleWorkflowFailure)), "is failed since its workflow"},
		{"refused by the function", approved.Request.Change(request.Failed,
			act(request.ActionFail, request.RuleRefused)), ""},
		{"not held", active.Request.Change(request.Revoking,
			act(request.ActionRevoke, request.RuleWorkflowFailure)), "is revoking since"},
		{"expired", active.Request.Change(request.Revoking,
			act(request.ActionRevoke, request.RuleExpiry)), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, _, channel, _ := newReporter(t)
			alerts := &Alerts{Teller: r, Notes: requesttest.NewMemory()}
			item := delivery.Item{Request: test.change.Request, Record: test.change.Record}
			for range 2 {
				require.NoError(t, alerts.Deliver(t.Context(), item))
				item.Again = true
			}
			if test.want == "" {
				assert.Empty(t, channel.posted)
				return
			}
			require.Len(t, channel.posted, 1, "told once")
			got := channel.posted[0]
			assert.Contains(t, got.What, test.want)
			for _, part := range []string{
				"alice@example.com", "readonly", "postgres-readonly", item.Request.ID,
			} {
				assert.Contains(t, got.What, part)
			}
			assert.NotEmpty(t, got.Do)
			assert.Equal(t, "alice@example.com", got.Whom)
			assert.Equal(t, item.Request.ID, got.RequestID)
		})
	}
}

// TestAlertComesAgain has nobody reachable at first.
func TestAlertComesAgain(t *testing.T) {
	r, topic, channel, _ := newReporter(t)
	topic.down, channel.err = true, errors.New("down")
	first := requesttest.New(time.Now())
	change := first.Request.Change(request.Failed, request.Act{Rule: request.RuleWorkflowFailure})
	alerts := &Alerts{Teller: r, Notes: requesttest.NewMemory()}
	item := delivery.Item{Request: change.Request, Record: change.Record}
	require.Error(t, alerts.Deliver(t.Context(), item))
	topic.down = false
	require.NoError(t, alerts.Deliver(t.Context(), item))
	assert.Len(t, topic.messages, 1)
}
