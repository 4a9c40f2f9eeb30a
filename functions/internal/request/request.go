// Package request is the domain of the Runtime: a person's request for a database role, the
// states it goes through, who may take it from one to the next, and the record that each step
// leaves behind. It knows nothing of AWS; what it needs from there stands in its interfaces.
package request

import (
	"slices"
	"time"
)

// State is how far a request has come.
type State string

// The states of a request. Denied, Expired, Failed and Done are ends.
const (
	Requested State = "requested" // waits for a decision
	Approved  State = "approved"  // will be granted in a moment
	Denied    State = "denied"    // somebody said no, or the requester withdrew it
	Expired   State = "expired"   // nobody decided in time, or nobody could
	Active    State = "active"    // the role is granted
	Failed    State = "failed"    // nothing is granted, see Failure
	Revoking  State = "revoking"  // the role will be taken away in a moment
	Done      State = "done"      // the role has been taken away
)

// States lists every state, in the order in which a request meets them.
var States = []State{Requested, Approved, Denied, Expired, Active, Failed, Revoking, Done}

// transitions says which state may follow which. A requested request fails where its workflow
// could not be started; an approved one where the grant was refused or had to be given up. An
// approved one that is withdrawn goes to Revoking at once: the grant may be in progress, so the
// role has to be taken away before the request ends.
var transitions = map[State][]State{
	Requested: {Approved, Denied, Expired, Failed},
	Approved:  {Active, Failed, Revoking},
	Active:    {Revoking},
	Revoking:  {Done},
}

// The rules that let a transition happen, as the audit records name them.
const (
	RuleRequester       = "requester"        // it is the requester's own request
	RuleApprover        = "approver"         // the person is one of the target's approvers
	RuleBackupApprover  = "backup_approver"  // the same, and the time of the back-ups has come
	RuleSelfApproval    = "self_approval"    // the flow lets requesters approve their own
	RuleApprovalTimeout = "approval_timeout" // nobody decided in the time the flow gives
	RuleExpiry          = "expiry"           // the time that was asked for is over
	RuleGranted         = "granted"          // the target's function has granted the role
	RuleRefused         = "refused"          // the target's function will never grant it
	RuleRevoked         = "revoked"          // the target's function has taken the role away
	RuleWorkflowFailure = "workflow_failure" // the workflow could not do its part
	RuleFlowRemoved     = "flow_removed"     // Terraform removes the flow
	RuleReviewDue       = "review_due"       // nobody has reviewed a break-glass yet
)

// NobodyDecided is the reason of [RuleApprovalTimeout].
const NobodyDecided = "Nobody decided in the time that the flow gives."

// What stands in an audit record where no person did it.
const (
	ByWorkflow = "workflow"
	ByRules    = "rules" // what the flow's rules decided by themselves
)

// ReviewEvery is how often a break-glass that nobody has reviewed is brought to mind.
const ReviewEvery = 24 * time.Hour

// Request is one person's request for one role.
//
// What it was asked for is copied into it from the flow's configuration, so that what was
// approved is what gets granted, and what was granted can be taken away, even if the flow is
// changed or removed meanwhile. Who may decide is read from the configuration at that moment.
type Request struct {
	ID         string
	Flow       string
	Target     Target
	Requester  string // an e-mail address, see [Email]
	Reason     string
	Duration   time.Duration // whole seconds
	Extends    string        // the id of the request whose access this one was asked to prolong
	Prolongs   bool          // asked for by who had the target already, extending it or not
	BreakGlass bool          // asked for without waiting for anybody, to be reviewed afterwards
	Terms      string        // the rules that applied when it was asked for, in a sentence
	// Fingerprint is of what was asked for, where that came with an idempotency key.
	Fingerprint string
	// Account is the account with which the requester asked, see [WithAccount]. It stays the same
	// when their address changes. Empty if unknown.
	Account string

	// NeedsSetRole says that the role works only after SET ROLE: the database user does not
	// inherit it. Before the grant it is the prediction of the target's function.
	NeedsSetRole bool
	// CouldLeave describes, in sentences, what the role's holder can create that outlives the
	// grant.
	CouldLeave []string
	// LeftBehind lists the first of the objects and privileges that were created while the role
	// was held and remained when it was taken away. LeftBehindMore counts the others.
	LeftBehind     []Leftover
	LeftBehindMore int
	NotLookedFor   string // why no search for leftovers was made

	Workflow        string // the ARN of the flow's state machine
	LambdaConnector string // the ARN of the role that may invoke the target's function
	Channel         string // where the flow posts its requests
	ApprovalTimeout time.Duration
	BackupAfter     time.Duration // when back-up approvers are asked as well; zero for never
	BackupApprovers []string      // as they were when it was asked for; e-mail addresses
	Approvers       []string      // the same
	// Asked lists who could approve it, back-up approvers too, by the rules of when it was asked
	// for. TellApprovers says how they are told.
	Asked           []string
	TellApprovers   Telling
	State           State
	Version         int // 1 after its creation, one more with every record
	CreatedAt       time.Time
	UpdatedAt       time.Time
	GrantedAt       time.Time // zero until it is active
	ExpiresAt       time.Time // zero until it is active
	DoneAt          time.Time // zero until it is done
	DatabaseUser    string    // who holds the role in the database; empty until it is active
	Failure         string    // a sentence for the requester, in the state failed
	Approvals       []Act     // those that were given so far; the last one is the Decision
	ApprovalsNeeded int       // how many it takes, as of the last look at the rules
	Decision        *Act      // who or what approved or denied it, or that nobody did
	Revocation      *Act      // who or what ended it
	ReviewDue       time.Time // when a break-glass is brought to mind; zero where none is due
	Review          *Act      // who reviewed a break-glass
	AskToken        string    // answers the workflow's wait for a decision
	HoldToken       string    // answers the workflow's wait for the end

	// Stuck is why the last try to grant the role, or to take it away, has failed, as long as
	// neither has succeeded. It is kept beside the request: only [WithStuck] sets it.
	Stuck *Failure
}

// Leftover is an object or privilege that was created while a role was held.
type Leftover struct {
	Kind      string // a stable name, such as "owned"
	What      string // a few words for a database administrator
	TakenBack bool   // the target's function has undone it
}

// Failure is why a step of a request's workflow failed, at its last try.
type Failure struct {
	Step   string // such as "deescalate"
	Reason string // a sentence
	At     time.Time
}

// Act is what somebody did to a request.
type Act struct {
	Action  string // one of the Action constants
	By      string // an e-mail address, ByWorkflow or ByRules
	At      time.Time
	Reason  string
	Rule    string // one of the Rule constants, or a rule of the flow by its name
	Because string // why that rule matched; empty where the rule says it all
}

// The actions that take a request from one state to the next.
const (
	ActionSubmit  = "submit"
	ActionApprove = "approve"
	ActionDeny    = "deny"
	ActionExpire  = "expire"
	ActionGrant   = "grant"
	ActionFail    = "fail"
	ActionRevoke  = "revoke"
	ActionEnd     = "end"
	ActionReview  = "review"
	ActionRemind  = "remind"
)

// Record is the audit record of one transition: who, what, when, why, and by which rule. What
// changes no state has From and To alike: one approval of several, a review, a reminder.
type Record struct {
	Sequence int // the request's version after the transition
	Act
	From State // empty for the first
	To   State
}

// Change is one transition that is yet to be written. It holds for the version it was made
// from and for no other.
type Change struct {
	Request Request // as it will be
	Record  Record
}

// DecideBy is until when the request can be decided.
func (r Request) DecideBy() time.Time { return r.CreatedAt.Add(r.ApprovalTimeout) }

// BackupFrom is from when on back-up approvers may decide; zero where there are none.
func (r Request) BackupFrom() time.Time {
	if r.BackupAfter <= 0 || len(r.BackupApprovers) == 0 {
		return time.Time{}
	}
	return r.CreatedAt.Add(r.BackupAfter)
}

// AskedNow lists who is asked to approve the request at a time: of those who could approve it all
// but those who have, and back-up approvers only when their time has come.
func (r Request) AskedNow(now time.Time) []string {
	if r.State != Requested {
		return nil
	}
	candidates := r.Asked
	if candidates == nil { // it was made before this was written down
		candidates = slices.Concat(r.Approvers, r.BackupApprovers)
	}
	from := r.BackupFrom()
	backups := !from.IsZero() && !now.Before(from)
	var asked []string
	for _, who := range candidates {
		if who != r.Requester && !r.approvedBy(who) && !slices.Contains(asked, who) &&
			(slices.Contains(r.Approvers, who) || backups) {
			asked = append(asked, who)
		}
	}
	return asked
}

// Ended tells whether no access is left of the request, and none will come.
func (r Request) Ended() bool { return r.State.Ended() }

// Withdrawn tells whether the request was ended, and no grant is known.
func (r Request) Withdrawn() bool { return r.Revocation != nil && r.GrantedAt.IsZero() }

// OverdueSince is the time at which the role should have been taken away; zero if that is yet to
// come, or done.
func (r Request) OverdueSince(now time.Time) time.Time {
	var since time.Time
	switch {
	case r.State == Revoking && r.Revocation != nil:
		since = r.Revocation.At
	case r.State == Revoking:
		since = r.UpdatedAt
	case r.State != Active:
		return time.Time{}
	}
	if since.IsZero() || !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(since) {
		since = r.ExpiresAt
	}
	if now.Before(since) {
		return time.Time{}
	}
	return since
}

// SameAccess tells whether another request is by the same person for the same target.
func (r Request) SameAccess(other Request) bool {
	return r.Requester == other.Requester && r.Flow == other.Flow &&
		r.Target.Name == other.Target.Name
}

// HeldAt tells whether the role was granted by this request at a time.
func (r Request) HeldAt(t time.Time) bool {
	return !r.GrantedAt.IsZero() && !r.GrantedAt.After(t) &&
		(r.DoneAt.IsZero() || r.DoneAt.After(t))
}

// Deadline is when the request's workflow should have taken it out of its state; zero where
// it has come to an end and no review is due. What is still open after that is either late,
// with its workflow at work, or has no workflow any more.
func (r Request) Deadline() time.Time {
	switch r.State {
	case Requested, Approved:
		return r.DecideBy()
	case Active:
		return r.ExpiresAt
	case Revoking:
		return r.UpdatedAt // at once
	default:
		return r.ReviewDue
	}
}

// Change prepares the transition to a state. It panics where the state cannot follow, since
// every caller looks at the state first.
func (r Request) Change(to State, act Act) Change {
	if !r.State.mayBecome(to) {
		panic("a request cannot go from " + string(r.State) + " to " + string(to))
	}
	from := r.State
	r.State = to
	r.Version++
	r.UpdatedAt = act.At
	switch to {
	case Approved:
		r.Decision = &act
		r.Approvals = append(slices.Clone(r.Approvals), act)
	case Denied, Expired:
		r.Decision = &act
	case Active:
		r.GrantedAt = act.At
	case Failed:
		r.Failure = act.Reason
	case Revoking:
		r.Revocation = &act
	case Done:
		r.DoneAt = act.At
	}
	return Change{
		Request: r,
		Record:  Record{Sequence: r.Version, Act: act, From: from, To: to},
	}
}

// Note prepares a record that changes no state.
func (r Request) Note(act Act) Change {
	r.Version++
	r.UpdatedAt = act.At
	switch act.Action {
	case ActionApprove:
		r.Approvals = append(slices.Clone(r.Approvals), act)
	case ActionReview:
		r.Review, r.ReviewDue = &act, time.Time{}
	case ActionRemind:
		r.ReviewDue = act.At.Add(ReviewEvery)
	}
	return Change{
		Request: r,
		Record:  Record{Sequence: r.Version, Act: act, From: r.State, To: r.State},
	}
}

func (s State) mayBecome(to State) bool {
	for _, next := range transitions[s] {
		if next == to {
			return true
		}
	}
	return false
}

// Ended tells whether no other state can follow.
func (s State) Ended() bool { return len(transitions[s]) == 0 }

// Known tells whether it is a state at all.
func (s State) Known() bool {
	for _, state := range States {
		if s == state {
			return true
		}
	}
	return false
}
