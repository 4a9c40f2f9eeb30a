package event

import (
	"encoding/json"
	"fmt"
	"time"
)

// Code names a reason for a refusal. Codes are stable: callers may compare them.
type Code string

// The reasons why an event can never succeed.
const (
	MalformedEvent  Code = "malformed_event"
	InvalidDuration Code = "invalid_duration"
	InvalidName     Code = "invalid_name"
	UnknownUser     Code = "unknown_user"
	UnknownRole     Code = "unknown_role"
	UserRefused     Code = "user_refused"
	UserTaken       Code = "user_taken"
	RoleNotAllowed  Code = "role_not_allowed"
	RoleNotGranted  Code = "role_not_granted"
	DangerousRole   Code = "dangerous_role"
	CircularRole    Code = "circular_role"
	RunEnded        Code = "run_ended"
	RunMismatch     Code = "run_mismatch"
	NotInstalled    Code = "not_installed"
	// LastingRole is the reason where what the role can make would outlive the grant, and the
	// database's administrator has not allowed it by name.
	LastingRole Code = "lasting_role"
	// UsersNotMade is the reason where this function is set to make unknown users, and the
	// database was not set up for it.
	UsersNotMade Code = "users_not_made"
)

// Refusal is an answer that no repetition will change.
type Refusal struct {
	Code Code
	// Message is a sentence for a person in Slack.
	Message string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

// Refuse makes a [Refusal], with its message formatted like [fmt.Sprintf]'s.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// refuse is Refuse as the error it is returned as.
func refuse(code Code, format string, args ...any) error {
	return Refuse(code, format, args...)
}

// Answer is what the Postgres function returns for every event that it could decide on.
type Answer struct {
	// Body is one of [Escalated], [Deescalated], [Swept], [Status], or {"code": …} where
	// Errors is not empty.
	Body   json.RawMessage `json:"body"`
	Errors Errors          `json:"errors"`
}

// Succeed answers with a body.
func Succeed(body any) (Answer, error) {
	raw, err := json.Marshal(body)
	return Answer{Body: raw}, err
}

// Answer is the refusal as an answer: its code in the body, its message in the errors.
func (r *Refusal) Answer() Answer {
	raw, _ := json.Marshal(map[string]Code{"code": r.Code}) // Two strings always marshal.
	return Answer{Body: raw, Errors: Errors{r.Message}}
}

// Refusal is the reason of an answer with errors, or nil. It is lenient: another function
// behind the same chain may have errors and no code.
func (a Answer) Refusal() *Refusal {
	if len(a.Errors) == 0 {
		return nil
	}
	var body struct {
		Code Code `json:"code"`
	}
	_ = json.Unmarshal(a.Body, &body)
	return &Refusal{Code: body.Code, Message: a.Errors[0]}
}

// Escalated is the body that answers an escalate.
type Escalated struct {
	Run       string    `json:"run"`
	User      string    `json:"user"`
	Role      string    `json:"role"`
	GrantedAt time.Time `json:"granted_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Changed is false where the event was a repetition.
	Changed bool `json:"changed"`
	// Standing is true where the user had the membership before and will keep it.
	Standing bool `json:"standing"`
	// UserMade is true where the user did not exist and was made.
	UserMade bool `json:"user_made,omitempty"`
	// NeedsSetRole is true where the user does not inherit the role's rights: nothing works
	// before SET ROLE.
	NeedsSetRole bool `json:"needs_set_role,omitempty"`
	// CouldLeave says, in sentences, what the holder of the role can make that stays when the
	// role is gone.
	CouldLeave []string `json:"could_leave,omitempty"`
}

// Checked is the body that answers a check: what an escalate would do, without doing it. An
// escalate that would be refused is refused in the same words.
type Checked struct {
	User         string   `json:"user"`
	Role         string   `json:"role"`
	UserMissing  bool     `json:"user_missing,omitempty"` // the escalate would make the user
	NeedsSetRole bool     `json:"needs_set_role,omitempty"`
	CouldLeave   []string `json:"could_leave,omitempty"`
}

// Deescalated is the body that answers a deescalate. User and Role are empty for a run that
// the ledger has never seen.
type Deescalated struct {
	Run  string `json:"run"`
	User string `json:"user"`
	Role string `json:"role"`
	// Changed is false where the run had ended before.
	Changed bool `json:"changed"`
	// SessionsEnded counts the user's sessions that were ended with the membership.
	SessionsEnded int `json:"sessions_ended"`
	// StillMemberThrough names what still gives the user the role: the role itself for a
	// membership of their own (a standing one, or that of another run), or the roles that
	// they are a member of and that are members of it.
	StillMemberThrough []string `json:"still_member_through"`
	// LeftBehind is what was made or granted while the role was held, and still exists. The
	// first [MaxLeftBehind] are listed; LeftBehindMore counts the others.
	LeftBehind     []LeftBehind `json:"left_behind,omitempty"`
	LeftBehindMore int          `json:"left_behind_more,omitempty"`
	// NotLookedFor says why there was no search for what was left behind; empty if there was one.
	NotLookedFor string `json:"not_looked_for,omitempty"`
}

// MaxLeftBehind is how many leftovers an answer lists.
const MaxLeftBehind = 50

// LeftBehind is one thing that was made or given while a role was held.
type LeftBehind struct {
	// Kind is a stable name, such as "owned", "privilege" or "membership".
	Kind string `json:"kind"`
	// What describes it in a few words for a database administrator.
	What string `json:"what"`
	// TakenBack is true where the function has undone it.
	TakenBack bool `json:"taken_back,omitempty"`
}

// Swept is the body that answers a sweep.
type Swept struct {
	Revoked []Revoked `json:"revoked"`
	Failed  []Failed  `json:"failed"`
	// Repaired are memberships that we had granted and that no run accounted for. Run is
	// the name under which the ledger notes that they were taken back.
	Repaired []Revoked `json:"repaired"`
	// Drift is what only a person can put right.
	Drift []Drift `json:"drift"`
}

// Revoked is one run that a sweep has ended.
type Revoked struct {
	Run  string `json:"run"`
	User string `json:"user"`
	Role string `json:"role"`
}

// Failed is one run that a sweep could not end.
type Failed struct {
	Run     string `json:"run"`
	User    string `json:"user"`
	Role    string `json:"role"`
	Message string `json:"message"`
}

// Status is the body that answers the question for the status.
type Status struct {
	Active []Active `json:"active"`
	Drift  []Drift  `json:"drift"`
}

// The kinds of [Drift].
const (
	// DriftLeftover is a membership that we granted and that no run accounts for. A sweep
	// takes it back.
	DriftLeftover = "leftover"
	// DriftMissing is a run that has its role in the ledger and not in the catalogue.
	DriftMissing = "missing"
	// DriftChanged is a run whose membership was changed by somebody else.
	DriftChanged = "changed"
	// DriftExposed is a right to the ledger that nobody but the function should have, or a
	// protection of the ledger that is missing.
	DriftExposed = "exposed"
	// DriftTarget is a role that may be handed out and by now should not be.
	DriftTarget = "target"
	// DriftLeftBehind is what the holder of a run that has ended left behind.
	DriftLeftBehind = "left_behind"
)

// Drift is a difference between the ledger and the catalogue.
type Drift struct {
	Kind string `json:"kind"`
	// Run is empty for a leftover.
	Run  string `json:"run,omitempty"`
	User string `json:"user"`
	Role string `json:"role"`
	// Message is a sentence for a database administrator.
	Message string `json:"message"`
}

// Active is one run that holds its role.
type Active struct {
	Run       string    `json:"run"`
	User      string    `json:"user"`
	Role      string    `json:"role"`
	Requester string    `json:"requester"`
	Reason    string    `json:"reason"`
	GrantedAt time.Time `json:"granted_at"`
	ExpiresAt time.Time `json:"expires_at"`
}
