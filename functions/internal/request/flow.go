package request

import (
	"slices"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/rules"
)

// Flow is what can be asked for in one place, and who decides about it.
type Flow struct {
	Name            string
	Label           string
	StateMachineARN string
	LambdaConnector string // the ARN of the role that may invoke the targets' functions
	RequestChannel  string
	TellApprovers   Telling
	Groups          map[string][]string // people by what the rules call them; e-mail addresses
	Targets         []Target

	// TargetRules has each target's rules by the target's name. A target without rules is one
	// whose rules do not compile: Problems says why, and nobody can ask for it or approve it.
	TargetRules map[string]*rules.Rules
	Problems    map[string]error
}

// Telling is how a flow tells approvers that a request waits for them.
type Telling string

// The ways to tell approvers. Everything else is as [TellMention].
const (
	TellMention Telling = "mention" // in the request's message in the channel
	TellMessage Telling = "message" // in a direct message with its buttons
	TellBoth    Telling = "both"
	TellNone    Telling = "none"
)

// Mentions tells whether approvers are mentioned in the channel.
func (t Telling) Mentions() bool { return t != TellMessage && t != TellNone }

// Messages tells whether approvers get direct messages.
func (t Telling) Messages() bool { return t == TellMessage || t == TellBoth }

// Rules returns the rules of a target; nil where the target is gone or its rules do not compile.
func (f Flow) Rules(target string) *rules.Rules { return f.TargetRules[target] }

// person is somebody as the rules see them.
func (f Flow) person(email string) rules.Person {
	p := rules.Person{Email: email, Groups: []string{}}
	for name, members := range f.Groups {
		if slices.Contains(members, email) {
			p.Groups = append(p.Groups, name)
		}
	}
	slices.Sort(p.Groups)
	return p
}

// Target is one role that a flow gives access to.
type Target struct {
	Name            string
	Label           string
	Type            string
	FunctionARN     string
	RoleName        string
	DefaultDuration time.Duration
	MaxDuration     time.Duration
	// Connect is how people connect with what they were granted, as libpq's connection string
	// without the user. It may be empty.
	Connect string
}

// find returns the target with that name, or the only one with that role.
func (f Flow) find(name string) (Target, error) {
	var byRole []Target
	for _, target := range f.Targets {
		if target.Name == name {
			return target, nil
		}
		if target.RoleName == name {
			byRole = append(byRole, target)
		}
	}
	switch len(byRole) {
	case 1:
		return byRole[0], nil
	case 0:
		if name == "" {
			return Target{}, fail(UnknownTarget, "The field \"target\" is missing or empty: the "+
				"request names no target of the flow %s. %s", quote(f.Name), f.targetChoices())
		}
		return Target{}, fail(UnknownTarget, "The flow %s has no target %s. %s", quote(f.Name),
			quote(name), f.targetChoices())
	default:
		return Target{}, fail(UnknownTarget, "Several targets of the flow %s give the role %s. %s",
			quote(f.Name), quote(name), choices("Name one of", "", byRole,
				func(t Target) string { return t.Name }))
	}
}

func (f Flow) targetChoices() string {
	return choices("Its targets are", "It has none yet.", f.Targets,
		func(t Target) string { return t.Name })
}

// findFlow returns the flow with that name.
func findFlow(flows []Flow, name string) (Flow, error) {
	i := slices.IndexFunc(flows, func(f Flow) bool { return f.Name == name })
	if i < 0 {
		return Flow{}, fail(UnknownFlow, "There is no flow %s here. %s", quote(name),
			flowChoices(flows))
	}
	return flows[i], nil
}

func flowChoices(flows []Flow) string {
	return choices("The flows are", "None is set up yet.", flows,
		func(f Flow) string { return f.Name })
}

// choices ends a refusal with what would have worked.
func choices[T any](intro, none string, from []T, name func(T) string) string {
	if len(from) == 0 {
		return none
	}
	var names []string
	for _, item := range from {
		names = append(names, name(item))
	}
	slices.Sort(names)
	return intro + " " + strings.Join(names, ", ") + "."
}
