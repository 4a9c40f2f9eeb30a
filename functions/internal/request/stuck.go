package request

import "context"

// Failures are why steps of requests' workflows failed.
type Failures interface {
	// LastFailure is the last failure of a request's workflow; zero where there is none.
	LastFailure(ctx context.Context, id string) (Failure, error)
}

// WithStuck returns a request with the reason why it is stuck, if it is: it is approved and the
// role could not be granted yet, or it is ending and the role could not be taken away yet. Where
// the reason cannot be read, the request is returned without it, beside the error.
func WithStuck(ctx context.Context, from Failures, r Request) (Request, error) {
	if r.State != Approved && r.State != Revoking {
		return r, nil
	}
	failure, err := from.LastFailure(ctx, r.ID)
	if err != nil || failure.At.IsZero() {
		return r, err
	}
	// What has failed before the grant succeeded explains nothing.
	if r.State == Revoking && !r.Withdrawn() && failure.Step != StepDeescalate {
		return r, nil
	}
	r.Stuck = &failure
	return r, nil
}

// The steps whose failures keep a request from going on.
const (
	StepEscalate   = "escalate"
	StepDeescalate = "deescalate"
)

// stuck is [WithStuck] for people: they are shown the request without the reason where that
// cannot be read.
func (s *Service) stuck(ctx context.Context, r Request) Request {
	r, err := WithStuck(ctx, s.Store, r)
	if err != nil {
		s.Log.WarnContext(ctx, "why a request is stuck could not be read", "request_id", r.ID,
			"error", err.Error())
	}
	return r
}
