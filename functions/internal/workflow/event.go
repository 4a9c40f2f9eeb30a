package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

// The values of the event's deescalate_type.
const (
	endedByExpiry = "expiry"
	endedByRevoke = "revoke"
)

// send walks the chain of roles with the event of a request.
func (s *Steps) send(ctx context.Context, r request.Request, kind string) (event.Answer, error) {
	call := connector.Call{
		RequestID:       r.ID,
		LambdaConnector: r.LambdaConnector,
		FunctionARN:     r.Target.FunctionARN,
		Event:           s.event(r, kind),
	}
	answer, err := s.Chain.Send(ctx, call)
	if kind != event.Deescalate || !closed(err) {
		return answer, err
	}
	return s.sendAround(ctx, r, call, err)
}

// closed tells whether a call failed since the role that may invoke the function does not let the
// Runtime in. STS answers alike for a role that is gone.
func closed(err error) bool {
	unavailable, ok := errors.AsType[*connector.ConnectorUnavailable](err)
	return ok && unavailable.Closed
}

// ConnectorGone says that a request's flow was removed with its connector, and that no other flow
// calls the same function: its ledger cannot be asked.
type ConnectorGone struct{ Message string }

func (e *ConnectorGone) Error() string { return e.Message }

// sendAround takes access away by the connector of another flow that calls the same function, if no
// flow has the request's own any more: the flow was renamed or removed since.
func (s *Steps) sendAround(
	ctx context.Context, r request.Request, call connector.Call, err error,
) (event.Answer, error) {
	if s.Flows == nil {
		return event.Answer{}, err
	}
	flows, reading := s.Flows.Flows(ctx)
	if reading != nil {
		return event.Answer{}, err
	}
	var around *request.Flow
	for _, flow := range flows {
		if flow.LambdaConnector == r.LambdaConnector {
			return event.Answer{}, err // it is there, and people have to hear that it is shut
		}
		if slices.ContainsFunc(flow.Targets, func(t request.Target) bool {
			return t.FunctionARN == r.Target.FunctionARN
		}) {
			around = &flow
		}
	}
	if around != nil {
		s.Log.WarnContext(ctx, "the connector of the request's flow is gone, taking another's",
			"request_id", r.ID, "flow", r.Flow, "by_flow", around.Name, "error", err.Error())
		call.LambdaConnector = around.LambdaConnector
		return s.Chain.Send(ctx, call)
	}
	return event.Answer{}, &ConnectorGone{fmt.Sprintf("the flow %s was removed, and no other flow "+
		"calls the function %s: its ledger cannot be asked. Apply the flow %s again, and the request "+
		"ends within a minute", r.Flow, r.Target.FunctionARN, r.Flow)}
}

// run is the SRN of the request's run: the key of the function's ledger. The function repeats
// it in its answers, and an answer without it came from something else.
func (s *Steps) run(r request.Request) string {
	return s.OrgSlug + ":run:" + r.Flow + ":" + r.ID
}

func notAnAnswer(missing string, answer event.Answer) error {
	return &connector.PostgresFunctionError{
		Type:    "NotAnAnswer",
		Message: fmt.Sprintf("its answer does not say %s: %.200q", missing, answer.Body),
	}
}

// event describes a request in the schema of the original platform.
func (s *Steps) event(r request.Request, kind string) event.Event {
	duration := int64(r.Duration / time.Second)
	requester := s.actor(r.Requester)
	e := event.Event{
		ID:    eventID(r.ID, kind),
		Meta:  event.Meta{SchemaVersion: event.SchemaVersion},
		State: event.State{Status: "processing"},
		Run: event.Run{
			SRN:    s.run(r),
			Flow:   s.OrgSlug + ":flow:" + r.Flow + ":1.0.0",
			Actors: event.Actors{Prompt: &requester, Request: &requester},
		},
		Event: event.Spec{
			SRN:       "sym:event-spec:approval:1.0.0:" + kind,
			Type:      kind,
			Template:  "sym:template:approval:1.0.0",
			Timestamp: s.now().Format(time.RFC3339Nano),
			Channel:   "api",
		},
		Fields: event.Fields{
			TargetID: r.Target.Name,
			Target: event.Target{
				Name:  r.Target.Name,
				SRN:   s.OrgSlug + ":access_target:" + r.Target.Type + ":" + r.Target.Name,
				Type:  r.Target.Type,
				Label: r.Target.Label,
				Settings: event.Settings{
					ARN: r.Target.FunctionARN, RoleName: r.Target.RoleName,
				},
			},
			Reason:   r.Reason,
			Duration: &duration,
		},
		Type: event.TypeEvent,
	}
	e.Actor = requester
	if d := r.Decision; d != nil && d.By != request.ByWorkflow && d.By != request.ByRules {
		approver := s.actor(d.By)
		e.Run.Actors.Approve, e.Actor = &approver, approver
	}
	if kind != event.Deescalate {
		return e
	}
	e.Actor, e.Fields.DeescalateType = requester, endedByExpiry
	if end := r.Revocation; end != nil && end.By != request.ByWorkflow {
		revoker := s.actor(end.By)
		e.Run.Actors.Deescalate, e.Actor = &revoker, revoker
		e.Fields.DeescalateType = endedByRevoke
	}
	return e
}

func (s *Steps) actor(email string) event.Actor {
	return event.Actor{
		User:     s.OrgSlug + ":user:normal:" + email,
		Name:     email,
		Username: email,
		Identity: event.Identity{Service: "sym", ExternalID: s.OrgSlug, Email: email},
	}
}

// eventID is the same for every try of an event, and another one for every event.
func eventID(id, kind string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("sym:event:"+id+":"+kind)).String()
}
