package front

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// states answers what moto does not have of Step Functions, and what it does
// otherwise than AWS.
func (f *Front) states(w http.ResponseWriter, r *http.Request, c call) {
	switch c.action {
	case "AWSStepFunctions.ValidateStateMachineDefinition":
		validateStateMachine(w, c)
	case "AWSStepFunctions.ListStateMachineVersions":
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"stateMachineVersions":[]}`)
	case "AWSStepFunctions.DeleteStateMachine":
		f.deleteStateMachine(w, r, c)
	case "AWSStepFunctions.DescribeStateMachine":
		f.describeStateMachine(w, r, c)
	case "AWSStepFunctions.StartExecution":
		if arn := machineOf(c); f.deletions.has(arn) {
			c.fail(w, http.StatusBadRequest, "StateMachineDeleting", "State machine is being deleted: '"+arn+"'")
			return
		}
		f.forward(w, r, c)
	default:
		f.forward(w, r, c)
	}
}

// validateStateMachine stands in for ValidateStateMachineDefinition, which moto
// does not have and Terraform asks for at every plan. It finds what makes a
// definition useless at once: JSON that cannot be read, and a transition to a
// state that is not there.
func validateStateMachine(w http.ResponseWriter, c call) {
	var request struct {
		Definition string `json:"definition"`
	}
	type diagnostic struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		Message  string `json:"message"`
		Location string `json:"location,omitempty"`
	}
	answer := struct {
		Result      string       `json:"result"`
		Diagnostics []diagnostic `json:"diagnostics"`
		Truncated   bool         `json:"truncated"`
	}{Result: "OK", Diagnostics: []diagnostic{}}
	report := func(code, location, message string) {
		answer.Result = "FAIL"
		answer.Diagnostics = append(answer.Diagnostics, diagnostic{"ERROR", code, message, location})
	}

	type transition struct{ Next string }
	var machine struct {
		StartAt string
		States  map[string]struct {
			Type, Next, Default string
			Choices, Catch      []transition
		}
	}
	err := json.Unmarshal(c.body, &request)
	if err == nil {
		err = json.Unmarshal([]byte(request.Definition), &machine)
	}
	if err != nil {
		report("INVALID_JSON_DESCRIPTION", "", "The definition is not JSON: "+err.Error())
	}
	exists := func(name, location string) {
		if _, ok := machine.States[name]; name != "" && !ok {
			report("MISSING_TRANSITION_TARGET", location, fmt.Sprintf("There is no state %q.", name))
		}
	}
	exists(machine.StartAt, "/StartAt")
	for name, state := range machine.States {
		exists(state.Next, "/States/"+name+"/Next")
		exists(state.Default, "/States/"+name+"/Default")
		for i, t := range append(state.Choices, state.Catch...) {
			exists(t.Next, fmt.Sprintf("/States/%s/%d", name, i))
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(answer)
}
