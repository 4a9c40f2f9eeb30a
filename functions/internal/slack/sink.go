package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
)

// Sink brings what happened to a request to Slack: it keeps the message in the flow's channel up
// to date, and tells the requester.
type Sink struct{ desk }

// Name is the sink's among those that a record goes to.
func (s *Sink) Name() string { return "slack" }

// staleAfter is how long a record is worth telling in Slack. What could not be told for so long
// would be news to nobody, and there is no end to how much of it may have piled up.
const staleAfter = 24 * time.Hour

// Deliver brings one record to Slack. Doing it again posts nothing twice: the message is
// replaced by what the request is now, and who has been told is noted.
//
// It fails where another try may succeed. What only a human can put right has been reported by
// then, and does not stand in the way of the next record.
func (s *Sink) Deliver(ctx context.Context, item delivery.Item) error {
	r, record := item.Request, item.Record
	err := errors.Join(s.keepUpToDate(ctx, r, record), s.renewCopies(ctx, r, record),
		s.reviewDue(ctx, r, record), s.toRequester(ctx, r, record), s.toApprovers(ctx, r, record))
	if err != nil && s.Now().Sub(record.At) > staleAfter {
		s.Log.ErrorContext(ctx, "a record could not be brought to Slack for a day, and will not be",
			"request_id", r.ID, "sequence", record.Sequence, "error", err)
		return nil
	}
	return err
}

// keepUpToDate brings the request's message to what the request is now.
func (s *Sink) keepUpToDate(ctx context.Context, r request.Request, record request.Record) error {
	channel, ts, err := s.Store.SlackMessage(ctx, r.ID)
	switch {
	case err != nil:
		return fmt.Errorf("looking for the message of a request: %w", err)
	case ts == "" && deniedByRules(r):
		return nil // there is nothing that anybody in the channel has to know or to do
	case ts != "" && record.Sequence < r.Version:
		return nil // the record that comes last brings it up to date
	}
	return s.toChannel(ctx, r, channel, ts)
}

// deniedByRules tells whether a request was denied as soon as it was made.
func deniedByRules(r request.Request) bool {
	return r.State == request.Denied && r.Decision != nil && r.Decision.By == request.ByRules
}

// toRequester tells the requester of a record, once.
func (s *Sink) toRequester(ctx context.Context, r request.Request, record request.Record) error {
	var others time.Time
	if record.To == request.Done && record.From != record.To {
		others = s.otherHold(ctx, r)
	}
	m := directMessage(r, record, others)
	if m == nil {
		return nil
	}
	return s.once(ctx, r, fmt.Sprintf("slack-dm-%d", record.Sequence), func() error {
		kind := ""
		if record.To == request.Active {
			kind = copyHeld
		}
		return s.direct(ctx, r, kind, *m)
	})
}

// toApprovers asks those who could approve a new request.
func (s *Sink) toApprovers(ctx context.Context, r request.Request, record request.Record) error {
	if record.From != "" || s.Now().Sub(record.At) > staleAfter {
		return nil
	}
	return s.tellApprovers(ctx, r)
}

// otherHold is until when other requests of the same person hold the same role. It is zero where
// that cannot be found out.
func (s *Sink) otherHold(ctx context.Context, r request.Request) (until time.Time) {
	open, err := s.Store.Open(ctx, mostOpen)
	if err != nil {
		s.Log.WarnContext(ctx, "other requests could not be looked for", "request_id", r.ID,
			"error", err)
	}
	for _, other := range open {
		if other.State == request.Active && other.ID != r.ID && other.SameAccess(r) &&
			other.ExpiresAt.After(until) {
			until = other.ExpiresAt
		}
	}
	return until
}

// reviewDue brings a break-glass to mind that nobody has reviewed, below its message and in the
// channel.
func (s *Sink) reviewDue(ctx context.Context, r request.Request, record request.Record) error {
	if record.Action != request.ActionRemind || r.ReviewDue.IsZero() {
		return nil
	}
	return s.once(ctx, r, fmt.Sprintf("slack-remind-%d", record.Sequence), func() error {
		return s.below(ctx, r, reviewReminder(r))
	})
}
