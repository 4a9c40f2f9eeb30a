package trouble

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

const failedSweep = `{"version":"1.0","timestamp":"2026-03-03T14:02:07.123Z","requestContext":{
	"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:sym-main:$LATEST",
	"condition":"RetriesExhausted","approximateInvokeCount":1},"requestPayload":{"type":"sweep"},
	"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},
	"responsePayload":{"errorType":"DatabaseUnavailable","errorMessage":"the database refuses us"}}`

const sweepSays = "The sweep of expired access failed in the function sym-main at " +
	"2026-03-03T14:02:07.123Z: DatabaseUnavailable: the database refuses us."

func newRelay() (*Relay, *channel, *requesttest.Clock, *bytes.Buffer) {
	c, clock, log := &channel{}, requesttest.NewClock(), &bytes.Buffer{}
	return &Relay{
		Poster: c, Notes: requesttest.NewMemory(), Topic: topicARN, Now: clock.Now,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}, c, clock, log
}

// message is an event from SNS as the function receives it.
func message(t *testing.T, topic, subject, text string, attributes string) events.SNSEvent {
	t.Helper()
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	var event events.SNSEvent
	require.NoError(t, json.Unmarshal([]byte(`{"Records":[{"EventSource":"aws:sns","EventVersion":
		"1.0","EventSubscriptionArn":"x","Sns":{"Type":"Notification","MessageId":"1","TopicArn":"`+
		topic+`","Subject":"`+subject+`","Message":`+string(quoted)+`,
		"Timestamp":"2026-03-03T14:02:08.000Z","MessageAttributes":`+attributes+`}}]}`), &event))
	return event
}

// TestRelay checks the text for each kind of message.
func TestRelay(t *testing.T) {
	for _, test := range []struct {
		name, subject, text string
		want                request.Trouble
	}{
		{"a sweep that failed", "", failedSweep, request.Trouble{
			What: sweepSays,
			Do: "Make sure that the database and the function can be reached. The sweep runs again by " +
				"itself; until it succeeds, only the workflows take access away."}},
		{"a step that was never run", "", `{"timestamp":"2026-03-03T14:02:07Z","requestContext":{
			"functionArn":"arn:aws:lambda:us-east-1:123456789012:function:sym-main-runtime",
			"condition":"EventAgeExceeded"},"requestPayload":{"step":"reconcile"}}`, request.Trouble{
			What: "The step reconcile failed in the function sym-main-runtime at " +
				"2026-03-03T14:02:07Z: it did not run in time (EventAgeExceeded).",
			Do: "Read the function's log."}},
		{"an alarm", "ALARM: x", `{"AlarmName":"sym-main-runtime-errors","AlarmDescription":"The ` +
			`Runtime function failed. Its log says why.","NewStateValue":"ALARM","NewStateReason":` +
			`"Threshold Crossed: 1 datapoint","StateChangeTime":"2026-03-03T14:02:00.000+0000",` +
			`"Trigger":{"MetricName":"Errors"}}`, request.Trouble{
			What: `The alarm "sym-main-runtime-errors" is on. The Runtime function failed. Its log ` +
				"says why.",
			Do: "See CloudWatch for when it began, and read the function's log. CloudWatch's reason: " +
				"Threshold Crossed: 1 datapoint."}},
		{"an alarm of another account", "ALARM: x", `{"AlarmName":"sym-orders-errors","AlarmDescription":` +
			`"The function that changes roles failed.","NewStateValue":"ALARM","NewStateReason":"x",` +
			`"AWSAccountId":"222222222222"}`, request.Trouble{
			What: `The alarm "sym-orders-errors" in the account 222222222222 is on. The function that ` +
				"changes roles failed.",
			Do: "See CloudWatch for when it began, and read the function's log. CloudWatch's reason: x."}},
		{"a function of another account", "", `{"requestContext":{"functionArn":` +
			`"arn:aws:lambda:us-east-1:222222222222:function:sym-orders","condition":"EventAgeExceeded"}}`,
			request.Trouble{
				What: "A call failed in the function sym-orders in the account 222222222222: it did not " +
					"run in time (EventAgeExceeded).",
				Do: "Read the function's log."}},
		{"an alarm that is over", "OK: x", `{"AlarmName":"a","NewStateValue":"OK",` +
			`"NewStateReason":"All is well"}`, request.Trouble{
			What: `The alarm "a" is now OK: All is well.`}},
		{"a state machine's", "A role could not be taken back", "The role of the request x.",
			request.Trouble{What: "The role of the request x."}},
		{"JSON that nobody knows", "News", `{"a":1}`, request.Trouble{What: `News: {"a":1}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, channel, _, log := newRelay()
			r.Handle(t.Context(), message(t, topicARN, test.subject, test.text, "{}"))
			assert.Equal(t, []request.Trouble{test.want}, channel.posted)
			assert.Empty(t, log.String())
		})
	}
}

// TestRelayPassesOver checks what is not posted.
func TestRelayPassesOver(t *testing.T) {
	t.Run("what the Runtime has posted itself", func(t *testing.T) {
		reporter, topic, _, _ := newReporter(t)
		require.NoError(t, reporter.Tell(t.Context(), request.Trouble{What: "The grant failed."}))
		require.Len(t, topic.messages, 1)
		sent := topic.messages[0]
		assert.Equal(t, "sym_origin", sent.Get("MessageAttributes.entry.1.Name"))
		r, channel, _, _ := newRelay()
		r.Handle(t.Context(), message(t, topicARN, "", sent.Get("Message"), `{"sym_origin":{"Type":"`+
			sent.Get("MessageAttributes.entry.1.Value.DataType")+`","Value":"`+
			sent.Get("MessageAttributes.entry.1.Value.StringValue")+`"}}`))
		assert.Empty(t, channel.posted)
	})
	t.Run("what comes from another topic", func(t *testing.T) {
		r, channel, _, log := newRelay()
		r.Handle(t.Context(), message(t, "arn:aws:sns:us-east-1:123456789012:other", "", "x", "{}"))
		assert.Empty(t, channel.posted)
		assert.Contains(t, log.String(), "another topic")
	})
	t.Run("the same within an hour", func(t *testing.T) {
		r, channel, clock, _ := newRelay()
		for range 3 {
			r.Handle(t.Context(), message(t, topicARN, "", failedSweep, "{}"))
			clock.Advance(time.Minute)
		}
		assert.Len(t, channel.posted, 1)
		clock.Advance(time.Hour)
		r.Handle(t.Context(), message(t, topicARN, "", failedSweep, "{}"))
		assert.Len(t, channel.posted, 2, "it lasts")
		r.Handle(t.Context(), message(t, topicARN, "", `{"AlarmName":"a","NewStateValue":"ALARM",
			"StateChangeTime":"1"}`, "{}"))
		r.Handle(t.Context(), message(t, topicARN, "", `{"AlarmName":"a","NewStateValue":"ALARM",
			"StateChangeTime":"2"}`, "{}"))
		assert.Len(t, channel.posted, 4, "an alarm that comes again is news")
	})
	t.Run("what a sweep says of the same people", func(t *testing.T) {
		r, channel, _, _ := newRelay()
		incomplete := func(said string) events.SNSEvent {
			return message(t, topicARN, "", `{"requestContext":{"functionArn":"arn:aws:lambda:us-east-`+
				`1:1:function:sym-main"},"requestPayload":{"type":"sweep"},"responsePayload":{"errorType":`+
				`"SweepIncomplete","errorMessage":"`+said+`"}}`, "{}")
		}
		r.Handle(t.Context(), incomplete("Role of alice: process 4711 has the lock. (1 of 1)"))
		r.Handle(t.Context(), incomplete("Role of alice: process 815 has the lock. (1 of 3)"))
		require.Len(t, channel.posted, 1)
		assert.Equal(t, "Do what the message says. The sweep tries again by itself, and whatever it "+
			"could end has ended.", channel.posted[0].Do)
		r.Handle(t.Context(), incomplete("Role of alice2: process 815 has the lock. (1 of 1)"))
		assert.Len(t, channel.posted, 2, "another person's access")
	})
	t.Run("more than a few of a kind within an hour", func(t *testing.T) {
		r, channel, clock, _ := newRelay()
		for i := range 50 {
			r.Handle(t.Context(), message(t, topicARN, "A role could not be taken back",
				fmt.Sprintf("The role of the request %d.", i), "{}"))
		}
		require.Len(t, channel.posted, 6)
		assert.Equal(t, "The role of the request 4.", channel.posted[4].What)
		assert.Contains(t, channel.posted[5].What, `more messages "A role could not be taken back"`)
		clock.Advance(time.Hour)
		r.Handle(t.Context(), message(t, topicARN, "A role could not be taken back", "Another.", "{}"))
		assert.Len(t, channel.posted, 7)
	})
	t.Run("anything where there is no channel", func(t *testing.T) {
		r, _, _, log := newRelay()
		r.Poster = nil
		r.Handle(t.Context(), message(t, topicARN, "", failedSweep, "{}"))
		assert.Empty(t, log.String())
	})
}

// TestRelayWithoutSlack checks that a failed post is logged and not returned as an error, and that
// later messages are posted.
func TestRelayWithoutSlack(t *testing.T) {
	r, channel, _, log := newRelay()
	channel.err = errors.New("Slack is down")
	r.Handle(t.Context(), message(t, topicARN, "", failedSweep, "{}"))
	assert.Contains(t, log.String(), "Slack is down")
	channel.err = nil
	r.Handle(t.Context(), message(t, topicARN, "", failedSweep, "{}"))
	assert.Len(t, channel.posted, 1)
}
