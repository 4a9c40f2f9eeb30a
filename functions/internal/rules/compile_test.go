package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
)

func TestCompile(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.Approvers = []string{" Ann@Example.com", "ann@example.com", "ben@example.com"}
		d.Requesters = []string{"CEM@example.com"}
		d.BackupApprovers, d.BackupAfterSeconds = []string{"Cem@example.com"}, 60
		d.Approvals = 0
		d.BreakGlass = &rules.BreakGlass{People: []string{"BEN@example.com"}}
	})
	d := set.Document()
	assert.Equal(t, []string{ann, ben}, d.Approvers, "in the form of comparison, none twice")
	assert.Equal(t, []string{cem}, d.Requesters)
	assert.Equal(t, []string{cem}, d.BackupApprovers)
	assert.Equal(t, []string{ben}, d.BreakGlass.People)
	assert.Equal(t, 1, d.Approvals, "none said is one")

	// What a caller does to their copy is nothing to the rules.
	d.Approvers[0], d.BreakGlass.People[0] = "eve@example.com", "eve@example.com"
	assert.Equal(t, ann, set.Document().Approvers[0])
	assert.Equal(t, ben, set.Document().BreakGlass.People[0])
}

// TestCompileRefuses has every field with what is wrong in it, and where it is said to be wrong.
func TestCompileRefuses(t *testing.T) {
	type change = func(*rules.Document)
	people := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("p%d@example.com", i)
		}
		return list
	}
	tests := map[string]struct {
		change  change
		place   string
		message string
	}{
		"a requester who is none": {
			func(d *rules.Document) { d.Requesters = []string{"ann"} },
			"requesters", `"ann" is not an e-mail address.`,
		},
		"a requester with a Cyrillic a": {
			func(d *rules.Document) { d.Requesters = []string{"\u0430nn@example.com"} },
			"requesters", `"\u0430nn@example.com" is no e-mail address of anybody here`,
		},
		"an approver with a Cyrillic a": {
			func(d *rules.Document) { d.Approvers = []string{ann, "\u0430nn@example.com"} },
			"approvers", `"\u0430nn@example.com" is no e-mail address of anybody here`,
		},
		"an approver with a Kelvin sign": {
			func(d *rules.Document) { d.Approvers = []string{"mi\u212Ae@example.com"} },
			"approvers", "letters that only look like",
		},
		"a group that was not resolved": {
			func(d *rules.Document) { d.Approvers = []string{"group:leads"} },
			"approvers", `"group:leads" is not an e-mail address.`,
		},
		"a very long address": {
			func(d *rules.Document) { d.Approvers = []string{strings.Repeat("a", 5000)} },
			"approvers", "aaa…\" is not an e-mail address.",
		},
		"too many people": {
			func(d *rules.Document) { d.Requesters = people(1001) },
			"requesters", "The list has 1001 people, and may have 1000.",
		},
		"nobody to approve": {
			func(d *rules.Document) { d.Approvers = nil },
			"approvers", "Nobody could approve a request",
		},
		"only back-ups to approve": {
			func(d *rules.Document) {
				d.Approvers, d.BackupApprovers, d.BackupAfterSeconds = nil, []string{ben}, 60
			},
			"approvers", "Nobody could approve a request",
		},
		"fewer than no approvals": {
			func(d *rules.Document) { d.Approvals = -1 },
			"approvals", "At least 1 approval is needed, not -1.",
		},
		"more approvals than people": {
			func(d *rules.Document) {
				d.Approvals, d.BackupApprovers, d.BackupAfterSeconds = 2, []string{"Ann@example.com"}, 60
			},
			"approvals", "2 approvals are needed, and there are 1 people who could give them.",
		},
		"two of their own approvals": {
			func(d *rules.Document) { d.Approvals, d.Approvers, d.AllowSelfApproval = 2, nil, true },
			"approvals", "2 approvals are needed, and there are 0 people",
		},
		"no time to approve": {
			func(d *rules.Document) { d.ApprovalTimeoutSeconds = 0 },
			"approval_timeout_seconds", "from 1 second to 30 days, not 0 seconds.",
		},
		"too much time to approve": {
			func(d *rules.Document) { d.ApprovalTimeoutSeconds = 30*24*60*60 + 1 },
			"approval_timeout_seconds", "from 1 second to 30 days",
		},
		"a time without back-ups": {
			func(d *rules.Document) { d.BackupAfterSeconds = 60 },
			"backup_after_seconds", "There are no backup_approvers",
		},
		"back-ups without a time": {
			func(d *rules.Document) { d.BackupApprovers = []string{ben} },
			"backup_after_seconds", "after 1 second or more",
		},
		"back-ups who come too late": {
			func(d *rules.Document) {
				d.BackupApprovers, d.BackupAfterSeconds = []string{ben}, d.ApprovalTimeoutSeconds
			},
			"backup_after_seconds", "before the 3600 seconds that a request waits are over",
		},
		"a glass that nobody can break": {
			func(d *rules.Document) { d.BreakGlass = &rules.BreakGlass{} },
			"break_glass.people", "Nobody could break the glass",
		},
		"a glass that nobody could review": {
			func(d *rules.Document) {
				d.Approvers, d.AllowSelfApproval = []string{ben}, true
				d.BreakGlass = &rules.BreakGlass{People: []string{ben}}
			},
			"break_glass.people", "Nobody could review it when " + ben + " has broken the glass",
		},
		"a glass for somebody who is none": {
			func(d *rules.Document) {
				d.BreakGlass = &rules.BreakGlass{People: []string{ben, "b\u0435n@example.com"}}
			},
			"break_glass.people", "letters that only look like",
		},
		"a glass for fewer than no seconds": {
			func(d *rules.Document) {
				d.BreakGlass = &rules.BreakGlass{People: []string{ben}, MaxDurationSeconds: -1}
			},
			"break_glass.max_duration_seconds", "from 1 second to 30 days",
		},
		"a glass with a condition that is none": {
			func(d *rules.Document) {
				d.BreakGlass = &rules.BreakGlass{People: []string{ben}, When: "request.reason"}
			},
			"break_glass.when", "has to be true or false, and this is of type string.",
		},
		"an approval with a condition that is none": {
			func(d *rules.Document) { d.ApproveWhen = "approver.mail == ''" },
			"approve_when, line 1 column 1", "There is no variable approver.mail.",
		},
		"a rule without a name": {
			func(d *rules.Document) { d.Deny = []rules.Denial{{Name: " ", When: "true"}} },
			"deny[0].name", "A rule has a name",
		},
		"a rule with a name of two lines": {
			func(d *rules.Document) { d.Deny = []rules.Denial{{Name: "a\nb", When: "true"}} },
			"deny[0].name", "one line of at most 60 characters",
		},
		"a rule with a name that turns its line around": {
			func(d *rules.Document) { d.Deny = []rules.Denial{{Name: "a\u202Eb", When: "true"}} },
			"deny[0].name", "one line of at most 60 characters",
		},
		"a rule with a long name": {
			func(d *rules.Document) {
				d.ApproveAtOnce = []rules.Condition{{Name: strings.Repeat("ä", 61), When: "true"}}
			},
			"approve_at_once[0].name", "one line of at most 60 characters",
		},
		"two rules of one name": {
			func(d *rules.Document) {
				d.Deny = []rules.Denial{{Name: "a", When: "true"}, {Name: "a", When: "false"}}
			},
			"deny[1].name", `There are two rules named "a".`,
		},
		"a rule without a condition": {
			func(d *rules.Document) { d.ApproveAtOnce = []rules.Condition{{Name: "a", When: "\n"}} },
			`approve_at_once "a".when`, "The condition is missing.",
		},
		"a rule with a condition that is none": {
			func(d *rules.Document) { d.Deny = []rules.Denial{{Name: "a", When: "true &&"}} },
			`deny "a".when, line 1 column 8`, "The condition ends too early",
		},
		"a long message": {
			func(d *rules.Document) {
				d.Deny = []rules.Denial{{Name: "a", When: "true", Message: strings.Repeat("x", 501)}}
			},
			`deny "a".message`, "The message has more than 500 characters.",
		},
		"too many rules": {
			func(d *rules.Document) { d.Deny = make([]rules.Denial, 51) },
			"deny", "The list has 51 rules, and may have 50.",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := problemsOf(t, test.change)
			assert.Equal(t, test.place, found[0].Place)
			assert.Contains(t, found[0].Message, test.message)
		})
	}
}

// TestCompileSaysEverything checks that one fault does not hide another.
func TestCompileSaysEverything(t *testing.T) {
	d := base(func(d *rules.Document) {
		d.Approvers = nil
		d.RequestWhen = "reqest.reason == ''"
		d.Deny = []rules.Denial{{Name: "a", When: "1"}, {Name: "b", When: "'x'"}}
	})
	found := problemsOf(t, func(wrong *rules.Document) { *wrong = d })
	places := make([]string, len(found))
	for i, problem := range found {
		places[i] = problem.Place
	}
	assert.Equal(t, []string{
		"approvers", "request_when, line 1 column 1", `deny "a".when`, `deny "b".when`,
	}, places)
	_, err := rules.Compile(d)
	for _, problem := range found {
		assert.ErrorContains(t, err, problem.Place+": "+problem.Message)
	}
}

// TestCompileAgain checks that the same document is compiled once, and another one anew.
func TestCompileAgain(t *testing.T) {
	first, again := compile(t), compile(t)
	assert.Same(t, first, again)
	other := compile(t, func(d *rules.Document) { d.AllowSelfApproval = true })
	assert.NotSame(t, first, other)

	wrong := base(func(d *rules.Document) { d.RequestWhen = "1" })
	_, err := rules.Compile(wrong)
	_, same := rules.Compile(wrong)
	require.Error(t, err)
	assert.Same(t, err, same)

	// More documents than are kept change nothing but how long it takes.
	for i := range 600 {
		compile(t, func(d *rules.Document) { d.ApprovalTimeoutSeconds = int64(i) + 1 })
	}
	assert.Equal(t, first.Document(), compile(t).Document())
}
