package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeployedSuiteRunsByItself(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	packages, err := allButDeployed(t.Context())
	require.NoError(t, err)
	assert.Contains(t, packages, "sym-postgres-quickstart/functions/internal/ledger")
	assert.NotContains(t, packages, deployed)
	_, err = os.Stat("test/sandbox_test.go")
	require.NoError(t, err, "the deployed suite is somewhere else now, and would run beside the others")
}

func TestPartsRunInTheirOrder(t *testing.T) {
	var ran []string
	as := func(name string, err error, needed bool) part {
		return part{name: name, needed: needed, run: func(context.Context) error {
			ran = append(ran, name)
			return err
		}}
	}
	require.NoError(t, runParts(t.Context(), []part{as("one", nil, true), as("two", nil, false)}))
	assert.Equal(t, "one two", strings.Join(ran, " "))

	// A failed suite fails the whole, and the next one runs all the same.
	ran = nil
	broken := errors.New("broken")
	require.ErrorIs(t, runParts(t.Context(), []part{as("one", broken, false), as("two", nil, false)}), broken)
	assert.Equal(t, "one two", strings.Join(ran, " "))

	// What the others need ends it.
	ran = nil
	require.ErrorIs(t, runParts(t.Context(), []part{as("one", broken, true), as("two", nil, false)}), broken)
	assert.Equal(t, "one", strings.Join(ran, " "))
}
