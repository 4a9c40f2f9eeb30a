package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

// laterList keeps what it was given to do.
type laterList struct {
	payloads []any
	err      error
	do       func(ctx context.Context)
}

func (l *laterList) Do(ctx context.Context, payload any) error {
	if l.do != nil {
		l.do(ctx)
	}
	l.payloads = append(l.payloads, payload)
	return l.err
}

// TestStore checks that the courier is woken for what is written, and for nothing else.
func TestStore(t *testing.T) {
	c := newCloud(t)
	list := &laterList{}
	store := delivery.NewStore(c.machine().store(), list, slog.New(slog.DiscardHandler))
	first := requesttest.New(c.now.Now())
	id := first.Request.ID
	wake := delivery.Wake{Step: delivery.Step, RequestID: id}
	ctx := t.Context()

	list.do = func(ctx context.Context) {
		_, limited := ctx.Deadline()
		assert.True(t, limited, "a transition does not wait for long")
		_, err := store.Get(t.Context(), id)
		require.NoError(t, err, "it is written before anybody is woken")
	}
	require.NoError(t, store.Create(ctx, first))
	assert.Equal(t, []any{wake}, list.payloads)
	require.ErrorIs(t, store.Create(ctx, first), request.ErrConflict)
	assert.Len(t, list.payloads, 1, "nothing was written")

	// What nobody is woken for is in the outbox all the same.
	list.err = errors.New("no function")
	approve := first.Request.Change(request.Approved, request.Act{
		Action: request.ActionApprove, By: "bob@example.com", At: c.now.Now(), Rule: "approver",
	})
	require.NoError(t, store.Apply(ctx, approve))
	assert.Equal(t, []any{wake, wake}, list.payloads)
	require.ErrorIs(t, store.Apply(ctx, approve), request.ErrConflict)
	assert.Len(t, list.payloads, 2)
	todo, err := store.Undelivered(t.Context(), id)
	require.NoError(t, err)
	assert.Len(t, todo, 2)
}
