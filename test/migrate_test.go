package test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMigrate holds the page for teams of the original template against the
// environment that they move to: what the page has a line for is there, and what
// the page does not know was not the original's.
func TestMigrate(t *testing.T) {
	page, err := os.ReadFile("../docs/migrate.md")
	require.NoError(t, err)
	variables, err := os.ReadFile("../environments/prod/variables.tf")
	require.NoError(t, err)
	declared := func(name string) bool {
		return regexp.MustCompile(`(?m)^variable "` + name + `" \{$`).Match(variables)
	}

	// The inputs of the original, which keep their names and their meaning.
	for _, name := range []string{
		"aws_region", "db_enabled", "db_namespace", "error_channel", "flow_vars",
		"lambda_security_group_ids", "lambda_subnet_ids", "pg_connection_config", "pg_targets",
		"runtime_name", "slack_workspace_id", "sym_account_ids", "sym_org_slug", "tags",
	} {
		require.True(t, declared(name), "environments/prod has no %s", name)
		require.Regexp(t, "(?m)^\\|.*`"+name+"[.`]", string(page), "the page says nothing of %s", name)
	}

	// What the page says is new is there.
	news := regexp.MustCompile(`(?s)New, with defaults that change nothing: (.*?)\n\n`).FindSubmatch(page)
	require.NotNil(t, news)
	for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllSubmatch(news[1], -1) {
		require.True(t, declared(string(name[1])), "environments/prod has no %s", name[1])
	}
}
