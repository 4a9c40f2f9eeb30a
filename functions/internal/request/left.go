package request

import "strings"

// Left tells what was left behind, each in a few words, up to a number of things, and how many
// more there are.
func (r Request) Left(most int) (first []string, more int) {
	more = r.LeftBehindMore
	for i, item := range r.LeftBehind {
		if i >= most {
			more += len(r.LeftBehind) - i
			break
		}
		what := item.What
		if item.TakenBack {
			what += " (taken back)"
		}
		first = append(first, what)
	}
	return first, more
}

// QuoteName writes the name of a role as PostgreSQL reads it, in double quotes.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
