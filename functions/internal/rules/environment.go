package rules

import (
	"fmt"
	"slices"
	"sync"
	// The zip of a function brings no time zones, and conditions name them.
	_ "time/tzdata"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/types"
)

// What a condition may be, and what evaluating it may cost. A unit of cost is about 50 ns.
const (
	maxExpression = 2000    // characters
	maxDepth      = 50      // parentheses, calls and operators in one another
	maxNodes      = 2000    // after macros such as exists have been written out
	maxNesting    = 2       // exists in exists
	maxPattern    = 1000    // instructions of a regular expression
	maxCost       = 100_000 // the estimate before, and the count while it is evaluated
)

// variable is something that conditions can read.
type variable struct {
	name string
	kind *cel.Type
}

var requestVariables = []variable{
	{"request.flow", cel.StringType},
	{"request.target", cel.StringType},
	{"request.role", cel.StringType},
	{"request.reason", cel.StringType},
	{"request.duration", cel.DurationType},
	{"request.extension", cel.BoolType},
	{"request.break_glass", cel.BoolType},
	{"requester.email", cel.StringType},
	{"requester.groups", cel.ListType(cel.StringType)},
	{"now", cel.TimestampType},
}

// approverVariables are those that approve_when has beside the others.
var approverVariables = []variable{
	{"approver.email", cel.StringType},
	{"approver.groups", cel.ListType(cel.StringType)},
}

// scope is what a condition may read.
type scope struct {
	env       *cel.Env
	variables []variable
}

// has tells whether there is a variable of that name.
func (s *scope) has(name string) bool {
	return slices.ContainsFunc(s.variables, func(v variable) bool { return v.name == name })
}

// ofRequests is the scope of all conditions but approve_when, whose is ofApprovals.
var (
	ofRequests = sync.OnceValue(func() *scope { return newScope(requestVariables) })

	ofApprovals = sync.OnceValue(func() *scope {
		return newScope(slices.Concat(requestVariables, approverVariables))
	})
)

// newScope makes an environment of the standard library, less what would switch the check of
// types off: dyn, and the messages of protocol buffers.
func newScope(variables []variable) *scope {
	library := env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction("dyn"))
	noMessages := types.NewEmptyRegistry()
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(noMessages),
		cel.CustomTypeProvider(noMessages),
		cel.StdLib(cel.StdLibSubset(library)),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(1),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting),
			literals{},
		),
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.kind))
	}
	made, err := cel.NewCustomEnv(options...)
	if err != nil {
		panic(fmt.Sprintf("making the environment of conditions: %s", err)) // constants only
	}
	return &scope{made, variables}
}
