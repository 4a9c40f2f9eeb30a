package request

import "strings"

// Left describes up to a number of the things that were left behind, each in a few words, and
// counts the others.
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

// QuoteName quotes a role's name as an SQL identifier.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
