package client_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/client"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// TestFromTerraform asks the real program about folders in every condition.
func TestFromTerraform(t *testing.T) {
	terraform, err := tools.Terraform(t.Context())
	require.NoError(t, err)
	t.Setenv("PATH", filepath.Dir(terraform)+string(os.PathListSeparator)+os.Getenv("PATH"))

	// folder is one with such outputs in its state.
	folder := func(outputs string) string {
		dir := t.TempDir()
		state := `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":` +
			outputs + `,"resources":[]}`
		path := filepath.Join(dir, "terraform.tfstate")
		require.NoError(t, os.WriteFile(path, []byte(state), 0o600))
		return dir
	}
	text := func(value string) string { return `{"value":"` + value + `","type":"string"}` }

	for name, test := range map[string]struct {
		outputs string
		want    client.Place
	}{
		"both": {`{"api_endpoint":` + text("http://127.0.0.1:1") + `,"region":` + text("eu-west-1") + `}`,
			client.Place{Address: "http://127.0.0.1:1", Region: "eu-west-1"}},
		"the address alone": {`{"api_endpoint":` + text("https://x") + `,"flow":` + text("x") + `}`,
			client.Place{Address: "https://x"}},
	} {
		t.Run(name, func(t *testing.T) {
			place, err := client.FromTerraform(t.Context(), folder(test.outputs))
			require.NoError(t, err)
			assert.Equal(t, test.want, place)
		})
	}
	for name, test := range map[string]struct{ dir, says string }{
		"no folder":      {filepath.Join(t.TempDir(), "gone"), "there is no folder"},
		"a file":         {filepath.Join(folder(`{}`), "terraform.tfstate"), "there is no folder"},
		"nothing there":  {t.TempDir(), "has no outputs yet"},
		"no outputs":     {folder(`{}`), "has no outputs yet"},
		"others only":    {folder(`{"flow":` + text("postgres") + `}`), `no output "api_endpoint"`},
		"an empty one":   {folder(`{"api_endpoint":` + text("") + `}`), "is not an address"},
		"a number":       {folder(`{"api_endpoint":{"value":1,"type":"number"}}`), "is not an address"},
		"a broken state": {folder(`{`), "Terraform says: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.FromTerraform(t.Context(), test.dir)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.says)
			assert.NotContains(t, err.Error(), "│")
		})
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = client.FromTerraform(stopped, t.TempDir())
	assert.ErrorIs(t, err, context.Canceled)

	t.Setenv("PATH", t.TempDir())
	_, err = client.FromTerraform(t.Context(), t.TempDir())
	assert.ErrorContains(t, err, "terraform is not on your PATH")
}

func TestHasTerraform(t *testing.T) {
	dir := t.TempDir()
	assert.False(t, client.HasTerraform(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), nil, 0o600))
	assert.True(t, client.HasTerraform(dir))
}
