package test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// TestModules runs the modules' and the environments' own tests (terraform test),
// which need no account.
func TestModules(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Glob("../*/*/tests")
	require.NoError(t, err)
	nested, err := filepath.Glob("../modules/*/*/tests")
	require.NoError(t, err)
	modules = append(modules, nested...)
	require.NotEmpty(t, modules)
	program, err := tools.Terraform(t.Context())
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, tests := range modules {
		name, err := filepath.Rel("..", filepath.Dir(tests))
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			// Terraform's working files stay out of the source.
			dir := t.TempDir()
			folders := []string{"modules"}
			if !strings.HasPrefix(name, "modules") {
				folders = append(folders, name)
				somePackages(t, dir)
			}
			require.NoError(t, sandbox.CopySource(root, dir, folders...))
			env := map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
			provider, err := tools.TerraformEnv(dir)
			require.NoError(t, err)
			maps.Copy(env, provider)
			for _, folder := range apart(t, filepath.Join(dir, name)) {
				options := &terraform.Options{
					TerraformBinary: program, TerraformDir: folder,
					EnvVars: env, NoColor: true, Logger: logger.Discard,
				}
				terraform.RunTerraformCommandContext(t, t.Context(), options, "init", "-backend=false", "-no-color")
				terraform.RunTerraformCommandContext(t, t.Context(), options, "test", "-no-color")
			}
		})
	}
}

// somePackages puts files where an environment has its packages. Any do where nothing is uploaded.
func somePackages(t *testing.T, dir string) {
	t.Helper()
	dir = filepath.Join(dir, "functions", "dist")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"postgres.zip", "runtime.zip", "seed.zip"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
}
