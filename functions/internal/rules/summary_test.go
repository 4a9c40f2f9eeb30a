package rules_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"sym-postgres-quickstart/functions/internal/rules"
)

func TestSummary(t *testing.T) {
	type change = func(*rules.Document)
	tests := map[string]change{
		"ann@example.com approves it.": func(*rules.Document) {},
		"ann@example.com approves it, their own requests too.": func(d *rules.Document) {
			d.AllowSelfApproval = true
		},
		"Whoever asks approves it themselves.": func(d *rules.Document) {
			d.Approvers, d.AllowSelfApproval = nil, true
		},
		"One of ann@example.com or ben@example.com approves it.": func(d *rules.Document) {
			d.Approvers = []string{ann, ben}
		},
		"2 of ann@example.com, ben@example.com and cem@example.com approve it.": func(d *rules.Document) {
			d.Approvers, d.Approvals = []string{ann, ben, cem}, 2
		},
		"ann@example.com and ben@example.com both approve it.": func(d *rules.Document) {
			d.Approvers, d.Approvals = []string{ann, ben}, 2
		},
		"ann@example.com, ben@example.com and cem@example.com all approve it.": func(d *rules.Document) {
			d.Approvers, d.Approvals = []string{ann, ben, cem}, 3
		},
		"ann@example.com approves it; after 1h30m also ben@example.com.": func(d *rules.Document) {
			d.BackupApprovers, d.BackupAfterSeconds = []string{ben}, 5400
			d.ApprovalTimeoutSeconds = 7200
		},
		"2 of ann@example.com and the back-up approvers approve it; after 15m also " +
			"ben@example.com.": func(d *rules.Document) {
			d.Approvals, d.BackupApprovers, d.BackupAfterSeconds = 2, []string{ben}, 900
		},
		"2 of ann@example.com, ben@example.com and the back-up approvers approve it; after 1h also " +
			"cem@example.com.": func(d *rules.Document) {
			d.Approvers, d.Approvals = []string{ann, ben}, 2
			d.BackupApprovers, d.BackupAfterSeconds = []string{cem}, 3600
			d.ApprovalTimeoutSeconds = 7200
		},
		"ann@example.com approves it, if approver.email != requester.email.": func(d *rules.Document) {
			d.ApproveWhen = "approver.email\n  != requester.email\n"
		},
		`ann@example.com approves it; the rule "a" or "b" approves it at once; ben@example.com may ` +
			`break the glass.`: func(d *rules.Document) {
			d.ApproveAtOnce = []rules.Condition{{Name: "a", When: "true"}, {Name: "b", When: "true"}}
			d.BreakGlass = &rules.BreakGlass{People: []string{ben}}
		},
		"One of p0@example.com, p1@example.com, p2@example.com, p3@example.com, p4@example.com or 3 " +
			"others approves it.": func(d *rules.Document) {
			d.Approvers = nil
			for i := range 8 {
				d.Approvers = append(d.Approvers, fmt.Sprintf("p%d@example.com", i))
			}
		},
	}
	for want, change := range tests {
		assert.Equal(t, want, compile(t, change).Summary())
	}
}
