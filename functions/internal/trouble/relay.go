package trouble

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/request"
)

// Relay posts in the error channel what others publish to the error topic: messages of the state
// machines, CloudWatch's alarms, and Lambda's reports of failed calls.
type Relay struct {
	Poster Poster // nil where there is no channel
	Notes  Notes
	Topic  string // the ARN of the error topic
	Now    func() time.Time
	Log    *slog.Logger
}

// againAfter is how often the same message is posted: a failing sweep sends one every minute.
const againAfter = time.Hour

// mostOfGroup is how many messages of a kind are posted in an hour: when a database is down, each
// workflow that waits for it sends one.
const mostOfGroup = 5

// noteID is the partition for the notes of what has been posted. No request has this id.
const noteID = "error-topic"

// Handle posts the messages of an event from SNS.
//
// It never fails. A failure of the function would raise an alarm, whose message would come here
// again, and while Slack is down that would not end. The topic's other subscribers have the message
// in any case.
func (r *Relay) Handle(ctx context.Context, event events.SNSEvent) {
	for _, record := range event.Records {
		if err := r.relay(ctx, record.SNS); err != nil {
			r.Log.ErrorContext(ctx, "a message of the error topic could not be posted",
				"message_id", record.SNS.MessageID, "subject", record.SNS.Subject, "error", err.Error())
		}
	}
}

func (r *Relay) relay(ctx context.Context, m events.SNSEntity) error {
	switch {
	case m.TopicArn != r.Topic:
		return fmt.Errorf("it comes from another topic, %s", m.TopicArn)
	case r.Poster == nil || ours(m):
		return nil
	}
	t, key, group := read(m)
	note := r.note("posted", key)
	posted, err := r.Notes.Noted(ctx, noteID, note)
	if err != nil {
		// Posting twice is better than never.
		r.Log.ErrorContext(ctx, "the note of a posted message could not be read", "error", err.Error())
	}
	if posted {
		r.Log.InfoContext(ctx, "a message of the error topic has been posted this hour",
			"message_id", m.MessageID, "subject", m.Subject)
		return nil
	}
	switch place := r.place(ctx, group); {
	case place == mostOfGroup:
		t = request.Trouble{
			What: fmt.Sprintf("The error topic has more messages %q, about other requests.", group),
			Do: "Read them there. This channel gets no more of them this hour, except what the Runtime " +
				"itself reports.",
		}
	case place > mostOfGroup:
		r.Log.InfoContext(ctx, "a message of the error topic is one of too many this hour",
			"message_id", m.MessageID, "subject", m.Subject)
		return nil
	}
	if err := r.Poster.Post(ctx, t); err != nil {
		return err
	}
	_, err = r.Notes.Note(ctx, noteID, note)
	return err
}

// note is the name of a note about this hour.
func (r *Relay) note(about, key string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%s-%s-%d", about, hex.EncodeToString(sum[:16]),
		r.Now().Unix()/int64(againAfter/time.Second))
}

// place takes the next place among the messages of a group this hour, from 0 on.
func (r *Relay) place(ctx context.Context, group string) int {
	if group == "" {
		return 0
	}
	for i := range mostOfGroup + 1 {
		first, err := r.Notes.Note(ctx, noteID, r.note(fmt.Sprintf("place-%d", i), group))
		if err != nil {
			// One message too many is better than none.
			r.Log.ErrorContext(ctx, "messages of a kind could not be counted", "error", err.Error())
			return 0
		}
		if first {
			return i
		}
	}
	return mostOfGroup + 1
}

// ours tells whether the Runtime published a message itself. It has posted it, too.
func ours(m events.SNSEntity) bool {
	attribute, _ := m.MessageAttributes[originAttribute].(map[string]any)
	return attribute["Value"] == originRuntime
}
