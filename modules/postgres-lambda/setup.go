// Package postgreslambda carries the module's setup.sql and uninstall.sql, so that the files
// that a database administrator reads are the ones that run.
package postgreslambda

import _ "embed"

// Setup is setup.sql. Its psql variables are broker, roles and create_users (on or off).
//
//go:embed setup.sql
var Setup string

// Uninstall is uninstall.sql. Its psql variables are broker and revoke (on or off).
//
//go:embed uninstall.sql
var Uninstall string
