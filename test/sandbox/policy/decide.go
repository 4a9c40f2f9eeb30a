package policy

import (
	"slices"
	"strings"
)

// Call is what a policy is asked about.
type Call struct {
	// Action is the call's IAM action, such as "sts:AssumeRole".
	Action string
	// Principals are all names under which the caller may be named: the ARN of
	// its session, of its role or user, and of its account's root.
	Principals []string
	// Service is the service principal that calls, such as
	// "lambda.amazonaws.com", if it is a service.
	Service string
	// Context holds the call's condition keys, in lower case, with their values.
	Context map[string]string
}

// Decision is a policy's answer.
type Decision struct {
	Allowed bool
	// Reason is a sentence fragment that says which statement decided, or what
	// came closest to deciding.
	Reason string
}

// Decide answers whether the trust policy d lets the caller do what it asks.
// An explicit Deny wins over every Allow, and what no statement allows is
// refused. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
func (d Document) Decide(call Call) Decision {
	decision := Decision{Reason: "no statement of the policy names the caller"}
	for _, s := range d.Statement {
		if s.Effect == "Deny" && s.denies(call) {
			return Decision{Reason: "statement " + s.name() + " denies it"}
		}
		if s.Effect != "Allow" || !s.coversAction(call.Action) || !s.names(call) {
			continue
		}
		if unmet := s.unmetCondition(call.Context); unmet != "" {
			decision.Reason = "the condition on " + unmet + " does not hold"
			continue
		}
		if !decision.Allowed {
			decision = Decision{Allowed: true, Reason: "statement " + s.name() + " allows it"}
		}
	}
	return decision
}

func (s Statement) name() string {
	if s.Sid == "" {
		return "without a Sid"
	}
	return s.Sid
}

func (s Statement) denies(call Call) bool {
	if !s.coversAction(call.Action) {
		return false
	}
	if len(s.NotPrincipal) == 0 && !s.names(call) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			holds, known := evaluate(operator, key, wanted, call.Context)
			if known && !holds {
				return false
			}
		}
	}
	return true
}

func (s Statement) coversAction(action string) bool {
	matches := func(pattern string) bool {
		return like(strings.ToLower(pattern), strings.ToLower(action))
	}
	if len(s.NotAction) > 0 {
		return !slices.ContainsFunc(s.NotAction, matches)
	}
	return slices.ContainsFunc(s.Action, matches)
}

func (s Statement) names(call Call) bool {
	if len(s.NotPrincipal) > 0 {
		return false
	}
	if call.Service != "" {
		return slices.Contains(s.Principal.Service, call.Service)
	}
	if s.Principal.Any {
		return true
	}
	for _, named := range s.Principal.AWS {
		if named == "*" || slices.Contains(call.Principals, accountRoot(named)) {
			return true
		}
	}
	return false
}

// accountRoot writes a bare account id as the ARN it is short for.
func accountRoot(principal string) string {
	if len(principal) == 12 && strings.Trim(principal, "0123456789") == "" {
		return "arn:aws:iam::" + principal + ":root"
	}
	return principal
}

func (s Statement) unmetCondition(context map[string]string) string {
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			if holds, known := evaluate(operator, key, wanted, context); !holds || !known {
				return key
			}
		}
	}
	return ""
}

// evaluate answers whether a condition holds, and whether its operator is one
// that this package knows. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
func evaluate(operator, key string, wanted []string, context map[string]string) (holds, known bool) {
	have, present := context[strings.ToLower(key)]
	base, ifExists := strings.CutSuffix(operator, "IfExists")
	if ifExists && !present {
		return true, true
	}
	matches := func(match func(pattern, value string) bool) bool {
		return present && slices.ContainsFunc(wanted, func(p string) bool { return match(p, have) })
	}
	equal := func(p, v string) bool { return p == v }
	switch base {
	case "StringEquals":
		return matches(equal), true
	case "StringNotEquals":
		return !matches(equal), true
	case "StringEqualsIgnoreCase":
		return matches(strings.EqualFold), true
	case "StringLike", "ArnLike", "ArnEquals":
		return matches(like), true
	case "StringNotLike", "ArnNotLike", "ArnNotEquals":
		return !matches(like), true
	case "Bool":
		return matches(strings.EqualFold), true
	case "Null":
		return slices.ContainsFunc(wanted, func(w string) bool {
			return strings.EqualFold(w, "true") != present
		}), true
	}
	return false, false
}

// like matches IAM's wildcards: * for any characters, ? for exactly one.
func like(pattern, value string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := len(value); i >= 0; i-- {
				if like(pattern[1:], value[i:]) {
					return true
				}
			}
			return false
		case '?':
			if value == "" {
				return false
			}
		default:
			if value == "" || value[0] != pattern[0] {
				return false
			}
		}
		pattern, value = pattern[1:], value[1:]
	}
	return value == ""
}
