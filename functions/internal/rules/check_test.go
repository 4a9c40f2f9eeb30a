package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
)

// checked is a draft with one target's document, and what is found in it.
func checked(t *testing.T, document string, changes ...func(*rules.Draft)) []rules.Fault {
	t.Helper()
	draft := rules.Draft{
		Flow: "postgres", Groups: map[string][]string{"oncall": {ann}, "leads": {}},
		Roles:   []string{"readonly", "readwrite"},
		Targets: map[string]json.RawMessage{"postgres-readonly": json.RawMessage(document)},
	}
	for _, change := range changes {
		change(&draft)
	}
	return draft.Check()
}

// documentWith writes base with a condition on those who ask and one on those who approve.
func documentWith(t *testing.T, requestWhen, approveWhen string) string {
	t.Helper()
	text, err := json.Marshal(base(func(d *rules.Document) {
		d.RequestWhen, d.ApproveWhen = requestWhen, approveWhen
	}))
	require.NoError(t, err)
	return string(text)
}

func TestCheck(t *testing.T) {
	assert.Empty(t, checked(t, documentWith(t, "", "")))
	assert.NotNil(t, checked(t, documentWith(t, "", "")), "Terraform reads a list")

	// Every target, in their order, with everything that is wrong.
	draft := rules.Draft{Targets: map[string]json.RawMessage{
		"b": json.RawMessage(documentWith(t, "1", "2")),
		"a": json.RawMessage(documentWith(t, "reqest.flow == ''", "")),
		"c": json.RawMessage(documentWith(t, "true", "")),
	}}
	faults := draft.Check()
	require.Len(t, faults, 3)
	assert.Equal(t, "a", faults[0].Target)
	assert.Equal(t, "request_when, line 1 column 1", faults[0].Place)
	assert.Equal(t, []string{"b", "b"}, []string{faults[1].Target, faults[2].Target})
	assert.Equal(t, []string{"request_when", "approve_when"},
		[]string{faults[1].Place, faults[2].Place})
}

// TestCheckNames has conditions that compare with what there is not.
func TestCheckNames(t *testing.T) {
	tests := map[string]struct{ when, place, message string }{
		"a group": {
			"'oncal' in requester.groups", "line 1 column 1",
			`There is no group "oncal" here, so this never holds. The groups are leads and oncall.`,
		},
		"a group in a loop": {
			"requester.groups.exists(g, g == 'x')", "line 1 column 33", `There is no group "x" here`,
		},
		"one group of some": {
			"requester.groups.exists(g, g in ['leads', 'x'])", "line 1 column 43",
			`There is no group "x" here`,
		},
		"a group by place": {
			"true &&\n 'x' in requester.groups", "line 2 column 2", `There is no group "x" here`,
		},
		"a role": {
			"request.role == 'readwrit'", "line 1 column 17",
			`There is no role "readwrit" here, so this never holds. The roles are readonly and readwrite.`,
		},
		"a role, the other": {"'x' == request.role", "line 1 column 1", `There is no role "x" here`},
		"not a role": {
			"request.role != 'x'", "line 1 column 17", `There is no role "x" here, so this always holds.`,
		},
		"one role of some": {
			"request.role in ['readonly', 'x']", "line 1 column 30", `There is no role "x" here`,
		},
		"a target": {
			"request.target == 'readonly'", "line 1 column 19",
			`There is no target "readonly" here, so this never holds. The only target is postgres-readonly.`,
		},
		"a flow": {
			"request.flow == 'mysql'", "line 1 column 17",
			`There is no flow "mysql" here, so this never holds. The only flow is postgres.`,
		},
		"deep inside": {
			"!(request.extension || ('x' in requester.groups ? true : false))", "line 1 column 25",
			`There is no group "x" here`,
		},
		"what there is": {
			"request.role in ['readonly', 'readwrite'] && 'oncall' in requester.groups", "", "",
		},
		"something else":  {"request.reason == 'x' && requester.email != 'x@example.com'", "", ""},
		"a list of one's": {"['x', 'y'].exists(g, g == 'x')", "", ""},
		"a target of a flow": {
			"request.target == 'postgres-readonly' && request.flow == 'postgres'", "", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for field, document := range map[string]string{
				"request_when": documentWith(t, test.when, ""), "approve_when": documentWith(t, "", test.when),
			} {
				faults := checked(t, document)
				if test.place == "" {
					assert.Empty(t, faults)
					continue
				}
				require.Len(t, faults, 1)
				assert.Equal(t, "postgres-readonly", faults[0].Target)
				assert.Equal(t, field+", "+test.place, faults[0].Place)
				assert.Contains(t, faults[0].Message, test.message)
			}
		})
	}
	faults := checked(t, documentWith(t, "", "'x' in approver.groups"))
	require.Len(t, faults, 1)
	assert.Equal(t, "approve_when, line 1 column 1", faults[0].Place)
}

// TestCheckNamesEverywhere checks that each condition of a document is looked at.
func TestCheckNamesEverywhere(t *testing.T) {
	const stranger = "'x' in requester.groups"
	text, err := json.Marshal(base(func(d *rules.Document) {
		d.RequestWhen, d.ApproveWhen = stranger, stranger
		d.ApproveAtOnce = []rules.Condition{{Name: "a", When: stranger}}
		d.Deny = []rules.Denial{{Name: "b", When: stranger}}
		d.BreakGlass = &rules.BreakGlass{People: []string{cem}, When: stranger}
	}))
	require.NoError(t, err)
	faults := checked(t, string(text))
	places := make([]string, len(faults))
	for i, fault := range faults {
		places[i] = fault.Place
	}
	assert.Equal(t, []string{
		`approve_at_once "a".when, line 1 column 1`, "approve_when, line 1 column 1",
		"break_glass.when, line 1 column 1", `deny "b".when, line 1 column 1`,
		"request_when, line 1 column 1",
	}, places)

	assert.Empty(t, checked(t, string(text), func(d *rules.Draft) { d.Groups = nil }),
		"nothing is known of groups")
	faults = checked(t, string(text), func(d *rules.Draft) { d.Groups = map[string][]string{} })
	require.Len(t, faults, 5)
	assert.Contains(t, faults[0].Message, "There is no group yet.")
}

// TestCheckWhatIsNoDocument has what is not written as rules are.
func TestCheckWhatIsNoDocument(t *testing.T) {
	tests := map[string]struct{ document, place, message string }{
		"a field of a newer module": {
			`{"approvers":["ann@example.com"],"denny":[]}`, "rules",
			`This Runtime knows no field "denny" of rules.`,
		},
		"a field in a rule": {
			`{"deny":[{"name":"a","when":"true","unless":"false"}]}`, "rules", `no field "unless" of rules`,
		},
		"a field in break_glass": {
			`{"break_glass":{"peple":["ann@example.com"]}}`, "rules", `no field "peple" of rules`,
		},
		"a text for a list": {
			`{"approvers":"ann@example.com"}`, "approvers", "It is of the wrong kind: a string.",
		},
		"a text for a number": {
			`{"approvals":"2"}`, "approvals", "It is of the wrong kind: a string.",
		},
		"half an approval": {
			`{"approvals":1.5}`, "approvals", "It is of the wrong kind: a number 1.5.",
		},
		"no truth": {
			`{"allow_self_approval":"no"}`, "allow_self_approval", "It is of the wrong kind: a string.",
		},
		"a number for a condition": {
			`{"deny":[{"name":"a","when":1}]}`, "deny.when", "It is of the wrong kind: a number.",
		},
		"a list":  {`[]`, "rules", "not written as this Runtime reads them"},
		"nothing": {`{}`, "approvers", "Nobody could approve a request"},
		"null":    {`null`, "approvers", "Nobody could approve a request"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			faults := checked(t, test.document)
			require.NotEmpty(t, faults)
			assert.Equal(t, test.place, faults[0].Place)
			assert.Contains(t, faults[0].Message, test.message)
		})
	}
}

// TestDocument checks that rules survive being written and read.
func TestDocument(t *testing.T) {
	d := base(func(d *rules.Document) {
		d.Requesters, d.RequestWhen, d.ApproveWhen = []string{cem}, "true", "true"
		d.AllowSelfApproval, d.BackupApprovers, d.BackupAfterSeconds = true, []string{ben}, 60
		d.ApproveAtOnce = []rules.Condition{{Name: "a", When: "true"}}
		d.Deny = []rules.Denial{{Name: "b", When: "false", Message: "No."}}
		d.BreakGlass = &rules.BreakGlass{People: []string{cem}, When: "true", MaxDurationSeconds: 60}
	})
	text, err := json.Marshal(d)
	require.NoError(t, err)
	var read rules.Document
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, d, read)
	assert.Error(t, json.Unmarshal([]byte(`{"approvers":[],"allow_everything":true}`), &read))
}
