// Package postgreslambda carries the module's setup.sql, so that the file that a database
// administrator reads is the one that runs.
package postgreslambda

import _ "embed"

// Setup is setup.sql. Its psql variables are broker and roles.
//
//go:embed setup.sql
var Setup string
