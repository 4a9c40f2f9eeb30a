package test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/stretchr/testify/require"
)

// auditRecord is a record as the log group and the bucket have it.
type auditRecord struct {
	RequestID string    `json:"request_id"`
	Sequence  int       `json:"sequence"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Action    string    `json:"action"`
	To        string    `json:"to"`
	Rule      string    `json:"rule"`
	Request   struct {
		Requester string `json:"requester"`
		Role      string `json:"role"`
		Reason    string `json:"reason"`
	} `json:"request"`
}

// auditLog is what the log group has of a request.
func (w *world) auditLog(t *testing.T, id string) []auditRecord {
	t.Helper()
	out, err := cloudwatchlogs.NewFromConfig(w.box.Config(w.box.Admin)).GetLogEvents(t.Context(),
		&cloudwatchlogs.GetLogEventsInput{
			LogGroupName: &w.deployment.AuditLogGroup, LogStreamName: &id, StartFromHead: aws.Bool(true),
		})
	if err != nil {
		return nil // not yet
	}
	var records []auditRecord
	for _, event := range out.Events {
		var record auditRecord
		require.NoError(t, json.Unmarshal([]byte(*event.Message), &record))
		records = append(records, record)
	}
	return records
}

func audited(t *testing.T, w *world) {
	e := w.engineer(t)
	r := e.asks(t, 4*time.Second)
	_, err := w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "done")
	story := requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")

	// The log group has each record once, in order, and whole by itself.
	require.Eventually(t, func() bool { return len(w.auditLog(t, r.ID)) >= 5 }, patience,
		200*time.Millisecond)
	records := w.auditLog(t, r.ID)
	require.Len(t, records, 5)
	for i, record := range records {
		require.Equal(t, i+1, record.Sequence)
		require.Equal(t, r.ID, record.RequestID)
		require.Equal(t, story.Audit[i].To, record.To)
		require.Equal(t, story.Audit[i].By, record.By)
		require.Equal(t, story.Audit[i].Rule, record.Rule)
		require.WithinDuration(t, story.Audit[i].At, record.At, 0)
		require.Equal(t, e.Email, record.Request.Requester)
		require.Equal(t, readOnlyRole, record.Request.Role)
	}
}

// whoCouldRead asks who held a role at a moment.
func whoCouldRead(t *testing.T, w *world) {
	e := w.engineer(t)
	r := e.asks(t, 4*time.Second)
	_, err := w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	r = await(t, e.Person, r.ID, "done")
	auditor := w.person(t, "auditor@example.com")
	held := func(at time.Time) bool {
		t.Helper()
		list, err := auditor.List(t.Context(), fmt.Sprintf("held_at=%s&requester=%s&target=%s",
			url.QueryEscape(at.UTC().Format(time.RFC3339Nano)), url.QueryEscape(e.Email), readOnly))
		require.NoError(t, err)
		return len(list) == 1 && list[0].ID == r.ID
	}
	require.False(t, held(r.GrantedAt.Add(-time.Millisecond)))
	require.True(t, held(r.GrantedAt))
	require.True(t, held(r.GrantedAt.Add(r.DoneAt.Sub(r.GrantedAt)/2)))
	require.False(t, held(r.DoneAt))
}
