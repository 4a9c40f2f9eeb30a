package database

import (
	"fmt"
	"maps"
	"strings"
)

// Script turns a file written for psql into one that a server takes: the lines that start
// with a backslash are psql's own and are left out, and :'name' becomes the value of a
// variable as a literal. A variable that is not given has the value of the file's \set.
func Script(text string, variables map[string]string) (string, error) {
	var lines []string
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, `\`) {
			lines = append(lines, line)
		} else if words := strings.Fields(line); words[0] == `\set` && len(words) == 3 {
			values[words[1]] = strings.Trim(words[2], "'")
		}
	}
	maps.Copy(values, variables)
	var pairs []string
	for name, value := range values {
		if strings.ContainsRune(value, 0) {
			return "", fmt.Errorf("the variable %s of the script has a NUL in it", name)
		}
		pairs = append(pairs, ":'"+name+"'", Literal(value))
	}
	return strings.NewReplacer(pairs...).Replace(strings.Join(lines, "\n")), nil
}

// Literal quotes a string for SQL, in the form that no setting of the server changes.
func Literal(value string) string {
	quoted := strings.ReplaceAll(value, "'", "''")
	if strings.Contains(value, `\`) {
		return " E'" + strings.ReplaceAll(quoted, `\`, `\\`) + "'"
	}
	return "'" + quoted + "'"
}
