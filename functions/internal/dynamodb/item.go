package dynamodb

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	prefixRequest = "request#"
	sortRequest   = "request"
	prefixRecord  = "audit#"
	kindRequest   = "request"

	// timeFormat is RFC 3339 in UTC with milliseconds: its text sorts as time does.
	timeFormat = "2006-01-02T15:04:05.000Z"
)

func sortRecord(sequence int) string { return fmt.Sprintf("%s%04d", prefixRecord, sequence) }

// item is a request as the table has it, without its keys and without the tokens: those are
// written by themselves only, see [Store.Apply].
type item struct {
	Kind            string     `dynamodbav:"kind"`
	ID              string     `dynamodbav:"id"`
	Flow            string     `dynamodbav:"flow"`
	Target          targetItem `dynamodbav:"target"`
	Requester       string     `dynamodbav:"requester"`
	Reason          string     `dynamodbav:"reason"`
	Duration        int64      `dynamodbav:"duration_seconds"`
	Extends         string     `dynamodbav:"extends,omitempty"`
	Prolongs        bool       `dynamodbav:"prolongs,omitempty"`
	BreakGlass      bool       `dynamodbav:"break_glass,omitempty"`
	Terms           string     `dynamodbav:"terms,omitempty"`
	Fingerprint     string     `dynamodbav:"fingerprint,omitempty"`
	Account         string     `dynamodbav:"account,omitempty"`
	NeedsSetRole    bool       `dynamodbav:"needs_set_role,omitempty"`
	CouldLeave      []string   `dynamodbav:"could_leave,omitempty"`
	LeftBehind      []leftItem `dynamodbav:"left_behind,omitempty"`
	LeftBehindMore  int        `dynamodbav:"left_behind_more,omitempty"`
	NotLookedFor    string     `dynamodbav:"not_looked_for,omitempty"`
	Workflow        string     `dynamodbav:"state_machine_arn"`
	LambdaConnector string     `dynamodbav:"lambda_connector_arn"`
	Channel         string     `dynamodbav:"channel,omitempty"`
	ApprovalTimeout int64      `dynamodbav:"approval_timeout_seconds"`
	BackupAfter     int64      `dynamodbav:"backup_after_seconds,omitempty"`
	BackupApprovers []string   `dynamodbav:"backup_approvers,omitempty"`
	Approvers       []string   `dynamodbav:"approvers,omitempty"`
	Asked           []string   `dynamodbav:"asked,omitempty"`
	TellApprovers   string     `dynamodbav:"tell_approvers,omitempty"`
	State           string     `dynamodbav:"state"`
	Version         int        `dynamodbav:"version"`
	CreatedAt       string     `dynamodbav:"created_at"`
	UpdatedAt       string     `dynamodbav:"updated_at"`
	GrantedAt       string     `dynamodbav:"granted_at,omitempty"`
	ExpiresAt       string     `dynamodbav:"expires_at,omitempty"`
	DoneAt          string     `dynamodbav:"done_at,omitempty"`
	DatabaseUser    string     `dynamodbav:"database_user,omitempty"`
	Failure         string     `dynamodbav:"failure,omitempty"`
	Approvals       []actItem  `dynamodbav:"approvals,omitempty"`
	ApprovalsNeeded int        `dynamodbav:"approvals_needed,omitempty"`
	Decision        *actItem   `dynamodbav:"decision,omitempty"`
	Revocation      *actItem   `dynamodbav:"revocation,omitempty"`
	ReviewDue       string     `dynamodbav:"review_due,omitempty"`
	Review          *actItem   `dynamodbav:"review,omitempty"`

	// These two are there as long as the request is open, or its review is due: what has come
	// to an end is not in the index by_deadline.
	Open     string `dynamodbav:"open,omitempty"`
	Deadline string `dynamodbav:"deadline,omitempty"`
}

const stillOpen = "open"

// vanishing are the attributes that an item may have had before and has no more: a transition
// removes those that it does not set.
var vanishing = []string{"open", "deadline", "review_due", "needs_set_role", "could_leave"}

// storedItem is an item as it is read.
type storedItem struct {
	item
	AskToken  string `dynamodbav:"ask_token"`
	HoldToken string `dynamodbav:"hold_token"`
}

type targetItem struct {
	Name            string `dynamodbav:"name"`
	Label           string `dynamodbav:"label,omitempty"`
	Type            string `dynamodbav:"type"`
	FunctionARN     string `dynamodbav:"function_arn"`
	RoleName        string `dynamodbav:"role_name"`
	DefaultDuration int64  `dynamodbav:"default_duration_seconds"`
	MaxDuration     int64  `dynamodbav:"max_duration_seconds"`
	Connect         string `dynamodbav:"connect,omitempty"`
}

type leftItem struct {
	Kind      string `dynamodbav:"kind"`
	What      string `dynamodbav:"what"`
	TakenBack bool   `dynamodbav:"taken_back,omitempty"`
}

type actItem struct {
	Action  string `dynamodbav:"action"`
	By      string `dynamodbav:"by"`
	At      string `dynamodbav:"at"`
	Reason  string `dynamodbav:"reason,omitempty"`
	Rule    string `dynamodbav:"rule"`
	Because string `dynamodbav:"because,omitempty"`
}

// recordItem is an audit record. It repeats what the request was for, so that it can be read
// by itself. It is in no index but by_outbox, and there only until it is delivered.
type recordItem struct {
	actItem
	RequestID string `dynamodbav:"request_id"`
	Sequence  int    `dynamodbav:"sequence"`
	From      string `dynamodbav:"from,omitempty"`
	To        string `dynamodbav:"to"`
	Requester string `dynamodbav:"requester"`
	Flow      string `dynamodbav:"flow"`
	Target    string `dynamodbav:"target"`
	ExpiresAt string `dynamodbav:"expires_at,omitempty"`

	// These two are there until every sink has it.
	Todo   []string `dynamodbav:"todo,stringset,omitempty"`
	Outbox string   `dynamodbav:"outbox,omitempty"`
}

func toItem(r request.Request) item {
	i := item{
		Kind: kindRequest,
		ID:   r.ID,
		Flow: r.Flow,
		Target: targetItem{
			Name:            r.Target.Name,
			Label:           r.Target.Label,
			Type:            r.Target.Type,
			FunctionARN:     r.Target.FunctionARN,
			RoleName:        r.Target.RoleName,
			DefaultDuration: seconds(r.Target.DefaultDuration),
			MaxDuration:     seconds(r.Target.MaxDuration),
			Connect:         r.Target.Connect,
		},
		Requester:       r.Requester,
		Reason:          r.Reason,
		Duration:        seconds(r.Duration),
		Extends:         r.Extends,
		Prolongs:        r.Prolongs,
		BreakGlass:      r.BreakGlass,
		Terms:           r.Terms,
		Fingerprint:     r.Fingerprint,
		Account:         r.Account,
		NeedsSetRole:    r.NeedsSetRole,
		CouldLeave:      r.CouldLeave,
		LeftBehindMore:  r.LeftBehindMore,
		NotLookedFor:    r.NotLookedFor,
		Workflow:        r.Workflow,
		LambdaConnector: r.LambdaConnector,
		Channel:         r.Channel,
		ApprovalTimeout: seconds(r.ApprovalTimeout),
		BackupAfter:     seconds(r.BackupAfter),
		BackupApprovers: r.BackupApprovers,
		Approvers:       r.Approvers,
		Asked:           r.Asked,
		TellApprovers:   string(r.TellApprovers),
		State:           string(r.State),
		Version:         r.Version,
		CreatedAt:       text(r.CreatedAt),
		UpdatedAt:       text(r.UpdatedAt),
		GrantedAt:       text(r.GrantedAt),
		ExpiresAt:       text(r.ExpiresAt),
		DoneAt:          text(r.DoneAt),
		DatabaseUser:    r.DatabaseUser,
		Failure:         r.Failure,
		ApprovalsNeeded: r.ApprovalsNeeded,
		Decision:        toActItem(r.Decision),
		Revocation:      toActItem(r.Revocation),
		ReviewDue:       text(r.ReviewDue),
		Review:          toActItem(r.Review),
	}
	for _, approval := range r.Approvals {
		i.Approvals = append(i.Approvals, *toActItem(&approval))
	}
	for _, left := range r.LeftBehind {
		i.LeftBehind = append(i.LeftBehind, leftItem(left))
	}
	if deadline := r.Deadline(); !deadline.IsZero() {
		i.Open, i.Deadline = stillOpen, text(deadline)
	}
	return i
}

func toActItem(act *request.Act) *actItem {
	if act == nil {
		return nil
	}
	return &actItem{
		Action: act.Action, By: act.By, At: text(act.At), Reason: act.Reason, Rule: act.Rule,
		Because: act.Because,
	}
}

func (s *Store) toRecordItem(change request.Change) recordItem {
	r, record := change.Request, change.Record
	item := recordItem{
		actItem:   *toActItem(&record.Act),
		RequestID: r.ID,
		Sequence:  record.Sequence,
		From:      string(record.From),
		To:        string(record.To),
		Requester: r.Requester,
		Flow:      r.Flow,
		Target:    r.Target.Name,
		ExpiresAt: text(r.ExpiresAt),
		Todo:      s.sinks,
	}
	if len(s.sinks) > 0 {
		item.Outbox = inOutbox
	}
	return item
}

func fromItem(attributes values) (request.Request, error) {
	var stored storedItem
	if err := attributevalue.UnmarshalMap(attributes, &stored); err != nil {
		return request.Request{}, fmt.Errorf("decoding a request: %w", err)
	}
	var p parser
	r := request.Request{
		ID:   stored.ID,
		Flow: stored.Flow,
		Target: request.Target{
			Name:            stored.Target.Name,
			Label:           stored.Target.Label,
			Type:            stored.Target.Type,
			FunctionARN:     stored.Target.FunctionARN,
			RoleName:        stored.Target.RoleName,
			DefaultDuration: duration(stored.Target.DefaultDuration),
			MaxDuration:     duration(stored.Target.MaxDuration),
			Connect:         stored.Target.Connect,
		},
		Requester:       stored.Requester,
		Reason:          stored.Reason,
		Duration:        duration(stored.Duration),
		Extends:         stored.Extends,
		Prolongs:        stored.Prolongs,
		BreakGlass:      stored.BreakGlass,
		Terms:           stored.Terms,
		Fingerprint:     stored.Fingerprint,
		Account:         stored.Account,
		NeedsSetRole:    stored.NeedsSetRole,
		CouldLeave:      stored.CouldLeave,
		LeftBehindMore:  stored.LeftBehindMore,
		NotLookedFor:    stored.NotLookedFor,
		Workflow:        stored.Workflow,
		LambdaConnector: stored.LambdaConnector,
		Channel:         stored.Channel,
		ApprovalTimeout: duration(stored.ApprovalTimeout),
		BackupAfter:     duration(stored.BackupAfter),
		BackupApprovers: stored.BackupApprovers,
		Approvers:       stored.Approvers,
		Asked:           stored.Asked,
		TellApprovers:   request.Telling(stored.TellApprovers),
		State:           request.State(stored.State),
		Version:         stored.Version,
		CreatedAt:       p.time(stored.CreatedAt),
		UpdatedAt:       p.time(stored.UpdatedAt),
		GrantedAt:       p.time(stored.GrantedAt),
		ExpiresAt:       p.time(stored.ExpiresAt),
		DoneAt:          p.time(stored.DoneAt),
		DatabaseUser:    stored.DatabaseUser,
		Failure:         stored.Failure,
		ApprovalsNeeded: stored.ApprovalsNeeded,
		Decision:        p.act(stored.Decision),
		Revocation:      p.act(stored.Revocation),
		ReviewDue:       p.time(stored.ReviewDue),
		Review:          p.act(stored.Review),
		AskToken:        stored.AskToken,
		HoldToken:       stored.HoldToken,
	}
	for _, left := range stored.LeftBehind {
		r.LeftBehind = append(r.LeftBehind, request.Leftover(left))
	}
	for _, approval := range stored.Approvals {
		r.Approvals = append(r.Approvals, *p.act(&approval))
	}
	if p.err != nil {
		return request.Request{}, fmt.Errorf("decoding the request %s: %w", stored.ID, p.err)
	}
	return r, nil
}

func fromRecordItem(attributes values) (request.Record, error) {
	var stored recordItem
	if err := attributevalue.UnmarshalMap(attributes, &stored); err != nil {
		return request.Record{}, fmt.Errorf("decoding an audit record: %w", err)
	}
	var p parser
	record := request.Record{
		Sequence: stored.Sequence,
		Act:      *p.act(&stored.actItem),
		From:     request.State(stored.From),
		To:       request.State(stored.To),
	}
	if p.err != nil {
		return request.Record{}, fmt.Errorf("decoding an audit record of the request %s: %w",
			stored.RequestID, p.err)
	}
	return record, nil
}

// parser reads times and remembers the first that is none.
type parser struct{ err error }

func (p *parser) time(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(timeFormat, s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return t
}

func (p *parser) act(stored *actItem) *request.Act {
	if stored == nil {
		return nil
	}
	return &request.Act{
		Action: stored.Action, By: stored.By, At: p.time(stored.At), Reason: stored.Reason,
		Rule: stored.Rule, Because: stored.Because,
	}
}

func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func duration(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }
