package front

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// deletions are the state machines that are being deleted. moto deletes them at
// once, and lets their executions run on. AWS keeps a machine in DELETING for
// as long as executions run, and terminates each at its next transition.
// See https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html.
type deletions struct {
	mu   sync.Mutex
	arns map[string]bool
}

func (d *deletions) begin(arn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.arns == nil {
		d.arns = map[string]bool{}
	}
	d.arns[arn] = true
}

func (d *deletions) end(arn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.arns, arn)
}

func (d *deletions) has(arn string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.arns[arn]
}

func (d *deletions) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var arns []string
	for arn := range d.arns {
		arns = append(arns, arn)
	}
	return arns
}

// deleteStateMachine begins to delete a state machine, and deletes it if nothing
// of it runs.
func (f *Front) deleteStateMachine(w http.ResponseWriter, r *http.Request, c call) {
	arn := machineOf(c)
	running, err := f.runningExecutions(r.Context(), c.caller.Account, arn)
	if err != nil || len(running) == 0 {
		f.forward(w, r, c) // moto says what is wrong
		return
	}
	f.deletions.begin(arn)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = io.WriteString(w, "{}")
}

// describeStateMachine describes a state machine that may be being deleted.
func (f *Front) describeStateMachine(w http.ResponseWriter, r *http.Request, c call) {
	arn := machineOf(c)
	if !f.deletions.has(arn) {
		f.forward(w, r, c)
		return
	}
	running, err := f.runningExecutions(r.Context(), c.caller.Account, arn)
	if err == nil && len(running) == 0 {
		err = f.askStates(r.Context(), c.caller.Account, "DeleteStateMachine",
			map[string]string{"stateMachineArn": arn}, nil)
		f.deletions.end(arn)
	}
	answer, asking := f.forwardAndRead(r, c)
	if err != nil || asking != nil {
		c.fail(w, http.StatusBadGateway, "ServiceUnavailable", fmt.Sprint(err, asking))
		return
	}
	var machine map[string]any
	if answer.ok() && json.Unmarshal(answer.body, &machine) == nil {
		machine["status"] = "DELETING"
		answer.body, _ = json.Marshal(machine)
	}
	answer.send(w)
}

// cutOff ends the execution that a step belongs to if its state machine is being
// deleted, and tells whether it did. The steps name their request, and an
// execution is named after it.
func (f *Front) cutOff(ctx context.Context, c call) bool {
	if c.caller.Service != "states.amazonaws.com" {
		return false
	}
	var step struct {
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(c.body, &step) != nil || step.RequestID == "" {
		return false
	}
	for _, machine := range f.deletions.all() {
		execution := strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + step.RequestID
		running, err := f.runningExecutions(ctx, c.caller.Account, machine)
		if err != nil {
			continue
		}
		for _, arn := range running {
			if arn != execution {
				continue
			}
			err := f.askStates(ctx, c.caller.Account, "StopExecution",
				map[string]string{"executionArn": execution}, nil)
			f.Log.Info("execution of a deleted state machine cut off", "execution", execution, "error", err)
			return true
		}
	}
	return false
}

func (f *Front) runningExecutions(ctx context.Context, account, machine string) ([]string, error) {
	var answer struct {
		Executions []struct {
			ExecutionArn string `json:"executionArn"`
		} `json:"executions"`
	}
	err := f.askStates(ctx, account, "ListExecutions",
		map[string]string{"stateMachineArn": machine, "statusFilter": "RUNNING"}, &answer)
	var arns []string
	for _, execution := range answer.Executions {
		arns = append(arns, execution.ExecutionArn)
	}
	return arns, err
}

func (f *Front) askStates(ctx context.Context, account, action string, in, out any) error {
	return f.askJSON(ctx, account, "states", http.MethodPost, "/", "AWSStepFunctions."+action, in, out)
}

func machineOf(c call) string {
	var request struct {
		StateMachineArn string `json:"stateMachineArn"`
	}
	_ = json.Unmarshal(c.body, &request) // moto says what is wrong
	return request.StateMachineArn
}
