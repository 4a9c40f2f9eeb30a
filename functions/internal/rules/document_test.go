package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
)

const (
	ann = "ann@example.com"
	ben = "ben@example.com"
	cem = "cem@example.com"
)

// base is a document that compiles: one approver, and an hour to decide.
func base(changes ...func(*rules.Document)) rules.Document {
	d := rules.Document{
		Approvers: []string{ann}, Approvals: 1, ApprovalTimeoutSeconds: 3600,
	}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func compile(t *testing.T, changes ...func(*rules.Document)) *rules.Rules {
	t.Helper()
	set, err := rules.Compile(base(changes...))
	require.NoError(t, err)
	return set
}

// problemsOf compiles a document that is wrong.
func problemsOf(t *testing.T, changes ...func(*rules.Document)) []rules.Problem {
	t.Helper()
	_, err := rules.Compile(base(changes...))
	var faults *rules.CompileError
	require.ErrorAs(t, err, &faults)
	return faults.Problems
}

// conditionProblem compiles a condition that is wrong, as request_when.
func conditionProblem(t *testing.T, when string) rules.Problem {
	t.Helper()
	found := problemsOf(t, func(d *rules.Document) { d.RequestWhen = when })
	require.NotEmpty(t, found)
	return found[0]
}
