// Package policy decides, as IAM would, whether a policy allows a call.
//
// So far it decides trust: whether a role's trust policy lets a principal
// assume it. Identity policies and resource policies get their place here too,
// beside [Document.Decide], as soon as the sandbox enforces them.
//
// What this package does not know it never takes for granted: an Allow with an
// unknown condition does not match, a Deny with one does.
package policy

import (
	"encoding/json"
	"fmt"
)

// Document is an IAM policy document.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
type Document struct {
	Version   string
	Statement list[Statement]
}

// Statement is one statement of a policy document.
type Statement struct {
	Sid          string
	Effect       string
	Principal    Principal
	NotPrincipal json.RawMessage
	Action       list[string]
	NotAction    list[string]
	Resource     list[string]
	NotResource  list[string]
	Condition    map[string]map[string]list[string]
}

// Principal names whom a statement is about. Any is the principal "*".
type Principal struct {
	Any       bool
	AWS       list[string]
	Service   list[string]
	Federated list[string]
}

// Parse reads a policy document. It returns an error for one that is not JSON
// of IAM's grammar.
func Parse(text string) (Document, error) {
	var d Document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("the policy document cannot be read: %w", err)
	}
	return d, nil
}

// UnmarshalJSON accepts the two forms that IAM accepts: "*" and an object.
func (p *Principal) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		if text != "*" {
			return fmt.Errorf(`a principal is "*" or an object, not %q`, text)
		}
		p.Any = true
		return nil
	}
	type plain Principal
	return json.Unmarshal(data, (*plain)(p))
}

// list is a JSON array that may also be written as its only element.
type list[T any] []T

// UnmarshalJSON accepts an array, or one element by itself. Booleans and
// numbers count as their text where the elements are strings, as in IAM's
// condition values.
func (l *list[T]) UnmarshalJSON(data []byte) error {
	var many []T
	if err := json.Unmarshal(data, &many); err == nil {
		*l = many
		return nil
	}
	var one T
	err := json.Unmarshal(data, &one)
	if text, ok := any(&one).(*string); ok && err != nil {
		*text, err = string(data), nil
	}
	if err != nil {
		return err
	}
	*l = list[T]{one}
	return nil
}
