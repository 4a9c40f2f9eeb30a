package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// evaluationTime is more than the costliest condition takes. It is there for what the count of
// costs does not see.
const evaluationTime = time.Second

// condition is a compiled expression. It is safe for concurrent use.
type condition struct {
	rule    string // for people, such as `deny "weekend"`
	source  string
	program cel.Program
	ast     *ast.AST
	reads   []string // the variables, in the order in which they appear
}

// compile checks an expression, and says at place what is wrong with it.
func (s *scope) compile(rule, place, source string) (c *condition, problems []Problem) {
	// A fault in a library must not be what decides.
	defer func() {
		if fault := recover(); fault != nil {
			c, problems = nil, []Problem{{place, fmt.Sprintf("The condition cannot be compiled: "+
				"%v.", fault)}}
		}
	}()
	at := func(message string) []Problem { return []Problem{{place, message}} }
	if length := utf8.RuneCountInString(source); length > maxExpression {
		return nil, at(fmt.Sprintf("The condition has %d characters, and may have %d.", length,
			maxExpression))
	}
	checked, issues := s.env.Compile(source)
	if issues.Err() != nil {
		return nil, s.problems(place, source, issues)
	}
	if kind := checked.OutputType(); !kind.IsExactType(cel.BoolType) {
		return nil, at(fmt.Sprintf("The condition has to be true or false, and this is of type "+
			"%s.", cel.FormatCELType(kind)))
	}
	cost, err := s.env.EstimateCost(checked, sizes{}, estimates()...)
	if err != nil {
		return nil, at(fmt.Sprintf("What the condition costs cannot be estimated: %s.", err))
	}
	if cost.Max > maxCost {
		return nil, at(fmt.Sprintf("Evaluating the condition could cost too much: %s, where %d "+
			"are allowed. Compare less, or with shorter lists and patterns.", steps(cost.Max),
			maxCost))
	}
	program, err := s.env.Program(checked,
		cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost),
		cel.CostLimit(maxCost),
		cel.InterruptCheckFrequency(100),
		counts(),
	)
	if err != nil {
		return nil, at(fmt.Sprintf("The condition cannot be evaluated: %s.", err))
	}
	c = &condition{rule: rule, source: source, program: program, ast: checked.NativeRep()}
	c.reads = s.readBy(c.ast)
	return c, nil
}

func steps(cost uint64) string {
	if cost > 1_000_000_000 {
		return "more than 1000000000 steps"
	}
	return fmt.Sprintf("%d steps", cost)
}

// readBy lists the variables that an expression reads.
func (s *scope) readBy(a *ast.AST) []string {
	var names []string
	seen := map[string]bool{}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind {
			return
		}
		name := strings.TrimPrefix(e.AsIdent(), ".")
		if s.has(name) && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}))
	return names
}

// errNoAnswer cannot happen, since only what is of type bool compiles.
var errNoAnswer = errors.New("its value is neither true nor false")

// holds evaluates the condition. Where that fails, ok is false and the match has an error.
func (c *condition) holds(ctx context.Context, values map[string]any) (m Match, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, evaluationTime)
	defer cancel()
	m.Rule = c.rule
	value, _, err := c.program.ContextEval(ctx, values)
	answer, isBool := value.(types.Bool)
	if err == nil && !isBool {
		err = errNoAnswer
	}
	if err != nil {
		m.Err = &EvaluationError{c.rule, c.source, err}
		m.Because = c.because("could not be evaluated ("+err.Error()+")", values)
		return m, false
	}
	m.Because = c.because(fmt.Sprintf("is %t", answer), values)
	return m, bool(answer)
}
