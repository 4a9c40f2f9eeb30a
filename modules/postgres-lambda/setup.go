// Package postgreslambda carries the module's setup.sql and uninstall.sql, so that the files
// that a database administrator reads are the ones that run.
package postgreslambda

import (
	"embed"
	"strings"
)

//go:embed setup.sql setup/*.sql uninstall.sql
var files embed.FS

// Setup is setup.sql with the files that it includes in their places. Its psql variables are
// those that setup.sql names.
var Setup = include("setup.sql")

// Uninstall is uninstall.sql. Its psql variables are broker and revoke (on or off).
var Uninstall = include("uninstall.sql")

// include reads a file and puts what its lines "\ir path" name in their place, as psql does.
func include(path string) string {
	text, err := files.ReadFile(path)
	if err != nil {
		panic(err) // The files are part of the program.
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if included, ok := strings.CutPrefix(line, `\ir `); ok {
			lines[i] = include(strings.TrimSpace(included))
		}
	}
	return strings.Join(lines, "\n")
}
