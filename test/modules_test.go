package test

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// TestModules runs each module's own tests (terraform test), which need no
// account.
func TestModules(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Glob("../modules/*/tests")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	program, err := tools.Terraform(t.Context())
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, tests := range modules {
		name := filepath.Base(filepath.Dir(tests))
		t.Run(name, func(t *testing.T) {
			// Terraform's working files stay out of the source.
			dir := t.TempDir()
			require.NoError(t, sandbox.CopySource(root, dir, "modules"))
			env := map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
			provider, err := tools.TerraformEnv(dir)
			require.NoError(t, err)
			maps.Copy(env, provider)
			options := &terraform.Options{
				TerraformBinary: program, TerraformDir: filepath.Join(dir, "modules", name),
				EnvVars: env, NoColor: true, Logger: logger.Discard,
			}
			terraform.InitContext(t, t.Context(), options)
			terraform.RunTerraformCommandContext(t, t.Context(), options, "test", "-no-color")
		})
	}
}
