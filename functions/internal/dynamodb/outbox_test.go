package dynamodb

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

func testNotes(t *testing.T, store *Store) {
	ctx := t.Context()
	first := requesttest.New(noon)
	id := first.Request.ID
	require.NoError(t, store.Create(ctx, first))

	noted, err := store.Noted(ctx, id, "told")
	require.NoError(t, err)
	assert.False(t, noted)
	var firsts atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			first, err := store.Note(ctx, id, "told")
			assert.NoError(t, err)
			if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	assert.Equal(t, int32(1), firsts.Load(), "one of ten at once is the first")
	noted, err = store.Noted(ctx, id, "told")
	require.NoError(t, err)
	assert.True(t, noted)
	noted, err = store.Noted(ctx, id, "tol")
	require.NoError(t, err)
	assert.False(t, noted, "another name")

	channel, ts, err := store.SlackMessage(ctx, id)
	require.NoError(t, err)
	assert.Empty(t, channel+ts)
	require.NoError(t, store.SaveSlackMessage(ctx, id, "C1", "1.2"))
	require.NoError(t, store.SaveSlackMessage(ctx, id, "C2", "3.4"))
	channel, ts, err = store.SlackMessage(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, [2]string{"C2", "3.4"}, [2]string{channel, ts})

	got, err := store.Get(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, first.Request, got, "the request has not changed")
	records, err := store.Records(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, []request.Record{first.Record}, records)
}

func testOpen(t *testing.T, store *Store) {
	ctx := t.Context()
	late := requesttest.New(noon.Add(-8999 * time.Hour))
	early := requesttest.New(noon.Add(-9000 * time.Hour))
	for _, change := range []request.Change{late, early} {
		require.NoError(t, store.Create(ctx, change))
	}
	open, err := store.Open(ctx, 2)
	require.NoError(t, err)
	require.Len(t, open, 2)
	assert.Equal(t, []request.Request{early.Request, late.Request}, open)
}

func testOutbox(t *testing.T, client *dynamodb.Client) {
	ctx := t.Context()
	store := New(client, "outbox", "log", "slack", "s3")
	quiet := New(client, "outbox") // delivers nothing
	first, none := requesttest.New(noon), requesttest.New(noon)
	id := first.Request.ID
	require.NoError(t, quiet.Create(ctx, none))
	second := first.Request.Change(request.Approved, request.Act{
		Action: request.ActionApprove, By: "bob@example.com", At: noon.Add(time.Second),
		Rule: "approver",
	})
	// Both at once, as a request is written that the rules approve.
	require.NoError(t, store.Create(ctx, first, second))
	third := second.Request.Change(request.Active, request.Act{
		Action: request.ActionGrant, By: "workflow", At: noon.Add(time.Minute), Rule: "granted",
	})
	require.NoError(t, store.Apply(ctx, third))

	undelivered := func() map[int][]string {
		t.Helper()
		found, err := store.Undelivered(ctx, id)
		require.NoError(t, err)
		left, last := map[int][]string{}, 0
		for _, u := range found {
			assert.Greater(t, u.Record.Sequence, last, "in order")
			last = u.Record.Sequence
			left[last] = u.Sinks
		}
		return left
	}
	leftovers := func(before time.Time) []string {
		t.Helper()
		ids, err := store.Leftovers(ctx, before, 100)
		require.NoError(t, err)
		return ids
	}
	deliver := func(sequence int, sinks ...string) {
		t.Helper()
		for _, sink := range sinks {
			require.NoError(t, store.Delivered(ctx, id, sequence, sink))
		}
	}
	left := undelivered()
	require.Len(t, left, 3, "every record is in the outbox from its write on")
	assert.ElementsMatch(t, []string{"log", "slack", "s3"}, left[1])
	found, err := store.Undelivered(ctx, none.Request.ID)
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.Equal(t, []string{id}, leftovers(noon.Add(time.Hour)), "a request once")
	assert.Equal(t, []string{id}, leftovers(noon))
	assert.Empty(t, leftovers(noon.Add(-time.Second)), "written later")

	ids, err := store.Leftovers(ctx, noon.Add(time.Hour), 1)
	require.NoError(t, err)
	assert.Len(t, ids, 1, "no more than so many records")

	deliver(1, "log", "log", "nobody")
	assert.ElementsMatch(t, []string{"slack", "s3"}, undelivered()[1])
	deliver(1, "s3", "slack", "slack")
	deliver(2, "slack", "s3", "log")
	assert.Len(t, undelivered(), 1)
	assert.Empty(t, leftovers(noon.Add(30*time.Second)), "only the third is left")

	// All at once: none is forgotten, and the last one takes it out.
	var all sync.WaitGroup
	for _, sink := range []string{"log", "slack", "s3"} {
		all.Go(func() { assert.NoError(t, store.Delivered(ctx, id, 3, sink)) })
	}
	all.Wait()
	assert.Empty(t, undelivered())
	assert.Empty(t, leftovers(noon.Add(time.Hour)))

	records, err := store.Records(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, []request.Record{first.Record, second.Record, third.Record}, records)
	got, err := store.Get(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, third.Request, got, "delivering is no transition")
}

func testLease(t *testing.T, store *Store) {
	ctx := t.Context()
	id := uuid.NewString()
	take := func(at time.Time) (*Lease, error) {
		return store.Lease(ctx, id, at, at.Add(time.Minute))
	}

	var taken atomic.Int32
	var all sync.WaitGroup
	var lease *Lease
	for range 10 {
		all.Go(func() {
			got, err := take(noon)
			if err == nil {
				taken.Add(1)
				lease = got
				return
			}
			assert.ErrorIs(t, err, ErrLeased)
		})
	}
	all.Wait()
	require.Equal(t, int32(1), taken.Load(), "one of ten has it")
	assert.False(t, lease.Abandoned)
	assert.Empty(t, lease.Failed)

	// Given back, it is free at once, and tells of what failed.
	lease.Failed["slack"] = noon
	require.NoError(t, store.Release(ctx, lease))
	second, err := take(noon.Add(time.Second))
	require.NoError(t, err)
	assert.False(t, second.Abandoned)
	assert.Equal(t, map[string]time.Time{"slack": noon}, second.Failed)

	// Never given back, it ends by itself.
	_, err = take(noon.Add(time.Minute))
	require.ErrorIs(t, err, ErrLeased)
	third, err := take(noon.Add(61 * time.Second))
	require.NoError(t, err)
	assert.True(t, third.Abandoned)
	assert.Equal(t, map[string]time.Time{"slack": noon}, third.Failed)

	// Who lost it takes it away from nobody.
	require.NoError(t, store.Release(ctx, second))
	_, err = take(noon.Add(62 * time.Second))
	require.ErrorIs(t, err, ErrLeased)
	delete(third.Failed, "slack")
	require.NoError(t, store.Release(ctx, third))
	fourth, err := take(noon.Add(63 * time.Second))
	require.NoError(t, err)
	assert.False(t, fourth.Abandoned)
	assert.Empty(t, fourth.Failed)
}
