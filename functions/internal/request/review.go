package request

import "context"

// Review writes down that somebody has looked at a break-glass, and what they found. Who may is
// everybody who could have approved it, save for its requester.
func (s *Service) Review(ctx context.Context, person, id, note string) (Request, error) {
	note, err := checkReason(note)
	if err != nil {
		return Request{}, err
	}
	return s.persist(ctx, id, func(r Request) (Request, error) {
		if r.Review != nil && r.Review.By == person {
			return r, nil // a repetition
		}
		if err := s.mayReview(ctx, r, person, note); err != nil {
			return Request{}, err
		}
		change := r.Note(Act{
			Action: ActionReview, By: person, At: s.now(), Reason: note, Rule: RuleApprover,
		})
		if err := s.Store.Apply(ctx, change); err != nil {
			return Request{}, err
		}
		s.Log.InfoContext(ctx, "break-glass reviewed", "request_id", id, "by", person)
		return change.Request, nil
	})
}

// CheckReview tells whether [Service.Review] would refuse a person, and writes nothing.
func (s *Service) CheckReview(ctx context.Context, person, id string) error {
	r, err := s.get(ctx, id)
	if err != nil {
		return err
	}
	return s.mayReview(ctx, r, person, "not written yet")
}

func (s *Service) mayReview(ctx context.Context, r Request, person, note string) error {
	switch {
	case r.Review != nil:
		return fail(NothingToReview, "The request %s has been reviewed by %s at %s.", r.ID,
			r.Review.By, stamp(r.Review.At))
	case r.ReviewDue.IsZero():
		return fail(NothingToReview, "The request %s has no review to come: only broken glass is "+
			"reviewed.", r.ID)
	case r.Owns(ctx, person):
		return fail(SelfApproval, "You broke the glass yourself, and somebody else has to review "+
			"it.")
	}
	flow, err := s.flowOf(ctx, r)
	if err != nil {
		return err
	}
	if !flow.listed(r, person) {
		return s.notAnApprover(flow, r, person, "")
	}
	if note == "" {
		return fail(MissingReason, "The review says nothing. Say in a sentence what the access "+
			"was used for, and whether that was right.")
	}
	return nil
}
