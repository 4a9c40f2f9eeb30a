// Package exampledb carries the module's seed.sql, so that the file that a reader finds is
// the one that runs.
package exampledb

import _ "embed"

// Seed is seed.sql. It has no psql variables.
//
//go:embed seed.sql
var Seed string
