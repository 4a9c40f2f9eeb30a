package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// Reminders say what the passing of time brings: that an access is about to end, that back-up
// approvers may decide, and that a grant or an end keeps failing. They also post what a channel did not take when it was new.
type Reminders struct{ desk }

const (
	// endsSoon is how long before its end an access is brought to mind.
	endsSoon = 10 * time.Minute
	// longEnough is what an access has to last longer than for that.
	longEnough = 15 * time.Minute
	// mostOpen is how many open requests are looked at, those first that are due first.
	mostOpen = 500
)

// Run reminds of what is due now, each once. It goes on after a failure, and returns them all.
func (m *Reminders) Run(ctx context.Context, now time.Time) error {
	open, err := m.Store.Open(ctx, mostOpen)
	if err != nil {
		return fmt.Errorf("reading what is open: %w", err)
	}
	var errs []error
	for _, r := range open {
		if err := m.remind(ctx, r, open, now); err != nil {
			errs = append(errs, fmt.Errorf("reminding of the request %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (m *Reminders) remind(
	ctx context.Context, r request.Request, open []request.Request, now time.Time,
) error {
	switch {
	case m.endsSoon(r, now) && !outlived(r, open):
		return m.once(ctx, r, "slack-ten-minutes", func() error {
			return m.direct(ctx, r, copyHeld, tenMinutes(r, now))
		})
	case r.State == request.Approved, r.State == request.Revoking:
		return m.tellStuck(ctx, r, now)
	case r.State == request.Requested:
		if err := m.postAgain(ctx, r); err != nil || !m.backupsDue(r, now) {
			return err
		}
		return errors.Join(m.tellApprovers(ctx, r), m.once(ctx, r, "slack-backup", func() error {
			return m.below(ctx, r, reminder(r, m.mentioned(ctx, r, r.BackupApprovers)))
		}))
	}
	return nil
}

// postAgain posts a request that its channel did not take before: somebody may have let the app
// in meanwhile.
func (m *Reminders) postAgain(ctx context.Context, r request.Request) error {
	given, err := m.Store.Noted(ctx, r.ID, unpostedNote)
	if err != nil || !given {
		return err
	}
	_, ts, err := m.Store.SlackMessage(ctx, r.ID)
	if err != nil || ts != "" {
		return err
	}
	return m.toChannel(ctx, r, "", "")
}

func (m *Reminders) endsSoon(r request.Request, now time.Time) bool {
	remaining := r.ExpiresAt.Sub(now)
	return r.State == request.Active && remaining > 0 && remaining <= endsSoon &&
		r.ExpiresAt.Sub(r.GrantedAt) > longEnough
}

// outlived tells whether another request of the same person holds the same role for longer.
func outlived(r request.Request, open []request.Request) bool {
	for _, other := range open {
		if other.State == request.Active && other.ID != r.ID && other.SameAccess(r) &&
			other.ExpiresAt.After(r.ExpiresAt) {
			return true
		}
	}
	return false
}

func (m *Reminders) backupsDue(r request.Request, now time.Time) bool {
	from := r.BackupFrom()
	return !from.IsZero() && !now.Before(from) && now.Before(r.DecideBy())
}
