package request

import (
	"context"
	"errors"
	"time"
)

// Extension is what a person asks for who needs longer.
type Extension struct {
	Duration *time.Duration // nil for what the access was asked for before
	Reason   string         // empty for the reason of before
	Key      string         // see [Submission.Key]

	OnlyDenial bool // see [Submission.OnlyDenial]
}

// Extend asks for an access once more, while it lasts. It is a request of its own, with a
// decision and a workflow of its own: the target's function keeps the role until the last one
// ends. Only the requester can ask.
func (s *Service) Extend(ctx context.Context, person, id string, e Extension) (Request, error) {
	sub, err := s.extension(ctx, person, id, e)
	if err != nil {
		return Request{}, err
	}
	return s.Submit(ctx, person, sub)
}

// CheckExtension tells what [Service.Extend] would refuse, and writes nothing.
func (s *Service) CheckExtension(ctx context.Context, person, id string, e Extension) error {
	sub, err := s.extension(ctx, person, id, e)
	if err != nil {
		return err
	}
	return s.Check(ctx, person, sub)
}

func (s *Service) extension(ctx context.Context, person, id string, e Extension) (
	Submission, error,
) {
	r, err := s.get(ctx, id)
	switch {
	case err != nil:
		return Submission{}, err
	case person != r.Requester:
		return Submission{}, fail(NotYours, "The request %s is not yours: only %s can extend it.",
			r.ID, r.Requester)
	}
	sub := Submission{
		Flow: r.Flow, Target: r.Target.Name, Reason: e.Reason, Duration: e.Duration, Key: e.Key,
		OnlyDenial: e.OnlyDenial, extends: r.ID,
	}
	if sub.Reason == "" {
		sub.Reason = r.Reason
	}
	if sub.Duration == nil {
		sub.Duration = &r.Duration
	}
	if r.State == Active {
		return sub, nil
	}
	// A repetition gets the answer of before, even if the access has ended since.
	repetition, err := s.made(ctx, person, sub)
	if err == nil && !repetition {
		err = fail(NotActive, "The request %s is %s: only access that is active can be extended. "+
			"Ask for it anew.", r.ID, r.State)
	}
	return sub, err
}

// made tells whether a submission with that key has been made before.
func (s *Service) made(ctx context.Context, person string, sub Submission) (bool, error) {
	if sub.Key == "" {
		return false, nil
	}
	id, err := s.newID(person, sub)
	if err != nil {
		return false, err
	}
	switch _, err := s.Store.Get(ctx, id); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	default:
		return err == nil, err
	}
}
