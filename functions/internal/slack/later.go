package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// What is done after the reply.
const (
	doSubmit  = "submit"
	doExtend  = "extend"
	doApprove = "approve"
	doDeny    = "deny"
	doRevoke  = "revoke"
	doReview  = "review"
)

// task is what a person has asked for in Slack, on its way to be done. It says which account has
// asked; who that is, and what they may, is looked at when it is done.
type task struct {
	Do         string         `json:"do,omitempty"`
	User       string         `json:"user,omitempty"` // Slack's id of who asked
	ID         string         `json:"id,omitempty"`   // of the request it is about
	Flow       string         `json:"flow,omitempty"`
	Target     string         `json:"target,omitempty"`
	Duration   *time.Duration `json:"duration,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	BreakGlass bool           `json:"break_glass,omitempty"`
	OnlyDenial bool           `json:"only_denial,omitempty"`
	Key        string         `json:"key,omitempty"`
	ReplyTo    string         `json:"reply_to,omitempty"` // Slack's address for an answer
	Answer     bool           `json:"answer,omitempty"`   // also where it went well
	Call       string         `json:"call,omitempty"`     // for the log
}

func (t task) submission() request.Submission {
	return request.Submission{
		Flow: t.Flow, Target: t.Target, Duration: t.Duration, Reason: t.Reason,
		BreakGlass: t.BreakGlass, OnlyDenial: t.OnlyDenial, Key: t.Key,
	}
}

func (t task) extension() request.Extension {
	return request.Extension{
		Duration: t.Duration, Reason: t.Reason, OnlyDenial: t.OnlyDenial, Key: t.Key,
	}
}

// key makes one request of a modal, however often Slack sends it. What was changed in the modal
// after an error is another request.
func (t task) key(view string) string {
	duration := ""
	if t.Duration != nil {
		duration = t.Duration.String()
	}
	return "slack-" + digest(view, t.Do, t.ID, t.Flow, t.Target, duration, t.Reason,
		fmt.Sprint(t.BreakGlass))
}

// metadata is what a modal brings back of the click that opened it.
func (t task) metadata() string {
	encoded, _ := json.Marshal(t) // strings always marshal
	return string(encoded)
}

// read takes from a modal's metadata what was put into it.
func (t *task) read(metadata string) {
	var from task
	if json.Unmarshal([]byte(metadata), &from) == nil {
		t.ID, t.ReplyTo, t.Answer = from.ID, from.ReplyTo, from.Answer
	}
}

// Later does what a person has asked for, after Slack has had its reply. It takes what stands
// under "slack" in the payload of the step [Step]. Doing it again changes nothing.
//
// It fails only where the person could not be told how it went: then it is done once more. What
// fails inside is not tried again by itself, since they have been told to.
func (h *Handler) Later(ctx context.Context, payload json.RawMessage) error {
	if h == nil {
		return errors.New("this Runtime has no Slack")
	}
	var t task
	if err := json.Unmarshal(payload, &t); err != nil {
		return fmt.Errorf("a task from Slack cannot be read: %w", err)
	}
	began := h.Now()
	person, err := h.people.email(ctx, t.User)
	var r request.Request
	if err == nil {
		r, err = h.perform(acting(ctx, t.User), person, t)
	}
	if answer := answer(t, r, person, began); err == nil && answer != "" {
		return h.tell(ctx, t, answer)
	}
	if err == nil || isCode(err, request.DeniedByRule, request.WorkflowNotStarted) {
		return nil // the records of these two bring their own messages
	}
	if person != "" && refusal(err) == "" {
		h.Report(ctx, request.Trouble{
			What: "What somebody did in Slack (" + t.Do + ") failed inside the Runtime.",
			Whom: person, RequestID: t.ID,
			Do: "See whether it took effect: they have been told to try again. The Runtime's log " +
				"has the cause, at the call " + t.Call + ".",
		})
	}
	return h.tell(ctx, t, h.sentence(ctx, t.Call, t.Do, err))
}

func (h *Handler) perform(ctx context.Context, person string, t task) (
	r request.Request, err error,
) {
	switch t.Do {
	case doSubmit:
		r, err = h.Service.Submit(ctx, person, t.submission())
	case doExtend:
		r, err = h.Service.Extend(ctx, person, t.ID, t.extension())
	case doApprove:
		r, err = h.Service.Approve(ctx, person, t.ID, t.Reason)
	case doDeny:
		r, err = h.Service.Deny(ctx, person, t.ID, t.Reason)
	case doRevoke:
		r, err = h.Service.Revoke(ctx, person, t.ID, t.Reason)
	case doReview:
		r, err = h.Service.Review(ctx, person, t.ID, t.Reason)
	default:
		err = fmt.Errorf("there is no task %q", t.Do)
	}
	return r, err
}

// answer is what a person is told who has decided before, or where they clicked in a list: nothing
// has changed that they could see. It is empty where something has.
func answer(t task, r request.Request, person string, began time.Time) string {
	var before *request.Act
	did := ""
	switch t.Do {
	case doApprove:
		did = "approved"
		for _, a := range r.Approvals {
			if a.By == person {
				before = &a
			}
		}
	case doDeny:
		did, before = "denied", r.Decision
		if r.Revocation != nil {
			did, before = "ended", r.Revocation
		}
	case doRevoke:
		did, before = "ended", r.Revocation
	case doReview:
		did, before = "reviewed", r.Review
	}
	// The times of acts are whole milliseconds.
	if before == nil || before.By != person {
		return ""
	}
	already := before.At.Before(began.Truncate(time.Millisecond))
	if !already && !t.Answer {
		return ""
	}
	now := fmt.Sprintf("It is %s now.", r.State)
	if missing := r.ApprovalsNeeded - len(r.Approvals); r.State == request.Requested && missing > 0 {
		now = fmt.Sprintf("It has %d of %d approvals and waits for others.", len(r.Approvals),
			r.ApprovalsNeeded)
	}
	what := fmt.Sprintf("the request of %s for %s", r.Requester, r.Target.RoleName)
	if !already {
		return fmt.Sprintf("You %s %s. %s", did, what, now)
	}
	return fmt.Sprintf("You %s %s already, at %s. %s", did, what, until(before.At), now)
}

// tell says something to who has clicked, and to nobody else: where they clicked, or else in a
// direct message.
func (d desk) tell(ctx context.Context, t task, sentence string) error {
	m := say(sentence)
	if t.ReplyTo != "" {
		err := d.client.respond(ctx, t.ReplyTo, m)
		if err == nil {
			return nil
		}
		d.Log.WarnContext(ctx, "a click could not be answered in its place", "call", t.Call,
			"error", err)
	}
	if !looksLikeUser.MatchString(t.User) {
		return nil
	}
	_, _, err := d.client.post(ctx, t.User, m)
	if refusesForGood(err) {
		d.Log.WarnContext(ctx, "nobody could be told", "call", t.Call, "error", err)
		return nil // Slack will never take it
	}
	return err
}

// isCode tells whether an error is a refusal with one of these codes.
func isCode(err error, codes ...request.Code) bool {
	refused, ok := errors.AsType[*request.Error](err)
	return ok && slices.Contains(codes, refused.Code)
}
