package rules

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
)

// maxProblems is how many faults of one condition are told.
const maxProblems = 5

// problems puts what the compiler says into sentences with their places.
func (s *scope) problems(place, source string, issues *cel.Issues) []Problem {
	var found []Problem
	for i, issue := range issues.Errors() {
		if i == maxProblems {
			break
		}
		line, column := issue.Location.Line(), issue.Location.Column()
		where := place
		if line > 0 && column >= 0 {
			where = fmt.Sprintf("%s, line %d column %d", place, line, column+1)
		}
		found = append(found, Problem{where, s.sentence(issue.Message, source, line, column)})
	}
	return found
}

// expecting begins the compiler's list of all that could have stood in a place.
const expecting = " expecting {"

// sentence puts what the compiler says of a place into words for people.
func (s *scope) sentence(message, source string, line, column int) string {
	if strings.HasPrefix(message, "undeclared reference to") {
		if name := nameAt(source, line, column); name != "" {
			return fmt.Sprintf("There is no %s. A condition here can read %s.", name, s.names())
		}
	}
	if before, _, cut := strings.Cut(message, expecting); cut {
		message = before
	}
	first, size := utf8.DecodeRuneInString(message)
	message = shorten(string(unicode.ToUpper(first))+message[size:], 300)
	if !strings.HasSuffix(message, ".") {
		message += "."
	}
	if strings.Contains(message, "duration") && strings.Contains(message, "int") {
		message += ` A duration is written duration("30m").`
	}
	return message
}

func (s *scope) names() string {
	names := make([]string, len(s.variables))
	for i, v := range s.variables {
		names[i] = v.name
	}
	return enumerate(names, "and")
}

var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*(\()?`)

// nameAt is the name that begins at a place of a source, with a parenthesis if it is a call.
func nameAt(source string, line, column int) string {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) || column < 0 {
		return ""
	}
	runes := []rune(lines[line-1])
	if column >= len(runes) {
		return ""
	}
	found := name.FindString(string(runes[column:]))
	if before, isCall := strings.CutSuffix(found, "("); isCall {
		return "function " + before
	}
	if found == "" {
		return ""
	}
	return "variable " + found
}
