package slack

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSlackAsksForPatience waits as long as Slack says, if that is not long.
func TestSlackAsksForPatience(t *testing.T) {
	w := newWorld(t)
	var waited []time.Duration
	w.Sink.client.wait = func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		return nil
	}
	r := w.submit(t)
	w.api.fail("chat.postMessage", fault{status: 429, retryAfter: "2"})
	w.deliver(t, r.ID)
	w.message(t)
	assert.Equal(t, []time.Duration{2 * time.Second}, waited)

	w.api.fail("chat.update", fault{status: 429, retryAfter: "2"}, fault{status: 429, retryAfter: "2"})
	assert.Error(t, w.tryDeliver(t, r.ID), "once is enough: it is delivered again")
	w.api.fail("chat.update", fault{status: 429, retryAfter: "60"})
	assert.Error(t, w.tryDeliver(t, r.ID))
	assert.Len(t, waited, 2)
	assert.Empty(t, w.troubles)
	w.deliver(t, r.ID)
}

func TestWaiting(t *testing.T) {
	require.NoError(t, wait(t.Context(), 0))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.ErrorIs(t, wait(ctx, time.Minute), context.DeadlineExceeded, "not in vain")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, wait(ctx, time.Minute), context.Canceled)
}
