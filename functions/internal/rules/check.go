package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// Draft is the rules of a flow's targets before they are written, as Terraform sends them to be
// checked.
type Draft struct {
	Flow   string              `json:"flow"`
	Groups map[string][]string `json:"groups"`
	// Roles are those of all targets of the flow.
	Roles []string `json:"roles"`
	// Targets has a [Document] for each target, by its name.
	Targets map[string]json.RawMessage `json:"targets"`
}

// Fault is a problem with the rules of a target.
type Fault struct {
	Target string `json:"target"`
	Problem
}

// Check says everything that is wrong with a draft: what does not compile, and conditions that
// compare with a group, a role, a target or a flow that there is not. Such a condition never
// holds, whatever it is there to deny, or always, whatever it is there to allow.
//
// Without Flow, Roles or Groups, nil each, nothing is said about the names of these.
func (d Draft) Check() []Fault {
	faults := []Fault{}
	known := map[string][]string{
		"request.target": slices.Sorted(maps.Keys(d.Targets)),
		"request.role":   d.Roles,
	}
	if d.Flow != "" {
		known["request.flow"] = []string{d.Flow}
	}
	if d.Groups != nil {
		names := slices.AppendSeq([]string{}, maps.Keys(d.Groups))
		slices.Sort(names)
		known["requester.groups"], known["approver.groups"] = names, names
	}
	for _, target := range slices.Sorted(maps.Keys(d.Targets)) {
		for _, problem := range check(d.Targets[target], known) {
			faults = append(faults, Fault{target, problem})
		}
	}
	return faults
}

func check(document json.RawMessage, known map[string][]string) []Problem {
	var d Document
	if err := json.Unmarshal(document, &d); err != nil {
		return []Problem{unread(err)}
	}
	made, err := Compile(d)
	var faults *CompileError
	switch {
	case errors.As(err, &faults):
		return faults.Problems
	case err != nil:
		return []Problem{{"rules", err.Error()}}
	}
	var problems []Problem
	for place, c := range made.conditions() {
		problems = append(problems, c.strangers(place, known)...)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return strings.Compare(a.Place, b.Place)
	})
	return problems
}

// unread says why a document is none.
func unread(err error) Problem {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return Problem{kind.Field, fmt.Sprintf("It is of the wrong kind: a %s.", kind.Value)}
	}
	why := strings.TrimPrefix(err.Error(), "json: ")
	if field, unknown := strings.CutPrefix(why, "unknown field "); unknown {
		return Problem{"rules", fmt.Sprintf("This Runtime knows no field %s of rules. It may be "+
			"older than the Terraform module that wrote it.", field)}
	}
	return Problem{"rules", fmt.Sprintf("The rules are not written as this Runtime reads them: "+
		"%s.", why)}
}

// conditions are all conditions by their places.
func (r *Rules) conditions() map[string]*condition {
	all := map[string]*condition{}
	add := func(place string, c *condition) {
		if c != nil {
			all[place] = c
		}
	}
	add("request_when", r.requestWhen)
	add("approve_when", r.approveWhen)
	add("break_glass.when", r.breakGlass)
	for _, c := range append(slices.Clone(r.approveAtOnce), r.deny...) {
		add(c.rule+".when", c)
	}
	return all
}

// What the names that a variable can have are names of.
var kinds = map[string]string{
	"request.flow":     "flow",
	"request.target":   "target",
	"request.role":     "role",
	"requester.groups": "group",
	"approver.groups":  "group",
}

// strangers finds the names that a condition compares with and that there are not.
func (c *condition) strangers(place string, known map[string][]string) []Problem {
	var problems []Problem
	compare := func(variable string, with ast.Expr, outcome string) {
		names := known[variable]
		if names == nil {
			return
		}
		for _, e := range elements(with) {
			name, isText := text(e)
			if !isText || slices.Contains(names, name) {
				continue
			}
			start := c.ast.SourceInfo().GetStartLocation(e.ID())
			problems = append(problems, Problem{
				fmt.Sprintf("%s, line %d column %d", place, start.Line(), start.Column()+1),
				fmt.Sprintf("There is no %s %q here, so this %s holds. %s", kinds[variable], name,
					outcome, choices(kinds[variable], names)),
			})
		}
	}
	// What each variable of exists, all and the like stands for, where it is an element of one of
	// the lists.
	elementOf := map[string]string{}
	variable := func(e ast.Expr) string {
		if e.Kind() != ast.IdentKind {
			return ""
		}
		if list, isElement := elementOf[e.AsIdent()]; isElement {
			return list
		}
		return e.AsIdent()
	}
	ast.PreOrderVisit(c.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			loop := e.AsComprehension()
			if list := variable(loop.IterRange()); strings.HasSuffix(list, ".groups") {
				elementOf[loop.IterVar()] = list
			}
		}
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
		switch e.AsCall().FunctionName() {
		case operators.Equals:
			compare(variable(left), right, "never")
			compare(variable(right), left, "never")
		case operators.NotEquals:
			compare(variable(left), right, "always")
			compare(variable(right), left, "always")
		case operators.In:
			compare(variable(left), right, "never")
			if list := variable(right); strings.HasSuffix(list, ".groups") {
				compare(list, left, "never")
			}
		}
	}))
	return problems
}

// elements are those of a list that is written out, or the expression itself.
func elements(e ast.Expr) []ast.Expr {
	if e.Kind() == ast.ListKind {
		return e.AsList().Elements()
	}
	return []ast.Expr{e}
}

func choices(kind string, names []string) string {
	switch len(names) {
	case 0:
		return fmt.Sprintf("There is no %s yet.", kind)
	case 1:
		return fmt.Sprintf("The only %s is %s.", kind, names[0])
	}
	return fmt.Sprintf("The %ss are %s.", kind, enumerate(names, "and"))
}
