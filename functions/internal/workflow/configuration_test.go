package workflow_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/workflow"
)

// TestProblems checks that people are told once a day of what was left out of the configuration,
// and at once of what comes new.
func TestProblems(t *testing.T) {
	m := newMachine(t)
	var problems []string
	m.steps.Problems = func(context.Context) []string { return problems }
	reconcile := func() int {
		t.Helper()
		m.told = nil
		_, err := m.reconcile(t)
		require.NoError(t, err)
		return len(m.told)
	}
	assert.Zero(t, reconcile())
	problems = []string{"SYM_CALLERS: the table of callers lists \"x\""}
	assert.Equal(t, 1, reconcile())
	assert.Contains(t, m.told[0].What, "was left out:\n• SYM_CALLERS: the table of callers lists")
	assert.Contains(t, m.told[0].Do, "Correct it in Terraform")
	assert.Zero(t, reconcile())
	problems = append(problems, "another")
	assert.Equal(t, 1, reconcile())
	m.clock.Advance(10 * time.Hour)
	require.NoError(t, m.retire(t, "postgres", "delete")) // its deadline is over
	assert.Equal(t, 1, reconcile(), "it is another day")
	assert.Zero(t, reconcile())
}

// TestDocumentsAreChecked checks that a plan hears of a flow that the Runtime would leave out.
func TestDocumentsAreChecked(t *testing.T) {
	m := newMachine(t)
	out, err := m.steps.Run(t.Context(), workflow.Input{
		Step: workflow.CheckRules, Documents: map[string]string{"postgres": `{"name":"other"}`},
	})
	require.NoError(t, err)
	require.Len(t, *out.Problems, 1)
	assert.Contains(t, (*out.Problems)[0].Message, `the flow "postgres" calls itself "other"`)
}
