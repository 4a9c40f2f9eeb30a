package rules

import (
	"regexp"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"

	"sym-postgres-quickstart/functions/internal/email"
)

// literals refuses texts in conditions that type-check and can never do what they seem to do. It
// is a [cel.ASTValidator].
type literals struct{}

// Name is what the validator is called.
func (literals) Name() string { return "rules.literals" }

// Validate looks at patterns, time zones, and what e-mail addresses are compared with.
func (literals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		args := call.Args()
		if call.IsMemberFunction() {
			args = append([]ast.Expr{call.Target()}, args...)
		}
		if len(args) != 2 {
			return
		}
		switch name := call.FunctionName(); name {
		case overloads.Matches:
			checkPattern(args[1], issues)
		case operators.Equals, operators.NotEquals, operators.In, overloads.StartsWith,
			overloads.EndsWith, overloads.Contains:
			if isEmail(args[0]) {
				checkEmails(args[1], issues)
			}
			if isEmail(args[1]) {
				checkEmails(args[0], issues)
			}
		default:
			if slices.Contains(ofTime, name) {
				checkZone(args[1], issues)
			}
		}
	}))
}

// checkPattern refuses what comes from elsewhere, such as from the request, or takes too long.
func checkPattern(e ast.Expr, issues *cel.Issues) {
	pattern, isText := text(e)
	if !isText {
		issues.ReportErrorAtID(e.ID(), "the pattern of matches has to be written out, in quotes")
		return
	}
	size, err := programSize(pattern)
	switch {
	case err != nil:
		issues.ReportErrorAtID(e.ID(), "this is no pattern: %s", err)
	case size > maxPattern:
		issues.ReportErrorAtID(e.ID(), "the pattern is too large: it takes %d instructions, and "+
			"may take %d", size, maxPattern)
	}
}

// ofTime are the functions of a time that may be given a time zone.
var ofTime = []string{
	overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear,
	overloads.TimeGetDayOfMonth, overloads.TimeGetDate, overloads.TimeGetDayOfWeek,
	overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds,
	overloads.TimeGetMilliseconds,
}

// offset is a time zone as a distance from UTC, such as +02:00.
var offset = regexp.MustCompile(`^[+-](0\d|1[0-4]):[0-5]\d$`)

// checkZone refuses what is no time zone, or comes from elsewhere, such as from the request.
func checkZone(e ast.Expr, issues *cel.Issues) {
	zone, isText := text(e)
	if !isText {
		issues.ReportErrorAtID(e.ID(), "the time zone has to be written out, in quotes")
		return
	}
	if offset.MatchString(zone) {
		return
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		issues.ReportErrorAtID(e.ID(), "there is no time zone %q; one is \"Europe/Berlin\"", zone)
	}
}

// isEmail tells whether an expression is somebody's e-mail address.
func isEmail(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind &&
		(e.AsIdent() == "requester.email" || e.AsIdent() == "approver.email")
}

// checkEmails refuses what no e-mail address can be equal to: addresses are compared in small
// letters, and have letters of ASCII only.
func checkEmails(e ast.Expr, issues *cel.Issues) {
	if e.Kind() == ast.ListKind {
		for _, element := range e.AsList().Elements() {
			checkEmails(element, issues)
		}
		return
	}
	literal, isText := text(e)
	switch {
	case !isText:
	case !email.ASCII(literal):
		issues.ReportErrorAtID(e.ID(), "no e-mail address can be like %+q: it has letters that "+
			"only look like those of addresses", literal)
	case email.Fold(literal) != literal:
		issues.ReportErrorAtID(e.ID(), "no e-mail address can be like %q, since addresses are "+
			"compared in small letters: write %q", literal, email.Fold(literal))
	}
}

// text is a literal's text, if it is one.
func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	literal, isText := e.AsLiteral().Value().(string)
	return literal, isText
}
