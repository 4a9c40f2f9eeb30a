package test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"
)

// example is the first block of Terraform in a README. Its fence says how many
// resources it plans.
var example = regexp.MustCompile("(?s)```hcl plans=(\\d+)\n(.*?)```")

// TestReadmes plans what the modules' READMEs show. Their examples are one
// configuration together, as a team would write it.
func TestReadmes(t *testing.T) {
	t.Parallel()
	box, options := newBox(t, "sandbox", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := filepath.Join(options.TerraformDir, "..", "..")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "functions"), 0o755))
	require.NoError(t, os.Symlink(options.Vars["package_dir"].(string), filepath.Join(dir, "functions", "dist")))

	readmes, err := filepath.Glob("../modules/*/README.md")
	require.NoError(t, err)
	nested, err := filepath.Glob("../modules/*/*/README.md")
	require.NoError(t, err)
	readmes = append(readmes, nested...)
	wanted := map[string]int{}
	var whole strings.Builder
	// The page about several databases adds one to what the READMEs have.
	several, err := os.ReadFile("../docs/several.md")
	require.NoError(t, err)
	second := example.FindSubmatch(several)
	require.NotNil(t, second)
	wanted["orders"], err = strconv.Atoi(string(second[1]))
	require.NoError(t, err)
	whole.Write(second[2])
	for _, path := range readmes {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		match := example.FindSubmatch(text)
		require.NotNil(t, match, "%s has no example with the number of its resources", path)
		name := strings.ReplaceAll(filepath.Base(filepath.Dir(path)), "-", "_")
		wanted[strings.TrimPrefix(name, "example_")], err = strconv.Atoi(string(match[1]))
		require.NoError(t, err)
		whole.Write(match[2])
	}
	// The network in the example is nobody's; this one is there.
	subnets := ownSubnets(t, ctx, box)
	text := strings.NewReplacer(
		"subnet-0123456789abcdef0", subnets[0], "subnet-0fedcba9876543210", subnets[1],
	).Replace(whole.String())
	// What the examples call aws.database is the same account here. docs/accounts.md has two.
	text += "\nprovider \"aws\" {}\n\nprovider \"aws\" {\n  alias = \"database\"\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), []byte(text), 0o600))

	plan := terraform.InitAndPlanAndShowWithStructContext(t, ctx, &terraform.Options{
		TerraformBinary: box.Terraform, TerraformDir: dir, EnvVars: box.Env(), NoColor: true,
		Logger: logger.Discard, PlanFilePath: filepath.Join(dir, "plan"),
	})
	planned := map[string]int{}
	for address, change := range plan.ResourceChangesMap {
		if change.Change.Actions.Create() {
			name := strings.Split(address, ".")[1]
			if strings.HasPrefix(name, "orders_") {
				name = "orders"
			}
			planned[name]++
		}
	}
	require.Equal(t, wanted, planned)
}
