// Package test proves the whole: it deploys environments/sandbox once, tells
// every story of a request against it, and takes it down again.
package test

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	test_structure "github.com/gruntwork-io/terratest/modules/test-structure"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// outsideAccount is the account of a platform that may drive the same chain;
// strangerAccount is anybody else's.
const (
	outsideAccount  = "222222222222"
	strangerAccount = "333333333333"
)

// TestSandbox is one deployment and everything that is told about it. Stages
// can be skipped while working on one of them: SKIP_stories=true,
// SKIP_teardown=true.
func TestSandbox(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	box, options := newBox(t, ctx, "sandbox", map[string]any{
		"sym_account_ids":    []string{outsideAccount},
		"slack_workspace_id": slack.Workspace,
		"rules":              map[string]any{"readwrite": map[string]any{"approvals": 2}},
	})
	terraform.InitAndApplyContext(t, ctx, options)

	deployment := readDeployment(t, ctx, options)
	require.NoError(t, box.InstallSlackApp(ctx, deployment))
	world := &world{box: box, deployment: deployment}

	test_structure.RunTestStage(t, "stories", func() {
		t.Run("stories", func(t *testing.T) {
			for name, story := range stories {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					story(t, world)
				})
			}
		})
	})
	test_structure.RunTestStage(t, "plan", func() {
		require.Equal(t, 0, terraform.PlanExitCodeContext(t, ctx, options),
			"after an apply, a plan has nothing to do")
		requireRulesRefused(t, ctx, options)
		requireSettingsRefused(t, ctx, options)
	})
	test_structure.RunTestStage(t, "teardown", func() {
		terraform.DestroyContext(t, ctx, options)
		requireNothingLeft(t, ctx, box)
	})
}

// requireRulesRefused plans with rules that cannot be used, and asserts that the plan says where
// each of them is wrong, by the very function that would have to go by it.
func requireRulesRefused(t *testing.T, ctx context.Context, options *terraform.Options) {
	t.Helper()
	broken, err := options.Clone()
	require.NoError(t, err)
	broken.Vars["rules"] = map[string]any{
		"*":        map[string]any{"request_when": "request.duraton < duration('1h')"},
		"readonly": map[string]any{"deny": []any{map[string]any{"name": "odd", "when": "1 + "}}},
	}
	_, err = terraform.PlanContextE(t, ctx, broken)
	require.ErrorContains(t, err, "The rules of the flow postgres cannot be used")
	require.ErrorContains(t, err, "postgres-readwrite, request_when, line 1 column 1")
	require.ErrorContains(t, err, `postgres-readonly, deny "odd".when, line 1 column 5`)
}

// requireSettingsRefused plans with tables whose entries pass for right in Terraform and are wrong
// for the functions, and asserts that the plan names each.
func requireSettingsRefused(t *testing.T, ctx context.Context, options *terraform.Options) {
	t.Helper()
	broken, err := options.Clone()
	require.NoError(t, err)
	broken.Vars["callers"] = map[string]any{
		"arn:aws:iam::111122223333:group/engineers":       "alice@example.com",
		"arn:aws:sts::111122223333:assumed-role/Engineer": "bob@example.com",
	}
	broken.Vars["usernames"] = map[string]any{"dave@example.com": strings.Repeat("d", 64)}
	_, err = terraform.PlanContextE(t, ctx, broken)
	require.ErrorContains(t, err, "The Runtime cannot use these settings")
	require.ErrorContains(t, err, "group/engineers")
	require.ErrorContains(t, err, "assumed-role/Engineer")
	require.ErrorContains(t, err, "The Postgres function cannot use these settings")
	require.ErrorContains(t, err, "dave@example.com")
}

// newBox starts a sandbox for a test, builds the functions into it, and
// prepares to deploy an environment.
func newBox(t *testing.T, ctx context.Context, environment string, variables map[string]any) (*sandbox.Sandbox, *terraform.Options) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	box, err := sandbox.Start(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, box)
		}
		require.NoError(t, box.Close())
	})
	packages, architecture, err := box.Build(ctx, root)
	require.NoError(t, err)
	dir, err := box.Workspace(root, environment)
	require.NoError(t, err)
	all := map[string]any{"package_dir": packages, "architecture": architecture}
	maps.Copy(all, variables)
	return box, &terraform.Options{
		TerraformBinary: box.Terraform, TerraformDir: dir, EnvVars: box.Env(), Vars: all, NoColor: true,
		Logger: logger.Discard,
	}
}

func readDeployment(t *testing.T, ctx context.Context, options *terraform.Options) sandbox.Deployment {
	t.Helper()
	out := map[string]map[string]any{}
	for name, value := range terraform.OutputAllContext(t, ctx, options) {
		out[name] = map[string]any{"value": value}
	}
	data, err := json.Marshal(out)
	require.NoError(t, err)
	deployment, err := sandbox.ReadDeployment(data)
	require.NoError(t, err)
	return deployment
}
