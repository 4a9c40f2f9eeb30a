package workflow

import (
	"errors"
	"maps"
	"slices"

	"sym-postgres-quickstart/functions/internal/rules"
)

// Problem is something in a target's rules that does not compile.
type Problem struct {
	Target  string `json:"target"`
	Place   string `json:"place"` // which rule, and where in it
	Message string `json:"message"`
}

// checkRules says what is wrong with rules that are about to be written.
func checkRules(targets map[string]rules.Document) Output {
	problems := []Problem{}
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		_, err := rules.Compile(targets[target])
		var faults *rules.CompileError
		switch {
		case errors.As(err, &faults):
			for _, fault := range faults.Problems {
				problems = append(problems, Problem{target, fault.Place, fault.Message})
			}
		case err != nil:
			problems = append(problems, Problem{Target: target, Message: err.Error()})
		}
	}
	return Output{Problems: &problems}
}
