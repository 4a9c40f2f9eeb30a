package rules

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sym-postgres-quickstart/functions/internal/email"
)

// The names of the rules that are not named in the document.
const (
	RuleRequesters      = "requesters"
	RuleRequestWhen     = "request_when"
	RuleApprovers       = "approvers"
	RuleBackupApprovers = "backup_approvers"
	RuleApproveWhen     = "approve_when"
	RuleBreakGlass      = "break_glass"
)

// Person is somebody as the rules see them.
type Person struct {
	Email  string
	Groups []string
}

// Input is a request as the rules see it.
type Input struct {
	Flow, Target, Role, Reason string
	Duration                   time.Duration
	Extension, BreakGlass      bool
	Requester                  Person
	Now                        time.Time
}

// Match is a rule that decided something, or failed to.
type Match struct {
	// Rule is its name, such as `deny "weekend"` or "request_when".
	Rule string
	// Message is what a denial tells the requester.
	Message string
	// Because is why, for people: the condition, and the values of the variables in it.
	Because string
	// Err is an [*EvaluationError] where the condition could not be evaluated.
	Err error
}

// values are what conditions on a request can read.
func (in Input) values() map[string]any {
	return map[string]any{
		"request.flow":        in.Flow,
		"request.target":      in.Target,
		"request.role":        in.Role,
		"request.reason":      in.Reason,
		"request.duration":    in.Duration,
		"request.extension":   in.Extension,
		"request.break_glass": in.BreakGlass,
		"requester.email":     email.Fold(in.Requester.Email),
		"requester.groups":    groups(in.Requester),
		"now":                 in.Now.UTC(),
	}
}

// groups is never nil, which would be another type.
func groups(p Person) []string {
	if p.Groups == nil {
		return []string{}
	}
	return p.Groups
}

// Denied returns the first rule that denies a request outright, or that might and cannot be
// evaluated: then the match has an error.
func (r *Rules) Denied(ctx context.Context, in Input) (Match, bool) {
	values := in.values()
	for i, c := range r.deny {
		if m, holds := c.holds(ctx, values); holds || m.Err != nil {
			m.Message = r.document.Deny[i].Message
			return m, true
		}
	}
	return Match{}, false
}

// ApprovedAtOnce returns the first rule by which a request needs no approval, and those
// that could not be evaluated on the way to it.
func (r *Rules) ApprovedAtOnce(ctx context.Context, in Input) (m Match, ok bool, failed []Match) {
	values := in.values()
	for _, c := range r.approveAtOnce {
		m, holds := c.holds(ctx, values)
		if holds {
			return m, true, failed
		}
		if m.Err != nil {
			failed = append(failed, m)
		}
	}
	return Match{}, false, failed
}

// MayRequest tells whether somebody may ask for what they ask for, and by which rule they may
// or may not.
func (r *Rules) MayRequest(ctx context.Context, in Input) (Match, bool) {
	m := Match{Rule: RuleRequesters}
	switch who := in.Requester.Email; {
	case !email.Valid(who):
		m.Because = show(who) + " is not an e-mail address that anybody here can have"
		return m, false
	case len(r.document.Requesters) == 0:
		m.Because = "everybody who is known here may ask"
	case !on(r.document.Requesters, who):
		m.Because = who + " is not one of those who may ask"
		return m, false
	default:
		m.Because = who + " is one of those who may ask"
	}
	return r.also(ctx, m, r.requestWhen, in.values())
}

// on tells whether somebody is on a list.
func on(list []string, who string) bool { return slices.Contains(list, email.Fold(who)) }

// also adds a condition to a list that somebody is on.
func (r *Rules) also(ctx context.Context, list Match, c *condition, values map[string]any) (
	Match, bool,
) {
	if c == nil {
		return list, true
	}
	m, holds := c.holds(ctx, values)
	if holds {
		list.Because += "; " + m.Because
		return list, true
	}
	return m, false
}

// MayApprove tells whether somebody may approve a request that was made at that time, and by
// which rule they may or may not: approvers, back-up approvers once their time has come, and
// the condition on both. It does not ask whether the request is their own.
func (r *Rules) MayApprove(ctx context.Context, in Input, approver Person, created time.Time) (
	Match, bool,
) {
	var m Match
	from := created.Add(time.Duration(r.document.BackupAfterSeconds) * time.Second)
	switch {
	case on(r.document.Approvers, approver.Email):
		m = Match{Rule: RuleApprovers, Because: approver.Email + " is an approver"}
	case !on(r.document.BackupApprovers, approver.Email):
		return Match{Rule: RuleApprovers, Because: approver.Email + " is not an approver"}, false
	case in.Now.Before(from):
		return Match{Rule: RuleBackupApprovers, Because: fmt.Sprintf("%s is a back-up approver, "+
			"whose time comes at %s", approver.Email, from.UTC().Format(time.RFC3339))}, false
	default:
		m = Match{Rule: RuleBackupApprovers, Because: fmt.Sprintf("%s is a back-up approver, "+
			"whose time came at %s", approver.Email, from.UTC().Format(time.RFC3339))}
	}
	values := in.values()
	values["approver.email"] = email.Fold(approver.Email)
	values["approver.groups"] = groups(approver)
	return r.also(ctx, m, r.approveWhen, values)
}

// MayBreakGlass tells whether somebody may approve their own request in an emergency.
func (r *Rules) MayBreakGlass(ctx context.Context, in Input) (Match, bool) {
	m := Match{Rule: RuleBreakGlass}
	glass := r.document.BreakGlass
	if glass == nil {
		m.Because = "no rule allows it to anybody"
		return m, false
	}
	if !on(glass.People, in.Requester.Email) {
		m.Because = in.Requester.Email + " is not one of those who may"
		return m, false
	}
	longest := time.Duration(glass.MaxDurationSeconds) * time.Second
	if longest > 0 && in.Duration > longest {
		m.Because = fmt.Sprintf("it is for %s at most, not for %s", span(longest),
			span(in.Duration))
		return m, false
	}
	m.Because = in.Requester.Email + " is one of those who may"
	return r.also(ctx, m, r.breakGlass, in.values())
}
