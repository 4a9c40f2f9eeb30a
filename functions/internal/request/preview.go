package request

import (
	"context"
	"errors"
	"time"
)

// Preview is what a target's function expects of a grant, before anybody decides about it.
type Preview struct {
	NeedsSetRole bool     // see [Request.NeedsSetRole]
	CouldLeave   []string // see [Request.CouldLeave]
}

// Previewer asks a target's function what a grant would do. It changes nothing.
type Previewer interface {
	// Preview fails with [CannotBeGranted] and the function's own message if the function would
	// refuse the grant. Any other error means that the function could not be asked.
	Preview(context.Context, Request) (Preview, error)
}

// previewWithin is how long a request waits for the preview. In Slack the context's deadline is
// shorter.
const previewWithin = 5 * time.Second

// preview asks the target's function about a request before it is written, so that nobody has to
// approve a request that can never be granted. If the function does not answer in time, or does
// not know the question, the request is made all the same.
func (s *Service) preview(ctx context.Context, r *Request) error {
	if s.Previewer == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, previewWithin)
	defer cancel()
	p, err := s.Previewer.Preview(limited, *r)
	if refusal, ok := errors.AsType[*Error](err); ok {
		s.Log.InfoContext(ctx, "request refused by the target's function", "request_id", r.ID,
			"requester", r.Requester, "flow", r.Flow, "target", r.Target.Name,
			"cause", refusal.Message)
		return refusal
	}
	if err != nil {
		s.Log.WarnContext(ctx, "the target's function could not be asked beforehand",
			"request_id", r.ID, "flow", r.Flow, "target", r.Target.Name, "error", err.Error())
		return nil
	}
	r.NeedsSetRole, r.CouldLeave = p.NeedsSetRole, p.CouldLeave
	return nil
}
