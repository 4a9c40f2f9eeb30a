package rules

import (
	"fmt"
	"strings"
	"time"
)

// Summary says in one sentence who approves, how many of them, and what needs no approval.
func (r *Rules) Summary() string {
	d := r.document
	first := d.whoApproves()
	if len(d.Approvers) > 0 && d.AllowSelfApproval {
		first += ", their own requests too"
	}
	if d.ApproveWhen != "" {
		first += ", if " + oneLine(d.ApproveWhen)
	}
	parts := []string{first}
	if len(d.BackupApprovers) > 0 {
		after := time.Duration(d.BackupAfterSeconds) * time.Second
		parts = append(parts, fmt.Sprintf("after %s also %s", span(after),
			people(d.BackupApprovers, "or")))
	}
	if len(d.ApproveAtOnce) > 0 {
		names := make([]string, len(d.ApproveAtOnce))
		for i, rule := range d.ApproveAtOnce {
			names[i] = fmt.Sprintf("%q", rule.Name)
		}
		parts = append(parts, "the rule "+enumerate(names, "or")+" approves it at once")
	}
	if d.BreakGlass != nil {
		parts = append(parts, people(d.BreakGlass.People, "or")+" may break the glass")
	}
	return strings.Join(parts, "; ") + "."
}

// whoApproves says whose approval is needed, and of how many.
func (d Document) whoApproves() string {
	others := len(d.BackupApprovers) > 0
	switch who := d.Approvers; {
	case len(who) == 0:
		return "Whoever asks approves it themselves"
	case d.Approvals == 1 && len(who) == 1:
		return who[0] + " approves it"
	case d.Approvals == 1:
		return "One of " + people(who, "or") + " approves it"
	case d.Approvals < len(who):
		return fmt.Sprintf("%d of %s approve it", d.Approvals, people(who, "and"))
	case others && len(who) <= shownPeople:
		// Not these alone can be so many.
		names := append(append([]string{}, who...), "the back-up approvers")
		return fmt.Sprintf("%d of %s approve it", d.Approvals, enumerate(names, "and"))
	case others:
		return fmt.Sprintf("%d of %s, or of the back-up approvers, approve it", d.Approvals,
			people(who, "and"))
	case len(who) == 2:
		return people(who, "and") + " both approve it"
	default:
		return people(who, "and") + " all approve it"
	}
}

// shownPeople is how many people a sentence names.
const shownPeople = 6

// people names some, and counts the others.
func people(all []string, last string) string {
	if len(all) <= shownPeople {
		return enumerate(all, last)
	}
	return fmt.Sprintf("%s %s %d others", strings.Join(all[:shownPeople-1], ", "), last,
		len(all)-shownPeople+1)
}

func oneLine(expression string) string {
	return shorten(strings.Join(strings.Fields(expression), " "), shownExpression)
}
