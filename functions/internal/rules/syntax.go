package rules

import (
	"fmt"
	"regexp"
	"slices"
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

// What the compiler says, and what is made of it.
var (
	undeclared = regexp.MustCompile(`^undeclared reference to '(.*?)'`)
	// The compiler lists all that could have stood in a place.
	expecting = regexp.MustCompile(`(?s) expecting \{.*`)
	durations = regexp.MustCompile(`\bduration\b.*\b(int|string)\b|duration argument`)
	nesting   = regexp.MustCompile(`^comprehension exceeds nesting limit`)
	depth     = regexp.MustCompile(`^expression recursion limit exceeded|^max recursion depth`)
	tooEarly  = regexp.MustCompile(`(?i)^syntax error: mismatched input '<EOF>'`)
	times     = regexp.MustCompile(`timestamp argument`)
)

// sentence puts what the compiler says of a place into words for people.
func (s *scope) sentence(message, source string, line, column int) string {
	if found := undeclared.FindStringSubmatch(message); found != nil {
		return s.unknown(found[1], nameAt(source, line, column))
	}
	if nesting.MatchString(message) {
		return fmt.Sprintf("The macros exists, exists_one, all, map and filter can be used in one "+
			"another and after one another %d times at most.", maxNesting)
	}
	if depth.MatchString(message) {
		return fmt.Sprintf("More than %d parentheses, operators and calls are in one another.",
			maxDepth)
	}
	if tooEarly.MatchString(message) {
		return "The condition ends too early: something is missing here."
	}
	message = expecting.ReplaceAllString(message, "")
	first, size := utf8.DecodeRuneInString(message)
	message = shorten(string(unicode.ToUpper(first))+message[size:], 300)
	if !strings.HasSuffix(message, ".") {
		message += "."
	}
	if durations.MatchString(message) {
		message += ` A duration is written duration("30m").`
	}
	if times.MatchString(message) {
		message += ` A time is written timestamp("2026-03-02T14:00:00Z").`
	}
	return message
}

// unknown is what the compiler does not know: a function, or the variable that a longer name in
// the source begins with.
func (s *scope) unknown(name, inSource string) string {
	switch {
	case inSource == "":
		return fmt.Sprintf("There is no function %s here.", name)
	case s.has(inSource):
		return fmt.Sprintf("The variable %s is always there: has cannot ask for it.", inSource)
	case slices.Contains([]string{"approver.email", "approver.groups"}, inSource):
		return fmt.Sprintf("Only approve_when can read %s: everywhere else nobody approves yet.",
			inSource)
	default:
		return fmt.Sprintf("There is no variable %s. A condition can read %s.", inSource,
			s.names())
	}
}

func (s *scope) names() string {
	names := make([]string, len(s.variables))
	for i, v := range s.variables {
		names[i] = v.name
	}
	return enumerate(names, "and")
}

var dotted = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*`)

// nameAt is the name that begins at a place of a source, empty where none does.
func nameAt(source string, line, column int) string {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) || column < 0 {
		return ""
	}
	runes := []rune(lines[line-1])
	if column >= len(runes) {
		return ""
	}
	return dotted.FindString(string(runes[column:]))
}
