// Package audit brings each audit record to where auditors look: a log group of its own and,
// where there is one, a bucket whose objects nobody can change.
package audit

import (
	"encoding/json"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
)

// timeFormat is RFC 3339 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// document is a record as auditors read it, by itself: who did what and when, why they did, and
// by which rule they could. A record has the same document whenever it is made.
type document struct {
	RequestID string `json:"request_id"`
	Sequence  int    `json:"sequence"` // from 1 on, without a gap
	At        string `json:"at"`
	By        string `json:"by"`
	Action    string `json:"action"`
	From      string `json:"from,omitempty"`
	To        string `json:"to"`
	Reason    string `json:"reason,omitempty"`
	Rule      string `json:"rule"`
	Because   string `json:"because,omitempty"`
	Request   facts  `json:"request"`
}

// facts are what the request was for. None of it changes once it is there.
type facts struct {
	Requester       string `json:"requester"`
	Flow            string `json:"flow"`
	Target          string `json:"target"`
	TargetType      string `json:"target_type"`
	Role            string `json:"role"`
	FunctionARN     string `json:"function_arn"`
	Reason          string `json:"reason"`
	DurationSeconds int64  `json:"duration_seconds"`
	Extends         string `json:"extends,omitempty"`
	BreakGlass      bool   `json:"break_glass,omitempty"`
	Terms           string `json:"terms,omitempty"`
	CreatedAt       string `json:"created_at"`

	// The grant, in the records since there is one.
	DatabaseUser string `json:"database_user,omitempty"`
	GrantedAt    string `json:"granted_at,omitempty"`
	ExpiresAt    string `json:"expires_at,omitempty"`
}

// encode makes the document of a record.
func encode(item delivery.Item) ([]byte, error) {
	r, record := item.Request, item.Record
	d := document{
		RequestID: r.ID,
		Sequence:  record.Sequence,
		At:        text(record.At),
		By:        record.By,
		Action:    record.Action,
		From:      string(record.From),
		To:        string(record.To),
		Reason:    record.Reason,
		Rule:      record.Rule,
		Because:   record.Because,
		Request: facts{
			Requester:       r.Requester,
			Flow:            r.Flow,
			Target:          r.Target.Name,
			TargetType:      r.Target.Type,
			Role:            r.Target.RoleName,
			FunctionARN:     r.Target.FunctionARN,
			Reason:          r.Reason,
			DurationSeconds: int64(r.Duration / time.Second),
			Extends:         r.Extends,
			BreakGlass:      r.BreakGlass,
			Terms:           r.Terms,
			CreatedAt:       text(r.CreatedAt),
		},
	}
	switch record.To {
	case request.Active, request.Revoking, request.Done:
		d.Request.DatabaseUser = r.DatabaseUser
		d.Request.GrantedAt, d.Request.ExpiresAt = text(r.GrantedAt), text(r.ExpiresAt)
	}
	encoded, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding the record %d of the request %s: %w", record.Sequence,
			r.ID, err)
	}
	return encoded, nil
}

func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}
