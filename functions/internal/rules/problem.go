package rules

import "strings"

// Problem is one thing that is wrong with rules.
type Problem struct {
	// Place is where it is, such as `deny "weekend".when, line 1 column 9`.
	Place string `json:"place"`
	// Message is a sentence.
	Message string `json:"message"`
}

// CompileError says that rules cannot be used, and everything that is wrong with them.
type CompileError struct {
	Problems []Problem
}

// Error has all problems, one sentence each.
func (e *CompileError) Error() string {
	sentences := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		sentences[i] = p.Place + ": " + p.Message
	}
	return strings.Join(sentences, " ")
}

// EvaluationError says that a condition could not be evaluated.
type EvaluationError struct {
	// Rule is which, such as `deny "weekend"`.
	Rule string
	// Expression is the condition.
	Expression string
	Err        error
}

// Error says which rule it was, and why.
func (e *EvaluationError) Error() string {
	return "the condition of " + e.Rule + " could not be evaluated: " + e.Err.Error()
}

// Unwrap is the failure behind.
func (e *EvaluationError) Unwrap() error { return e.Err }
