package main

import (
	"context"
	"fmt"
	"strings"

	"sym-postgres-quickstart/functions/internal/email"
)

// mostName is the longest name in bytes that PostgreSQL keeps; it truncates longer ones.
const mostName = 63

// assign prints the SQL with which an administrator assigns a database user to another address.
// The SQL alone goes to standard output, so that it can be piped into psql.
func (p *program) assign(_ context.Context, o *options) error {
	user, address := o.args[0], email.Fold(o.args[1])
	switch {
	case user == "" || len(user) > mostName || strings.ContainsFunc(user, isCommand):
		return o.usage(fmt.Sprintf("%s is not the name of a database user: it has 1 to %d bytes, and "+
			"no control characters", quoted(user), mostName))
	case !email.Valid(address):
		return o.usage(quoted(address) + " is not an e-mail address")
	}
	if _, err := fmt.Fprintf(p.out, "SELECT sym.assign_user(%s, %s);\n", literal(user),
		literal(address)); err != nil {
		return err
	}
	p.next("Nothing has been changed yet. A database administrator has to run this with psql, as "+
		"the owner of the schema sym. From then on the database user %s belongs to %s alone, so "+
		"make sure that both are the same person.", quoted(user), address)
	return nil
}

// literal quotes a string for SQL, whatever the setting standard_conforming_strings is.
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
