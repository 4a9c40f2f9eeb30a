// Package test proves the whole: it deploys environments/sandbox once, tells
// every story of a request against it, and takes it down again.
package test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// outsideAccount is the account of a platform that may drive the same chain;
// strangerAccount is anybody else's.
const (
	outsideAccount  = "444444444444"
	strangerAccount = "333333333333"
)

// TestSandbox is one deployment and everything that is told about it. Stages
// can be skipped while working on one of them: SKIP_stories=true,
// SKIP_teardown=true.
func TestSandbox(t *testing.T) {
	t.Parallel()
	box, options := newBox(t, "sandbox", map[string]any{
		"sym_account_ids":    []string{outsideAccount},
		"slack_workspace_id": slack.Workspace,
		"rules":              map[string]any{"readwrite": map[string]any{"approvals": 2}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	terraform.InitAndApplyContext(t, ctx, options)

	deployment := readDeployment(t, ctx, options)
	require.NoError(t, box.InstallSlackApp(ctx, deployment))
	world := &world{box: box, deployment: deployment}

	stage(t, "stories", func() {
		t.Run("stories", func(t *testing.T) {
			for name, story := range stories {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					story(t, world)
				})
			}
		})
	})
	stage(t, "plan", func() {
		require.Equal(t, 0, terraform.PlanExitCodeContext(t, ctx, options),
			"after an apply, a plan has nothing to do")
		requireRulesRefused(t, ctx, options)
		requireSettingsRefused(t, ctx, options)
	})
	stage(t, "teardown", func() {
		terraform.DestroyContext(t, ctx, options)
		requireNothingLeft(t, ctx, box)
	})
}

// stage runs a part of a test unless the environment variable SKIP_ and its name is set. Terratest
// has the same in its package test-structure, which would have the suite compile the clients of
// Kubernetes and of twenty AWS services.
func stage(t *testing.T, name string, run func()) {
	t.Helper()
	if os.Getenv("SKIP_"+name) != "" {
		t.Logf("The stage %s is skipped.", name)
		return
	}
	run()
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
		"arn:aws:iam::123456789012:group/engineers":       "alice@example.com",
		"arn:aws:sts::123456789012:assumed-role/Engineer": "bob@example.com",
	}
	broken.Vars["usernames"] = map[string]any{"dave@example.com": strings.Repeat("d", 64)}
	_, err = terraform.PlanContextE(t, ctx, broken)
	require.ErrorContains(t, err, "The Runtime cannot use these settings")
	require.ErrorContains(t, err, "group/engineers")
	require.ErrorContains(t, err, "assumed-role/Engineer")
	require.ErrorContains(t, err, "The Postgres function cannot use these settings")
	require.ErrorContains(t, err, "dave@example.com")

	broken.Vars["callers"] = map[string]any{"arn:aws:iam::111122223333:role/carol": "carol@example.com"}
	delete(broken.Vars, "usernames")
	_, err = terraform.PlanContextE(t, ctx, broken)
	require.ErrorContains(t, err, "These callers are of another account")
	require.ErrorContains(t, err, "arn:aws:iam::111122223333:role/carol")
}

// newBox starts a sandbox for a test, builds the functions into it, and
// prepares to deploy an environment. A test's own deadline begins afterwards: whatever has to be
// installed, downloaded or compiled takes as long as it takes.
func newBox(t *testing.T, environment string, variables map[string]any) (*sandbox.Sandbox, *terraform.Options) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	box, err := sandbox.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, box)
		}
		require.NoError(t, box.Close())
	})
	packages, architecture, err := box.Build(t.Context(), root)
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
