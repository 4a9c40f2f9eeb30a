package requesttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// Store is all that a store can do.
type Store interface {
	request.Store
	StoreAskToken(ctx context.Context, id, token string) (request.Request, error)
	StoreHoldToken(ctx context.Context, id, token string) (request.Request, error)
	Overdue(ctx context.Context, now time.Time, limit int) ([]request.Request, error)
	Open(ctx context.Context, limit int) ([]request.Request, error)
	Note(ctx context.Context, id, name string) (first bool, err error)
	Noted(ctx context.Context, id, name string) (bool, error)
	SlackMessage(ctx context.Context, id string) (channel, ts string, err error)
	SaveSlackMessage(ctx context.Context, id, channel, ts string) error
}

// New is a request as it is submitted, with an id of its own.
func New(at time.Time) request.Change {
	r := request.Request{
		ID: uuid.NewString(), Flow: "postgres", Requester: "alice@example.com",
		Target: request.Target{
			Name: "postgres-readonly", Label: "Read only", Type: "postgres",
			FunctionARN: "arn:aws:lambda:us-east-1:123456789012:function:sym-postgres",
			RoleName:    "readonly", DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour,
		},
		Reason: "Look at order 4711 — \"quoted\"\nand more", Duration: 30 * time.Minute,
		Workflow:        "arn:aws:states:us-east-1:123456789012:stateMachine:sym-main-postgres",
		LambdaConnector: "arn:aws:iam::123456789012:role/sym/SymLambdaPostgres",
		Channel:         "#access", ApprovalTimeout: time.Hour,
		State: request.Requested, Version: 1, CreatedAt: at, UpdatedAt: at,
	}
	return request.Change{Request: r, Record: request.Record{
		Sequence: 1, To: request.Requested, Act: request.Act{
			Action: request.ActionSubmit, By: r.Requester, At: at, Reason: r.Reason,
			Rule: request.RuleRequester,
		},
	}}
}

// TestStore is the suite that every store passes. Requests of other tests may be in it.
func TestStore(t *testing.T, store Store) {
	ctx := t.Context()
	at := time.Now().UTC().Truncate(time.Millisecond)
	act := func(action, by string) request.Act {
		return request.Act{
			Action: action, By: by, At: at.Add(time.Second), Reason: "fine",
			Rule: request.RuleApprover,
		}
	}

	t.Run("keeps everything of a request", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		got, err := store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, first.Request, got)

		change := got.Change(request.Approved, act(request.ActionApprove, "bob@example.com"))
		require.NoError(t, store.Apply(ctx, change))
		change = change.Request.Change(request.Active, act(request.ActionGrant, "workflow"))
		change.Request.ExpiresAt = at.Add(time.Hour)
		require.NoError(t, store.Apply(ctx, change))
		got, err = store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, change.Request, got)
	})

	t.Run("does not know what was never written", func(t *testing.T) {
		_, err := store.Get(ctx, uuid.NewString())
		assert.ErrorIs(t, err, request.ErrNotFound)
		_, err = store.StoreAskToken(ctx, uuid.NewString(), "token")
		assert.ErrorIs(t, err, request.ErrNotFound)
	})

	t.Run("creates a request once", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		assert.ErrorIs(t, store.Create(ctx, first), request.ErrConflict)
	})

	t.Run("writes a transition with its record, or neither", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		approve := first.Request.Change(request.Approved, act("approve", "bob@example.com"))
		deny := first.Request.Change(request.Denied, act("deny", "carol@example.com"))
		require.NoError(t, store.Apply(ctx, approve))
		assert.ErrorIs(t, store.Apply(ctx, deny), request.ErrConflict)
		assert.ErrorIs(t, store.Apply(ctx, approve), request.ErrConflict, "the same once more")

		records, err := store.Records(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, []request.Record{first.Record, approve.Record}, records)
	})

	t.Run("keeps a token that is stored beside a transition", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		got, err := store.StoreAskToken(ctx, first.Request.ID, "ask")
		require.NoError(t, err)
		assert.Equal(t, request.Requested, got.State)

		// Made from what was read before the token came.
		approve := first.Request.Change(request.Approved, act("approve", "bob@example.com"))
		require.NoError(t, store.Apply(ctx, approve))
		got, err = store.StoreHoldToken(ctx, first.Request.ID, "hold")
		require.NoError(t, err)
		assert.Equal(t, request.Approved, got.State, "the answer is the request as it is now")
		assert.Equal(t, "ask", got.AskToken)
		assert.Equal(t, "hold", got.HoldToken)
	})

	t.Run("lists the newest first, page by page", func(t *testing.T) {
		var want []string
		// Far ahead of every other test's requests.
		future := at.Add(1000 * time.Hour)
		for i := range 5 {
			first := New(future.Add(time.Duration(i) * time.Millisecond))
			require.NoError(t, store.Create(ctx, first))
			want = append([]string{first.Request.ID}, want...)
		}
		page, err := store.List(ctx, request.Query{Limit: 2})
		require.NoError(t, err)
		got := ids(page)
		for len(got) < 5 && page.Next != "" {
			page, err = store.List(ctx, request.Query{Limit: 2, Next: page.Next})
			require.NoError(t, err)
			got = append(got, ids(page)...)
		}
		assert.Equal(t, want, got[:5])

		_, err = store.List(ctx, request.Query{Limit: 2, Next: "what is this"})
		assert.ErrorIs(t, err, request.ErrInvalidNext)
	})

	t.Run("lists those in a state", func(t *testing.T) {
		future := at.Add(2000 * time.Hour)
		var denied []string
		for i := range 6 {
			first := New(future.Add(time.Duration(i) * time.Millisecond))
			require.NoError(t, store.Create(ctx, first))
			if i%3 == 0 {
				change := first.Request.Change(request.Denied, act("deny", "bob@example.com"))
				require.NoError(t, store.Apply(ctx, change))
				denied = append([]string{first.Request.ID}, denied...)
			}
		}
		page, err := store.List(ctx, request.Query{State: request.Denied, Limit: 2})
		require.NoError(t, err)
		assert.Equal(t, denied, ids(page))
	})

	t.Run("lists what is overdue, the oldest first, until it has ended", func(t *testing.T) {
		// Far before every other test's requests.
		past := at.Add(-1000 * time.Hour)
		overdue := func(limit int, now time.Time) []string {
			t.Helper()
			requests, err := store.Overdue(ctx, now, limit)
			require.NoError(t, err)
			return ids(request.Page{Requests: requests})
		}
		var change []request.Change
		for i := range 3 {
			first := New(past.Add(time.Duration(i) * time.Minute))
			require.NoError(t, store.Create(ctx, first))
			change = append(change, first)
		}
		apply := func(i int, to request.State, at time.Time) {
			t.Helper()
			c := change[i].Request.Change(to, request.Act{Action: "act", By: "workflow", At: at})
			if to == request.Active {
				c.Request.ExpiresAt = at.Add(time.Hour)
			}
			require.NoError(t, store.Apply(ctx, c))
			change[i] = c
		}
		id := func(i int) string { return change[i].Request.ID }

		due := past.Add(time.Hour) // the first one's, to the millisecond
		assert.Empty(t, overdue(10, due.Add(-time.Millisecond)))
		assert.Equal(t, []string{id(0)}, overdue(10, due))
		assert.Equal(t, []string{id(0), id(1), id(2)}, overdue(10, due.Add(time.Hour)))
		assert.Equal(t, []string{id(0), id(1)}, overdue(2, due.Add(time.Hour)))

		apply(0, request.Approved, past.Add(time.Minute))
		assert.Equal(t, []string{id(0)}, overdue(10, due), "approved, and nothing came of it")
		apply(0, request.Active, past.Add(2*time.Hour))
		assert.Equal(t, []string{id(1), id(2)}, overdue(10, due.Add(time.Hour)))
		assert.Equal(t, []string{id(1), id(2), id(0)}, overdue(10, due.Add(3*time.Hour)))
		apply(0, request.Revoking, past.Add(150*time.Minute))
		assert.Equal(t, []string{id(1), id(2), id(0)}, overdue(10, due.Add(90*time.Minute)))

		apply(0, request.Done, past.Add(160*time.Minute))
		apply(1, request.Expired, past.Add(2*time.Hour))
		apply(2, request.Denied, past.Add(2*time.Hour))
		assert.Empty(t, overdue(10, due.Add(10*time.Hour)), "they have ended")
		got, err := store.Get(ctx, id(0))
		require.NoError(t, err)
		assert.Equal(t, change[0].Request, got)
	})

	t.Run("lets one of twenty decisions win", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				to, by := request.Approved, fmt.Sprintf("approver%d@example.com", i)
				if i%2 == 1 {
					to = request.Denied
				}
				switch err := store.Apply(ctx, first.Request.Change(to, act("decide", by))); {
				case err == nil:
					won.Add(1)
					winner.Store(by)
				case !errors.Is(err, request.ErrConflict):
					t.Errorf("%s: %v", by, err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int32(1), won.Load(), "how many decisions won")
		got, err := store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, winner.Load(), got.Decision.By)
		records, err := store.Records(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Len(t, records, 2)
	})

	t.Run("shows a token to the decision or the decision to the token", func(t *testing.T) {
		for range 25 {
			first := New(at)
			require.NoError(t, store.Create(ctx, first))
			var seenByDecision, seenByToken bool
			var wg sync.WaitGroup
			wg.Go(func() {
				change := first.Request.Change(request.Approved, act("approve", "bob@example.com"))
				if err := store.Apply(ctx, change); err != nil {
					t.Error(err)
					return
				}
				r, err := store.Get(ctx, first.Request.ID)
				if err != nil {
					t.Error(err)
				}
				seenByDecision = r.AskToken == "token"
			})
			wg.Go(func() {
				r, err := store.StoreAskToken(ctx, first.Request.ID, "token")
				if err != nil {
					t.Error(err)
				}
				seenByToken = r.State == request.Approved
			})
			wg.Wait()
			require.True(t, seenByDecision || seenByToken, "neither saw the other")
		}
	})
}

func ids(page request.Page) []string {
	var ids []string
	for _, r := range page.Requests {
		ids = append(ids, r.ID)
	}
	return ids
}
