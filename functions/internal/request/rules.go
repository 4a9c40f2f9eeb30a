package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/rules"
)

// permission is why somebody may do something.
type permission struct{ rule, because string }

// input is a request as the rules see it.
func (f Flow) input(r Request, now time.Time) rules.Input {
	return rules.Input{
		Flow: r.Flow, Target: r.Target.Name, Role: r.Target.RoleName, Reason: r.Reason,
		Duration: r.Duration, Extension: r.Prolongs, BreakGlass: r.BreakGlass,
		Requester: f.person(r.Requester), Now: now,
	}
}

// mayApprove returns by which rule a person may approve a request, or why they may not.
//
// An empty list of approvers opens nothing: it is of use only with self-approval, where it
// says that requesters decide for themselves.
func (s *Service) mayApprove(ctx context.Context, f Flow, r Request, person string) (
	permission, error,
) {
	set, err := s.rulesFor(ctx, f, r, person)
	if err != nil {
		return permission{}, err
	}
	if err := s.stillProlongs(ctx, r); err != nil {
		return permission{}, err
	}
	own := r.Owns(ctx, person)
	d := set.Document()
	if own {
		switch {
		case !d.AllowSelfApproval:
			return permission{}, fail(SelfApproval, "You asked for this access yourself, and the "+
				"flow %s wants another person to approve it. %s", quote(f.Name),
				s.askApprovers(f, r, person))
		case len(d.Approvers) == 0 && person == r.Requester:
			return permission{rule: RuleSelfApproval}, nil
		}
	}
	match, ok := set.MayApprove(ctx, f.input(r, s.now()), f.person(person), r.CreatedAt)
	switch {
	case ok && own:
		return permission{RuleSelfApproval, match.Because}, nil
	case ok && match.Rule == rules.RuleBackupApprovers:
		return permission{RuleBackupApprover, match.Because}, nil
	case ok:
		return permission{RuleApprover, match.Because}, nil
	case match.Err != nil:
		s.reportRule(ctx, f, r, match)
		return permission{}, failBecause(match.Err, NotAnApprover, "You (%s) cannot approve this "+
			"just now, since a rule of the flow %s could not be evaluated: %s", person,
			quote(f.Name), match.Because)
	case own:
		return permission{}, fail(NotAnApprover, "The flow %s lets approvers approve their own "+
			"requests, but you are not one of them. %s", quote(f.Name),
			s.askApprovers(f, r, person))
	case match.Rule == rules.RuleApprovers:
		return permission{}, s.notAnApprover(f, r, person, "") // they are not on the list
	default:
		return permission{}, s.notAnApprover(f, r, person, match.Because)
	}
}

// stillProlongs refuses to extend an access that somebody has ended, be it the requester: an
// approver who does not know of it would give it back.
func (s *Service) stillProlongs(ctx context.Context, r Request) error {
	if r.Extends == "" {
		return nil
	}
	first, err := s.Store.Get(ctx, r.Extends)
	if err != nil {
		return err
	}
	by := first.Revocation
	if by == nil || by.By == ByWorkflow {
		return nil
	}
	return fail(RevokedMeanwhile, "The access that the request %s would extend was revoked by %s "+
		"at %s, so it cannot be extended any more. Deny it; %s can ask for the access anew.", r.ID,
		by.By, stamp(by.At), r.Requester)
}

// mayDeny returns the rule by which a person may deny a request. Its requester may always
// withdraw it. Everybody on its lists may say no, whatever conditions an approval has.
func (s *Service) mayDeny(ctx context.Context, f Flow, r Request, person string) (
	permission, error,
) {
	if r.Owns(ctx, person) {
		return permission{rule: RuleRequester}, nil
	}
	if f.listed(r, person) {
		return permission{rule: RuleApprover}, nil
	}
	if _, err := s.rulesFor(ctx, f, r, person); err != nil {
		return permission{}, err
	}
	return permission{}, s.notAnApprover(f, r, person, "")
}

// mayRevoke returns the rule by which a person may end another's access before its time.
func (s *Service) mayRevoke(f Flow, r Request, person string) (permission, error) {
	if !f.listed(r, person) {
		return permission{}, fail(NotAllowedToRevoke, "You (%s) can neither revoke the access of "+
			"%s nor decide about it: it is theirs, and you are not an approver of the flow %s. %s",
			person, r.Requester, quote(f.Name), s.askApprovers(f, r, person))
	}
	return permission{rule: RuleApprover}, nil
}

// listed tells whether a person is an approver of the request's target, or a back-up of one.
// If the target's rules cannot be read now, the approvers from the time of the request count:
// broken rules, or a target that was taken away, must not keep anybody from ending access.
func (f Flow) listed(r Request, person string) bool {
	approvers, backups := r.Approvers, r.BackupApprovers
	if set := f.Rules(r.Target.Name); set != nil {
		approvers, backups = set.Document().Approvers, set.Document().BackupApprovers
	}
	return slices.Contains(approvers, person) || slices.Contains(backups, person)
}

// rulesFor returns the rules of a request's target. Where the target is not there any more
// nobody is an approver.
func (s *Service) rulesFor(ctx context.Context, f Flow, r Request, person string) (
	*rules.Rules, error,
) {
	if set := f.Rules(r.Target.Name); set != nil {
		return set, nil
	}
	if problem := f.Problems[r.Target.Name]; problem != nil {
		return nil, s.misconfigured(ctx, f, r.Target.Name, person, problem)
	}
	return nil, s.notAnApprover(f, r, person, "")
}

// misconfigured is the refusal where a target's rules do not compile.
func (s *Service) misconfigured(
	ctx context.Context, f Flow, target, person string, problem error,
) error {
	s.report(ctx, Trouble{
		What: "The rules of the target " + quote(target) + " of the flow " + quote(f.Name) +
			" cannot be used: " + problem.Error(),
		Whom: person,
		Do: "Repair the rules in Terraform and apply. Until then nobody can ask for this target " +
			"or approve it; what is granted ends as it should.",
	})
	return failBecause(problem, FlowMisconfigured, "The rules of the target %s of the flow %s "+
		"cannot be used, so nothing about it can be asked or approved: %s Whoever maintains the "+
		"flow has been told.", quote(target), quote(f.Name), sentence(problem.Error()))
}

func (s *Service) reportRule(ctx context.Context, f Flow, r Request, match rules.Match) {
	s.report(ctx, Trouble{
		What: "The rule " + match.Rule + " of the flow " + quote(f.Name) + " could not be " +
			"evaluated for the target " + quote(r.Target.Name) + ": " + match.Because,
		Whom:      r.Requester,
		Do:        "Repair the rule in Terraform and apply. It counts as a no until then.",
		RequestID: r.ID,
	})
}

func (s *Service) notAnApprover(f Flow, r Request, person, because string) error {
	if because != "" {
		because = " " + sentence(because)
	}
	return fail(NotAnApprover, "You (%s) are not an approver of the flow %s.%s %s",
		person, quote(f.Name), because, s.askApprovers(f, r, person))
}

// askApprovers ends a refusal with who could have done it.
func (s *Service) askApprovers(f Flow, r Request, except string) string {
	var others []string
	intro := "Ask one of"
	if set := f.Rules(r.Target.Name); set != nil {
		d := set.Document()
		if d.Approvals > 1 {
			intro = "Ask"
		}
		others = slices.Clone(d.Approvers)
		if from := r.CreatedAt.Add(time.Duration(d.BackupAfterSeconds) * time.Second); !r.CreatedAt.IsZero() &&
			!s.now().Before(from) {
			others = append(others, d.BackupApprovers...)
		}
	}
	others = slices.DeleteFunc(others, func(a string) bool { return a == except })
	return choices(intro, "Ask whoever maintains the flow to name another approver.",
		others, func(a string) string { return a })
}

// sentence ends a text with a full stop.
func sentence(text string) string {
	if text == "" || text[len(text)-1] == '.' {
		return text
	}
	return text + "."
}

// verdict is what the rules say of a request when it is asked for.
type verdict struct {
	state State    // Requested, Approved or Denied
	act   Act      // of the last two
	asked []string // who could approve it, in the first
}

// judge asks the rules about a request that is about to be written. Its errors are refusals
// that leave nothing behind.
func (s *Service) judge(ctx context.Context, f Flow, set *rules.Rules, r Request) (
	verdict, error,
) {
	in := f.input(r, r.CreatedAt)
	act := func(action string, m rules.Match, reason string) Act {
		return Act{
			Action: action, By: ByRules, At: r.CreatedAt, Reason: reason, Rule: m.Rule,
			Because: m.Because,
		}
	}
	if m, denied := set.Denied(ctx, in); denied {
		message := m.Message
		if m.Err != nil {
			s.reportRule(ctx, f, r, m)
			message = "The rule could not be evaluated, and what cannot be judged is denied."
		}
		return verdict{state: Denied, act: act(ActionDeny, m, message)}, nil
	}
	if m, ok := set.MayRequest(ctx, in); !ok {
		if m.Err != nil {
			s.reportRule(ctx, f, r, m)
		}
		return verdict{}, failBecause(m.Err, NotARequester, "You (%s) cannot ask for the target "+
			"%s of the flow %s: %s", r.Requester, quote(r.Target.Name), quote(f.Name),
			sentence(m.Because))
	}
	if r.BreakGlass {
		m, ok := set.MayBreakGlass(ctx, in)
		if !ok {
			if m.Err != nil {
				s.reportRule(ctx, f, r, m)
			}
			return verdict{}, failBecause(m.Err, BreakGlassNotAllowed, "You (%s) cannot break the "+
				"glass for the target %s of the flow %s: %s Ask for it without, and an approver "+
				"decides.", r.Requester, quote(r.Target.Name), quote(f.Name), sentence(m.Because))
		}
		return verdict{state: Approved, act: act(ActionApprove, m, "")}, nil
	}
	m, ok, failed := set.ApprovedAtOnce(ctx, in)
	for _, match := range failed {
		s.reportRule(ctx, f, r, match)
	}
	if ok {
		return verdict{state: Approved, act: act(ActionApprove, m, "")}, nil
	}
	could, err := s.approvable(ctx, f, set, r, in)
	return verdict{state: Requested, asked: could}, err
}

// approvable refuses a request that needs more approvals than there are people to give them: it
// would only expire. Who they are is known now, unless the rules change meanwhile.
func (s *Service) approvable(
	ctx context.Context, f Flow, set *rules.Rules, r Request, in rules.Input,
) ([]string, error) {
	needed := max(1, set.Document().Approvals)
	could, refused := set.CouldApprove(ctx, in, f.person)
	if len(could) >= needed {
		return could, nil
	}
	if refused.Err != nil {
		s.reportRule(ctx, f, r, refused)
	}
	wants := "an approval"
	if needed > 1 {
		wants = fmt.Sprintf("%d approvals", needed)
	}
	if !set.Document().AllowSelfApproval {
		wants += " from people other than the requester"
	}
	who := "nobody can give one"
	if len(could) > 0 {
		who = "only " + strings.Join(could, ", ") + " can give one"
	}
	because := ""
	if refused.Because != "" {
		because = " " + sentence(refused.Because)
	}
	glass := ""
	in.BreakGlass = true
	if _, may := set.MayBreakGlass(ctx, in); may {
		glass = " In an emergency, break the glass."
	}
	return nil, failBecause(refused.Err, NobodyCanApprove, "Nobody could approve this request, so it "+
		"was not made: the flow %s needs %s for the target %s, and %s.%s Ask the flow's "+
		"maintainer to name another approver.%s", quote(f.Name), wants, quote(in.Target), who,
		because, glass)
}

// deniedByRule is the refusal of a request that a rule has denied.
func deniedByRule(r Request) error {
	written := ""
	if r.ID != "" {
		written = " It is written down as the request " + r.ID + "."
	}
	return fail(DeniedByRule, "The rule %s denies this request: %s (%s)%s", r.Decision.Rule,
		sentence(r.Decision.Reason), r.Decision.Because, written)
}

// errNoRules cannot happen where a flow's targets come from the configuration.
var errNoRules = errors.New("the target has no rules")
