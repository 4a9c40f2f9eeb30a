package rules

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sym-postgres-quickstart/functions/internal/email"
)

// What a document may have of each.
const (
	maxConditions = 50 // of approve_at_once, and of deny
	maxPeople     = 1000
	maxLabel      = 60 // characters of a rule's name
	maxMessage    = 500
	maxSeconds    = 30 * 24 * 60 * 60
)

// Rules are a target's rules, ready to be asked. They are safe for concurrent use.
type Rules struct {
	document      Document
	requestWhen   *condition // nil: true
	approveWhen   *condition // nil: true
	breakGlass    *condition // nil: true
	approveAtOnce []*condition
	deny          []*condition
}

// Document returns a copy of the rules as they were understood: addresses in the form in which
// they are compared, none of them twice.
func (r *Rules) Document() Document { return clone(r.document) }

func clone(d Document) Document {
	d.Requesters = slices.Clone(d.Requesters)
	d.Approvers = slices.Clone(d.Approvers)
	d.BackupApprovers = slices.Clone(d.BackupApprovers)
	d.ApproveAtOnce = slices.Clone(d.ApproveAtOnce)
	d.Deny = slices.Clone(d.Deny)
	if d.BreakGlass != nil {
		glass := *d.BreakGlass
		glass.People = slices.Clone(glass.People)
		d.BreakGlass = &glass
	}
	return d
}

// compiler collects what is wrong with a document.
type compiler struct {
	problems []Problem
}

func (c *compiler) problem(place, message string, args ...any) {
	c.problems = append(c.problems, Problem{place, fmt.Sprintf(message, args...)})
}

// build compiles a document anew.
func build(d Document) (*Rules, error) {
	var c compiler
	r := &Rules{document: clone(d)}
	d = r.document
	r.document.Requesters = c.people("requesters", d.Requesters)
	r.document.Approvers = c.people("approvers", d.Approvers)
	r.document.BackupApprovers = c.people("backup_approvers", d.BackupApprovers)
	c.approvals(&r.document)

	r.requestWhen = c.condition(ofRequests(), "request_when", "request_when", d.RequestWhen)
	r.approveWhen = c.condition(ofApprovals(), "approve_when", "approve_when", d.ApproveWhen)

	atOnce, deny := map[string]bool{}, map[string]bool{}
	c.count("approve_at_once", len(d.ApproveAtOnce))
	for i, rule := range d.ApproveAtOnce {
		r.approveAtOnce = append(r.approveAtOnce,
			c.named("approve_at_once", i, rule.Name, rule.When, atOnce))
	}
	c.count("deny", len(d.Deny))
	for i, rule := range d.Deny {
		r.deny = append(r.deny, c.named("deny", i, rule.Name, rule.When, deny))
		if utf8.RuneCountInString(rule.Message) > maxMessage {
			c.problem(fmt.Sprintf("deny %q.message", rule.Name),
				"The message has more than %d characters.", maxMessage)
		}
	}
	if glass := r.document.BreakGlass; glass != nil {
		glass.People = c.people("break_glass.people", glass.People)
		if len(glass.People) == 0 {
			c.problem("break_glass.people", "Nobody could break the glass: name somebody, or "+
				"leave break_glass out.")
		}
		if glass.MaxDurationSeconds < 0 || glass.MaxDurationSeconds > maxSeconds {
			c.problem("break_glass.max_duration_seconds", "It is from 1 second to 30 days, or "+
				"left out.")
		}
		c.reviewers(&r.document)
		r.breakGlass = c.condition(ofRequests(), "break_glass", "break_glass.when", glass.When)
	}
	if len(c.problems) > 0 {
		return nil, &CompileError{c.problems}
	}
	return r, nil
}

// reviewers checks that broken glass can be reviewed, whoever breaks it.
func (c *compiler) reviewers(d *Document) {
	for _, person := range d.BreakGlass.People {
		other := func(address string) bool { return address != person }
		if !slices.ContainsFunc(d.Approvers, other) &&
			!slices.ContainsFunc(d.BackupApprovers, other) {
			c.problem("break_glass.people", "Nobody could review it when %s has broken the glass: "+
				"that takes an approver or a back-up approver, and somebody else.", person)
			return
		}
	}
}

// people checks a list of addresses, and brings it into the form in which they are compared.
func (c *compiler) people(place string, addresses []string) []string {
	if len(addresses) > maxPeople {
		c.problem(place, "The list has %d people, and may have %d.", len(addresses), maxPeople)
		return nil
	}
	folded := make([]string, 0, len(addresses))
	for _, address := range addresses {
		switch folding := email.Fold(strings.TrimSpace(address)); {
		case !email.ASCII(folding):
			c.problem(place, "%+q is no e-mail address of anybody here: it has letters that only "+
				"look like those of addresses.", address)
		case !email.Valid(folding):
			c.problem(place, "%q is not an e-mail address.", shorten(address, shownText))
		case !slices.Contains(folded, folding):
			folded = append(folded, folding)
		}
	}
	return folded
}

// approvals checks whether a request can be approved at all, and in time.
func (c *compiler) approvals(d *Document) {
	if d.Approvals == 0 {
		d.Approvals = 1
	}
	possible := len(d.Approvers)
	for _, address := range d.BackupApprovers {
		if !slices.Contains(d.Approvers, address) {
			possible++
		}
	}
	switch {
	case len(d.Approvers) == 0 && !d.AllowSelfApproval:
		c.problem("approvers", "Nobody could approve a request: name somebody, or set "+
			"allow_self_approval if people shall approve their own.")
	case d.Approvals < 1:
		c.problem("approvals", "At least 1 approval is needed, not %d.", d.Approvals)
	case d.Approvals > max(1, possible):
		c.problem("approvals", "%d approvals are needed, and there are %d people who could "+
			"give them.", d.Approvals, possible)
	}
	if d.ApprovalTimeoutSeconds < 1 || d.ApprovalTimeoutSeconds > maxSeconds {
		c.problem("approval_timeout_seconds", "A request waits from 1 second to 30 days, not %d "+
			"seconds.", d.ApprovalTimeoutSeconds)
	}
	switch {
	case len(d.BackupApprovers) == 0 && d.BackupAfterSeconds == 0:
	case len(d.BackupApprovers) == 0:
		c.problem("backup_after_seconds", "There are no backup_approvers whose time could come.")
	case d.BackupAfterSeconds < 1 || d.BackupAfterSeconds >= d.ApprovalTimeoutSeconds:
		c.problem("backup_after_seconds", "The time of the backup_approvers comes after 1 second "+
			"or more, and before the %d seconds that a request waits are over; not after %d.",
			d.ApprovalTimeoutSeconds, d.BackupAfterSeconds)
	}
}

func (c *compiler) count(list string, length int) {
	if length > maxConditions {
		c.problem(list, "The list has %d rules, and may have %d.", length, maxConditions)
	}
}

// named compiles a condition that has a name.
func (c *compiler) named(list string, i int, name, when string, seen map[string]bool) *condition {
	rule := fmt.Sprintf("%s %q", list, name)
	switch {
	case strings.TrimSpace(name) == "":
		c.problem(fmt.Sprintf("%s[%d].name", list, i), "A rule has a name, by which people know it.")
	case utf8.RuneCountInString(name) > maxLabel || strings.ContainsFunc(name, invisible):
		c.problem(fmt.Sprintf("%s[%d].name", list, i), "A rule's name is one line of at most %d "+
			"characters.", maxLabel)
	case seen[name]:
		c.problem(fmt.Sprintf("%s[%d].name", list, i), "There are two rules named %q.", name)
	}
	seen[name] = true
	if strings.TrimSpace(when) == "" {
		c.problem(rule+".when", "The condition is missing. One that always holds is: true.")
		return nil
	}
	return c.condition(ofRequests(), rule, rule+".when", when)
}

// invisible tells whether a character is none that is seen, such as one that turns the line around.
func invisible(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// condition compiles one, and returns nil for none.
func (c *compiler) condition(s *scope, rule, place, when string) *condition {
	if strings.TrimSpace(when) == "" {
		return nil
	}
	compiled, problems := s.compile(rule, place, when)
	c.problems = append(c.problems, problems...)
	return compiled
}
