package request

import "slices"

// mayApprove returns the rule by which a person may approve a request, or why they may not.
//
// An empty list of approvers opens nothing: it is of use only with self-approval, where it
// says that requesters decide for themselves.
func (f Flow) mayApprove(r Request, person string) (rule string, err error) {
	listed := f.isApprover(person)
	if person == r.Requester {
		switch {
		case !f.AllowSelfApproval:
			return "", fail(SelfApproval, "You asked for this access yourself, and the flow %s "+
				"wants another person to approve it. %s", quote(f.Name), f.askApprovers(person))
		case !listed && len(f.Approvers) > 0:
			return "", fail(NotAnApprover, "The flow %s lets approvers approve their own "+
				"requests, but you are not one of them. %s", quote(f.Name), f.askApprovers(person))
		}
		return RuleSelfApproval, nil
	}
	if !listed {
		return "", f.notAnApprover(person)
	}
	return RuleApprover, nil
}

// mayDeny returns the rule by which a person may deny a request. Its requester may always
// withdraw it.
func (f Flow) mayDeny(r Request, person string) (rule string, err error) {
	if person == r.Requester {
		return RuleRequester, nil
	}
	if !f.isApprover(person) {
		return "", f.notAnApprover(person)
	}
	return RuleApprover, nil
}

// mayRevoke returns the rule by which a person may end a request's access before its time.
func (f Flow) mayRevoke(r Request, person string) (rule string, err error) {
	if person == r.Requester {
		return RuleRequester, nil
	}
	if !f.isApprover(person) {
		return "", fail(NotAllowedToRevoke, "You (%s) can neither revoke the access of %s nor "+
			"decide about it: it is theirs, and you are not an approver of the flow %s. %s",
			person, r.Requester, quote(f.Name), f.askApprovers(person))
	}
	return RuleApprover, nil
}

func (f Flow) isApprover(person string) bool { return slices.Contains(f.Approvers, person) }

func (f Flow) notAnApprover(person string) error {
	return fail(NotAnApprover, "You (%s) are not an approver of the flow %s. %s",
		person, quote(f.Name), f.askApprovers(person))
}

func (f Flow) askApprovers(except string) string {
	others := slices.DeleteFunc(slices.Clone(f.Approvers), func(a string) bool {
		return a == except
	})
	return choices("Ask one of", "Ask whoever maintains the flow to name another approver.",
		others, func(a string) string { return a })
}
