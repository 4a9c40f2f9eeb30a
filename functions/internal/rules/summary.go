package rules

import (
	"fmt"
	"strings"
	"time"
)

// Summary says in one sentence who approves, how many of them, and what needs no approval.
func (r *Rules) Summary() string {
	d := r.document
	var parts []string
	switch {
	case len(d.Approvers) == 0:
		parts = append(parts, "Whoever asks approves it themselves")
	case d.Approvals == 1 && len(d.Approvers) == 1:
		parts = append(parts, d.Approvers[0]+" approves it")
	case d.Approvals == 1:
		parts = append(parts, "One of "+some(d.Approvers)+" approves it")
	case len(d.Approvers) == 1:
		parts = append(parts, fmt.Sprintf("%s and the back-up approvers approve it, %d of them",
			d.Approvers[0], d.Approvals))
	default:
		parts = append(parts, fmt.Sprintf("%d of %s approve it", d.Approvals, some(d.Approvers)))
	}
	if len(d.Approvers) > 0 && d.AllowSelfApproval {
		parts = append(parts, "their own requests too")
	}
	if d.ApproveWhen != "" {
		parts = append(parts, "if "+oneLine(d.ApproveWhen))
	}
	if len(d.BackupApprovers) > 0 {
		after := time.Duration(d.BackupAfterSeconds) * time.Second
		parts = append(parts, fmt.Sprintf("after %s also %s", after, some(d.BackupApprovers)))
	}
	if len(d.ApproveAtOnce) > 0 {
		names := make([]string, len(d.ApproveAtOnce))
		for i, rule := range d.ApproveAtOnce {
			names[i] = fmt.Sprintf("%q", rule.Name)
		}
		parts = append(parts, "at once by rule "+enumerate(names, "or"))
	}
	if d.BreakGlass != nil {
		parts = append(parts, some(d.BreakGlass.People)+" may break the glass")
	}
	return strings.Join(parts, "; ") + "."
}

// shownPeople is how many people a sentence names.
const shownPeople = 6

func some(people []string) string {
	if len(people) <= shownPeople {
		return enumerate(people, "or")
	}
	return fmt.Sprintf("%s or %d others", strings.Join(people[:shownPeople-1], ", "),
		len(people)-shownPeople+1)
}

func oneLine(expression string) string {
	return shorten(strings.Join(strings.Fields(expression), " "), shownExpression)
}
