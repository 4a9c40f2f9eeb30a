package rules

import (
	"math"
	"regexp/syntax"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// How long what conditions read can be. Where it is longer all the same, the count of the cost
// while a condition is evaluated stops it.
const (
	maxReason    = 1000
	maxName      = 100 // of a flow, a target, a role or a group
	maxEmail     = 254
	maxGroups    = 100
	maxConverted = 1000 // string(…)
)

// Reading a time in a time zone loads the zone, which takes as long as this many steps.
const zoneCost = 1000

// zoned are the functions of a time that take a time zone.
var zoned = []string{
	overloads.TimestampToYearWithTz, overloads.TimestampToMonthWithTz,
	overloads.TimestampToDayOfYearWithTz, overloads.TimestampToDayOfMonthZeroBasedWithTz,
	overloads.TimestampToDayOfMonthOneBasedWithTz, overloads.TimestampToDayOfWeekWithTz,
	overloads.TimestampToHoursWithTz, overloads.TimestampToMinutesWithTz,
	overloads.TimestampToSecondsWithTz, overloads.TimestampToMillisecondsWithTz,
}

// sizes estimates how long what a condition reads can be. It is a [checker.CostEstimator].
type sizes struct{}

// EstimateSize returns the bounds of a variable, of an element of one, or of a text that was
// converted from something; nil for everything else.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	upTo := func(limit uint64) *checker.SizeEstimate { return &checker.SizeEstimate{Max: limit} }
	path := node.Path()
	if len(path) == 0 {
		if e := node.Expr(); e.Kind() == ast.CallKind &&
			e.AsCall().FunctionName() == overloads.TypeConvertString {
			return upTo(maxConverted)
		}
		return nil
	}
	switch {
	case strings.HasSuffix(path[0], ".groups") && len(path) == 1:
		return upTo(maxGroups)
	case strings.HasSuffix(path[0], ".groups") && len(path) == 2:
		return upTo(maxName)
	case len(path) > 1:
		return nil
	case path[0] == "request.reason":
		return upTo(maxReason)
	case strings.HasSuffix(path[0], ".email"):
		return upTo(maxEmail)
	case path[0] == "request.flow", path[0] == "request.target", path[0] == "request.role":
		return upTo(maxName)
	}
	return nil
}

// EstimateCallCost leaves the cost of calls to the standard and to the options.
func (sizes) EstimateCallCost(
	string, string, *checker.AstNode, []checker.AstNode,
) *checker.CallEstimate {
	return nil
}

// estimates are what calls cost that the standard takes for cheaper than they are.
func estimates() []checker.CostOption {
	zone := func(checker.CostEstimator, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
		return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(zoneCost)}
	}
	matches := func(
		_ checker.CostEstimator, target *checker.AstNode, args []checker.AstNode,
	) *checker.CallEstimate {
		if target != nil {
			args = append([]checker.AstNode{*target}, args...)
		}
		most := uint64(math.MaxUint64)
		if text := args[0].ComputedSize(); text != nil {
			most = matchCost(text.Max, pattern(args[1].Expr()))
		}
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: most}}
	}
	options := []checker.CostOption{
		checker.OverloadCostEstimate(overloads.MatchesString, matches),
		checker.OverloadCostEstimate(overloads.Matches, matches),
	}
	for _, overload := range zoned {
		options = append(options, checker.OverloadCostEstimate(overload, zone))
	}
	return options
}

// counts are the same costs, counted while a condition is evaluated.
func counts() cel.ProgramOption {
	zone := func([]ref.Val, ref.Val) *uint64 {
		cost := uint64(zoneCost)
		return &cost
	}
	matches := func(args []ref.Val, _ ref.Val) *uint64 {
		text, isText := args[0].(types.String)
		pattern, isPattern := args[1].(types.String)
		if !isText || !isPattern {
			return nil
		}
		cost := matchCost(uint64(len(text)), string(pattern))
		return &cost
	}
	options := []interpreter.CostTrackerOption{
		interpreter.OverloadCostTracker(overloads.MatchesString, matches),
		interpreter.OverloadCostTracker(overloads.Matches, matches),
	}
	for _, overload := range zoned {
		options = append(options, interpreter.OverloadCostTracker(overload, zone))
	}
	return cel.CostTrackerOptions(options...)
}

// matchCost is what matching a text takes: every instruction of the pattern may be at work on
// every letter. (https://swtch.com/~rsc/regexp/regexp1.html)
func matchCost(text uint64, pattern string) uint64 {
	instructions := uint64(maxPattern)
	if size, err := programSize(pattern); err == nil {
		instructions = uint64(size) // #nosec G115 -- a size is not negative
	}
	if text > math.MaxUint64/instructions-1 {
		return math.MaxUint64
	}
	// A step of the matcher takes about 5 ns.
	return (text+1)*instructions/10 + 1
}

// programSize counts a pattern's instructions, repetitions written out. (cel-go's own count, of
// its option RegexProgramSizeLimit, panics where a pattern has repetitions.)
func programSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// pattern is a literal's text.
func pattern(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	text, _ := e.AsLiteral().Value().(string)
	return text
}
