package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// objectVariable is a variable with an object type, of which Terraform drops unknown fields
// without a word.
var objectVariable = regexp.MustCompile(`(?s)variable "([a-z_]+)" \{\n(?:  [^\n]*\n|\n)*?  type\s*= [^\n]*object\(`)

// TestMisspeltFields looks at every variable of the modules and environments: one that has fields
// is of any type and checks them itself, so that a misspelt field is refused. The exceptions take
// a whole module, with more outputs than they need, so that nobody writes their fields by hand.
func TestMisspeltFields(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/*/variables.tf")
	require.NoError(t, err)
	nested, err := filepath.Glob("../modules/*/*/variables.tf")
	require.NoError(t, err)
	files = append(files, nested...)
	require.NotEmpty(t, files)
	var found []string
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range objectVariable.FindAllSubmatch(text, -1) {
			found = append(found, filepath.Base(filepath.Dir(path))+"."+string(match[1]))
		}
	}
	require.Equal(t, []string{
		"postgres-flow.connector", "postgres-flow.runtime", "connector.runtime",
	}, found,
		"make the variable of type any, and refuse unknown fields as its neighbours do")
}
