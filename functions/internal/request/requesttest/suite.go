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
	KeepFailure(ctx context.Context, id string, f request.Failure) error
	LastFailure(ctx context.Context, id string) (request.Failure, error)
	SlackMessage(ctx context.Context, id string) (channel, ts string, err error)
	SaveSlackMessage(ctx context.Context, id, channel, ts string) error
	AddSlackCopy(ctx context.Context, id, kind, channel, ts string) error
	SlackCopies(ctx context.Context, id string) ([][3]string, error)
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
		BackupAfter: 15 * time.Minute, BackupApprovers: []string{"dave@example.com"},
		Approvers: []string{"bob@example.com", "carol@example.com"},
		Asked:     []string{"bob@example.com"}, TellApprovers: request.TellBoth,
		Terms: "Bob approves it.", ApprovalsNeeded: 1, Account: "slack:U0ALICE",
		NeedsSetRole: true, CouldLeave: []string{"It may create tables in the schema public."},
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
			Rule: request.RuleApprover, Because: "they are an approver",
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
		change.Request.DatabaseUser = "alice"
		change.Request.NeedsSetRole, change.Request.CouldLeave = false, nil
		require.NoError(t, store.Apply(ctx, change))
		got, err = store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, change.Request, got, "including what the grant corrected")

		change = got.Change(request.Revoking, act(request.ActionRevoke, "bob@example.com"))
		require.NoError(t, store.Apply(ctx, change))
		change = change.Request.Change(request.Done, act(request.ActionEnd, "workflow"))
		change.Request.LeftBehind = []request.Leftover{
			{Kind: "owned", What: "table public.mine"},
			{Kind: "privilege", What: "SELECT on public.orders to PUBLIC", TakenBack: true},
		}
		change.Request.LeftBehindMore, change.Request.NotLookedFor = 3, "It took too long."
		require.NoError(t, store.Apply(ctx, change))
		got, err = store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, change.Request, got)
	})

	t.Run("keeps the last failure of a step", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		id := first.Request.ID
		got, err := store.LastFailure(ctx, id)
		require.NoError(t, err)
		assert.Zero(t, got)
		for _, reason := range []string{"The database is busy.", "The database is down."} {
			want := request.Failure{Step: "deescalate", Reason: reason, At: at}
			require.NoError(t, store.KeepFailure(ctx, id, want))
			got, err = store.LastFailure(ctx, id)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	})

	t.Run("knows who has a target, or is about to", func(t *testing.T) {
		first, other := New(at), New(at)
		person := first.Request.ID + "@example.com"
		first.Request.Requester = person
		require.NoError(t, store.Create(ctx, first))
		require.NoError(t, store.Create(ctx, other))
		holds := func(person, flow, target string) bool {
			t.Helper()
			found, err := store.Holds(ctx, person, flow, target)
			require.NoError(t, err)
			return found
		}
		assert.False(t, holds(person, "postgres", "postgres-readonly"), "it waits for approval")
		change := first.Request.Change(request.Approved, act(request.ActionApprove, "bob@example.com"))
		for _, state := range []request.State{request.Active, request.Revoking} {
			require.NoError(t, store.Apply(ctx, change))
			assert.True(t, holds(person, "postgres", "postgres-readonly"))
			assert.False(t, holds(person, "other", "postgres-readonly"))
			assert.False(t, holds(person, "postgres", "postgres-readwrite"))
			assert.False(t, holds("nobody@example.com", "postgres", "postgres-readonly"))
			change = change.Request.Change(state, act(request.ActionGrant, "workflow"))
			change.Request.ExpiresAt = at.Add(time.Hour)
		}
		require.NoError(t, store.Apply(ctx, change))
		assert.False(t, holds(person, "postgres", "postgres-readonly"), "it is being taken away")
	})

	t.Run("keeps where direct messages are", func(t *testing.T) {
		id := New(at).Request.ID
		got, err := store.SlackCopies(ctx, id)
		require.NoError(t, err)
		assert.Empty(t, got)
		for _, ts := range []string{"1.2", "1.2", "3.4"} {
			require.NoError(t, store.AddSlackCopy(ctx, id, "ask", "D1", ts))
		}
		got, err = store.SlackCopies(ctx, id)
		require.NoError(t, err)
		assert.ElementsMatch(t, [][3]string{{"ask", "D1", "1.2"}, {"ask", "D1", "3.4"}}, got)
	})

	t.Run("keeps everything of broken glass, from one write to its review", func(t *testing.T) {
		first := New(at)
		first.Request.BreakGlass, first.Request.ReviewDue = true, at.Add(request.ReviewEvery)
		first.Request.Extends, first.Request.Fingerprint = uuid.NewString(), "abc"
		first.Request.Prolongs = true
		approve := first.Request.Change(request.Approved, act(request.ActionApprove, request.ByRules))
		require.NoError(t, store.Create(ctx, first, approve))
		got, err := store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, approve.Request, got)
		assert.ErrorIs(t, store.Create(ctx, first, approve), request.ErrConflict)

		failed := got.Change(request.Failed, act(request.ActionFail, request.ByWorkflow))
		require.NoError(t, store.Apply(ctx, failed))
		remind := failed.Request.Note(act(request.ActionRemind, request.ByWorkflow))
		require.NoError(t, store.Apply(ctx, remind))
		due := remind.Request.ReviewDue
		overdue, err := store.Overdue(ctx, due, 1000)
		require.NoError(t, err)
		assert.Contains(t, ids(request.Page{Requests: overdue}), got.ID, "its review is due")
		page, err := store.List(ctx, request.Query{Review: true, Limit: 1000})
		require.NoError(t, err)
		assert.Contains(t, ids(page), got.ID)

		review := remind.Request.Note(act(request.ActionReview, "bob@example.com"))
		require.NoError(t, store.Apply(ctx, review))
		got, err = store.Get(ctx, got.ID)
		require.NoError(t, err)
		assert.Equal(t, review.Request, got)
		overdue, err = store.Overdue(ctx, due, 1000)
		require.NoError(t, err)
		assert.NotContains(t, ids(request.Page{Requests: overdue}), got.ID)
		page, err = store.List(ctx, request.Query{Review: true, Limit: 1000})
		require.NoError(t, err)
		assert.NotContains(t, ids(page), got.ID)
		records, err := store.Records(ctx, got.ID)
		require.NoError(t, err)
		assert.Equal(t, []request.Record{
			first.Record, approve.Record, failed.Record, remind.Record, review.Record,
		}, records)
	})

	t.Run("keeps one approval of several", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		one := first.Request.Note(act(request.ActionApprove, "bob@example.com"))
		require.NoError(t, store.Apply(ctx, one))
		other := first.Request.Note(act(request.ActionApprove, "carol@example.com"))
		assert.ErrorIs(t, store.Apply(ctx, other), request.ErrConflict, "made from an older version")
		got, err := store.Get(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, one.Request, got)
	})

	t.Run("notes a thing once", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		id := first.Request.ID
		noted, err := store.Noted(ctx, id, "told")
		require.NoError(t, err)
		assert.False(t, noted)
		for i := range 2 {
			isFirst, err := store.Note(ctx, id, "told")
			require.NoError(t, err)
			assert.Equal(t, i == 0, isFirst)
		}
		noted, err = store.Noted(ctx, id, "told")
		require.NoError(t, err)
		assert.True(t, noted)
		noted, err = store.Noted(ctx, id, "told again")
		require.NoError(t, err)
		assert.False(t, noted)
		got, err := store.Get(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, first.Request, got, "a note is no part of the request")
	})

	t.Run("remembers where a message is", func(t *testing.T) {
		first := New(at)
		require.NoError(t, store.Create(ctx, first))
		channel, ts, err := store.SlackMessage(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Empty(t, channel+ts)
		require.NoError(t, store.SaveSlackMessage(ctx, first.Request.ID, "C1", "1.2"))
		require.NoError(t, store.SaveSlackMessage(ctx, first.Request.ID, "C2", "3.4"))
		channel, ts, err = store.SlackMessage(ctx, first.Request.ID)
		require.NoError(t, err)
		assert.Equal(t, "C2 3.4", channel+" "+ts)
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

	t.Run("lists those that fit everything that is asked", func(t *testing.T) {
		future := at.Add(3000 * time.Hour)
		who := uuid.NewString() + "@example.com"
		granted, done := future.Add(time.Minute), future.Add(time.Hour)
		first := New(future)
		first.Request.Requester = who
		require.NoError(t, store.Create(ctx, first))
		other := New(future.Add(time.Millisecond))
		other.Request.Requester = who
		other.Request.Flow, other.Request.Target.Name = "mysql", "mysql-readonly"
		require.NoError(t, store.Create(ctx, other))
		r := first.Request
		for _, step := range []struct {
			to request.State
			at time.Time
		}{
			{request.Approved, granted}, {request.Active, granted}, {request.Revoking, done},
			{request.Done, done},
		} {
			change := r.Change(step.to, request.Act{Action: "act", By: "workflow", At: step.at})
			require.NoError(t, store.Apply(ctx, change))
			r = change.Request
		}
		for name, test := range map[string]struct {
			query request.Query
			want  []string
		}{
			"a person":         {request.Query{}, []string{other.Request.ID, r.ID}},
			"a flow":           {request.Query{Flow: "mysql"}, []string{other.Request.ID}},
			"a target":         {request.Query{Target: "postgres-readonly"}, []string{r.ID}},
			"a state":          {request.Query{State: request.Done}, []string{r.ID}},
			"what nobody has":  {request.Query{State: request.Done, Flow: "mysql"}, nil},
			"before the grant": {request.Query{HeldAt: granted.Add(-time.Millisecond)}, nil},
			"at the grant":     {request.Query{HeldAt: granted}, []string{r.ID}},
			"before the end":   {request.Query{HeldAt: done.Add(-time.Millisecond)}, []string{r.ID}},
			"at the end":       {request.Query{HeldAt: done}, nil},
		} {
			test.query.Requester, test.query.Limit = who, 5
			page, err := store.List(ctx, test.query)
			require.NoError(t, err, name)
			assert.Equal(t, test.want, ids(page), name)
		}
		test := request.Query{Requester: who, Limit: 1}
		page, err := store.List(ctx, test)
		require.NoError(t, err)
		assert.Equal(t, []string{other.Request.ID}, ids(page))
		test.Next = page.Next
		page, err = store.List(ctx, test)
		require.NoError(t, err)
		assert.Equal(t, []string{r.ID}, ids(page))
	})

	t.Run("pages through what is in an open state", func(t *testing.T) {
		who := uuid.NewString() + "@example.com"
		var want, got []string
		for i := range 5 {
			first := New(at.Add(time.Duration(i/2) * time.Millisecond)) // some at the same time
			first.Request.Requester = who
			require.NoError(t, store.Create(ctx, first))
			want = append(want, first.Request.ID)
		}
		query := request.Query{Requester: who, State: request.Requested, Limit: 2}
		for range 3 {
			page, err := store.List(ctx, query)
			require.NoError(t, err)
			got = append(got, ids(page)...)
			query.Next = page.Next
		}
		assert.Empty(t, query.Next, "that was the last page")
		assert.ElementsMatch(t, want, got)
	})

	t.Run("lists what is open, whatever its deadline", func(t *testing.T) {
		first := New(at.Add(-2000 * time.Hour)) // before every other one
		require.NoError(t, store.Create(ctx, first))
		open, err := store.Open(ctx, 1)
		require.NoError(t, err)
		assert.Equal(t, []string{first.Request.ID}, ids(request.Page{Requests: open}))
		denied := first.Request.Change(request.Denied, act("deny", "bob@example.com"))
		require.NoError(t, store.Apply(ctx, denied))
		open, err = store.Open(ctx, 1)
		require.NoError(t, err)
		assert.NotContains(t, ids(request.Page{Requests: open}), first.Request.ID)
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
