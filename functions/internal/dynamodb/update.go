package dynamodb

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update collects the expressions of a conditional update. Every name goes through a
// placeholder, since many good ones (state, flow, duration) are reserved words.
type update struct {
	names                 map[string]string
	values                values
	sets, removes, wheres []string
}

func newUpdate() *update {
	return &update{names: map[string]string{}, values: values{}}
}

func (u *update) set(name string, value types.AttributeValue) {
	u.sets = append(u.sets, u.equation(name, value))
}

// remove takes an attribute away; that it is not there is no fault.
func (u *update) remove(name string) {
	placeholder := fmt.Sprintf("#r%d", len(u.removes))
	u.names[placeholder] = name
	u.removes = append(u.removes, placeholder)
}

func (u *update) require(name string, value types.AttributeValue) {
	u.wheres = append(u.wheres, u.equation(name, value))
}

func (u *update) equation(name string, value types.AttributeValue) string {
	n := len(u.values)
	placeholder, variable := fmt.Sprintf("#n%d", n), fmt.Sprintf(":v%d", n)
	u.names[placeholder], u.values[variable] = name, value
	return placeholder + " = " + variable
}

func (u *update) expression() string {
	expression := "SET " + strings.Join(u.sets, ", ")
	if len(u.removes) > 0 {
		expression += " REMOVE " + strings.Join(u.removes, ", ")
	}
	return expression
}

func (u *update) condition() string { return strings.Join(u.wheres, " AND ") }
