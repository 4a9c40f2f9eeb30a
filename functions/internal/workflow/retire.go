package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// Retire is the step by which Terraform has a flow's requests ended before it deletes the flow's
// state machine and connector.
const Retire = "retire"

const (
	// atOnce is how many requests a retirement ends at the same time: each takes a connection to
	// the database.
	atOnce = 5

	// mostRetired is how many open requests, of all flows, a retirement looks through.
	mostRetired = 10_000

	// mostHolders is how many requests the error of a retirement names.
	mostHolders = 10

	// lastSteps is how long a retirement waits for the executions of what it has ended.
	lastSteps = 10 * time.Second
)

// flowRemoved is the reason in the records of what a retirement ends.
const flowRemoved = "The flow is being removed from Terraform's configuration."

// Terraform is what aws_lambda_invocation adds to its input with the lifecycle scope CRUD.
// https://registry.terraform.io/providers/hashicorp/aws/5.100.0/docs/resources/lambda_invocation
type Terraform struct {
	Action string `json:"action"` // create, update or delete
}

// Deletes tells whether the resource is being destroyed.
func (t *Terraform) Deletes() bool { return t != nil && t.Action == "delete" }

// FlowInUse says that a flow cannot be removed yet: somebody holds a role by it, and the role could
// not be taken back. Terraform shows the message, and stops the destroy.
type FlowInUse struct{ Message string }

func (e *FlowInUse) Error() string { return e.Message }

// retire ends every open request of a flow that Terraform is about to remove: afterwards nobody is
// left who could end them. At the creation of a flow there is nothing to do.
func (s *Steps) retire(ctx context.Context, in Input) (Output, error) {
	if in.Flow == "" {
		return Output{}, &UnknownInvocation{"The step " + in.Step + " names no flow."}
	}
	if !in.Terraform.Deletes() {
		return Output{}, nil
	}
	open, err := s.openOf(ctx, in.Flow)
	if err != nil {
		return Output{}, err
	}
	s.Log.InfoContext(ctx, "a flow is being removed", "flow", in.Flow, "open", len(open))
	failures := s.endAll(ctx, open)
	if len(failures) > 0 {
		return Output{}, inUse(in.Flow, failures, len(open))
	}
	// The list may have been behind the table.
	if open, err = s.openOf(ctx, in.Flow); err != nil {
		return Output{}, err
	}
	if failures = s.endAll(ctx, open); len(failures) > 0 {
		return Output{}, inUse(in.Flow, failures, len(open))
	}
	return Output{}, nil
}

// openOf lists a flow's requests that are not at their end.
func (s *Steps) openOf(ctx context.Context, flow string) ([]request.Request, error) {
	open, err := s.Store.Open(ctx, mostRetired)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(open, func(r request.Request) bool {
		return r.Flow != flow || r.Ended()
	}), nil
}

// kept is a request that could not be ended, and why.
type kept struct {
	request request.Request
	err     error
}

// endAll ends requests, a few at a time, and returns those that it could not end in their order.
func (s *Steps) endAll(ctx context.Context, open []request.Request) []kept {
	errs := make([]error, len(open))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, r := range open {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < lastSteps {
				errs[i] = errors.New("there was no time left to try; run Terraform again")
				return
			}
			errs[i] = s.retireOne(ctx, r.ID)
		})
	}
	all.Wait()
	var failed []kept
	var ended []request.Request
	for i, err := range errs {
		if err == nil {
			ended = append(ended, open[i])
			continue
		}
		s.Log.ErrorContext(ctx, "a request of a flow that is being removed was not ended",
			"request_id", open[i].ID, "error", err.Error())
		s.keepFailure(ctx, Input{Step: "deescalate", RequestID: open[i].ID}, err)
		failed = append(failed, kept{open[i], err})
	}
	s.awaitWorkflows(ctx, ended)
	return failed
}

// retireOne ends one request, and wakes its workflow, which then finds nothing left to do.
func (s *Steps) retireOne(ctx context.Context, id string) error {
	if err := s.endEarly(ctx, id); err != nil {
		return err
	}
	if _, err := s.deescalate(ctx, id); err != nil {
		return err
	}
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return err
	}
	for _, token := range []string{r.AskToken, r.HoldToken} {
		if token == "" {
			continue
		}
		if err := s.signal(ctx, r, token); err != nil {
			s.Log.WarnContext(ctx, "the workflow of an ended request was not told", "request_id", id,
				"error", err.Error())
		}
	}
	if s.Courier != nil {
		// The Runtime itself may be removed next.
		if err := s.Courier.Deliver(ctx, id); err != nil {
			s.Log.WarnContext(ctx, "the records of an ended request are not all delivered",
				"request_id", id, "error", err.Error())
		}
	}
	return nil
}

// endEarly writes that a request shall end: by its expiry where nobody has decided it, else as a
// revocation.
func (s *Steps) endEarly(ctx context.Context, id string) error {
	for range races {
		r, err := s.Store.Get(ctx, id)
		if err != nil {
			return err
		}
		to, action := request.Revoking, request.ActionRevoke
		switch r.State {
		case request.Requested:
			to, action = request.Expired, request.ActionExpire
		case request.Approved, request.Active:
		default:
			return nil
		}
		err = s.Store.Apply(ctx, r.Change(to, s.machine(action, request.RuleFlowRemoved, flowRemoved)))
		if !errors.Is(err, request.ErrConflict) {
			return err
		}
	}
	return errRaces
}

// awaitWorkflows gives the executions the time to take their last steps: those of a deleted state
// machine are cut off at the next one, and counted as aborted. What has not ended by then does no
// harm.
func (s *Steps) awaitWorkflows(ctx context.Context, ended []request.Request) {
	ctx, cancel := context.WithTimeout(ctx, lastSteps)
	defer cancel()
	for _, r := range ended {
		for {
			execution, err := s.Workflows.Execution(ctx, r)
			if err != nil || execution != request.Running {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// inUse names who holds what, and what to do.
func inUse(flow string, failed []kept, of int) error {
	var lines []string
	for _, k := range failed[:min(len(failed), mostHolders)] {
		r, what := k.request, "asked for the role"
		if !r.GrantedAt.IsZero() {
			what = "holds the role"
		}
		line := fmt.Sprintf("%s %s %q", r.Requester, what, r.Target.RoleName)
		if r.DatabaseUser != "" {
			line += fmt.Sprintf(" as the database user %q", r.DatabaseUser)
		}
		if !r.ExpiresAt.IsZero() {
			line += " until " + stamp(r.ExpiresAt)
		}
		lines = append(lines, fmt.Sprintf("%s (target %s, request %s): %s.", line, r.Target.Name, r.ID,
			strings.TrimSuffix(k.err.Error(), ".")))
	}
	if more := len(failed) - mostHolders; more > 0 {
		lines = append(lines, fmt.Sprintf("And %d more, which the Runtime's log names.", more))
	}
	return &FlowInUse{fmt.Sprintf("The flow %s cannot be removed yet: %d of its %d open requests could "+
		"not be ended. %s Nothing that ends access has been removed. Make sure that the database and "+
		"the Postgres function can be reached, then run Terraform again. docs/operations.md says how "+
		"to remove a flow whose database is gone.", flow, len(failed), of, strings.Join(lines, " "))}
}
