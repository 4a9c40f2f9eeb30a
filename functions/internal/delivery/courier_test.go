package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
)

// TestCourier runs the courier against a table, a log group and a bucket as moto keeps them.
func TestCourier(t *testing.T) {
	c := newCloud(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *cloud)
	}{
		{"delivers each record once and in order", testDelivers},
		{"delivers once whatever it dies of", testDies},
		{"does not meet another one", testTwoAtOnce},
		{"forgets nothing that is written meanwhile", testWrittenMeanwhile},
		{"leaves what fails to later, and other sinks go on", testFails},
		{"delivers what was left", testLeftovers},
		{"gives up on a sink that is down, and tells a human", testDown},
		{"survives a sink's panic", testPanics},
		{"forgets sinks that are gone, after a while", testGone},
		{"waits for the end of a lease that nobody gives back", testAbandoned},
		{"makes a log group's failure neither loss nor repeat", testNoLogGroup},
		{"says what may have arrived", testAgain},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.t = t
			test.run(t, c)
		})
	}
}

func testDelivers(t *testing.T, c *cloud) {
	m := c.machine()
	change := c.write(m.store())
	id := change.Request.ID
	require.Equal(t, []string{"log", "s3"}, c.left(id), "in the outbox from the write on")
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3}, c.logged(id))
	day := change.Record.At.Format("2006/01/02")
	assert.Equal(t, []string{
		"audit/" + day + "/" + id + "/0001.json", "audit/" + day + "/" + id + "/0002.json",
		"audit/" + day + "/" + id + "/0003.json",
	}, c.kept(id))
	assert.Empty(t, c.left(id))

	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3}, c.logged(id), "woken twice")
	got, err := m.store().Get(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, change.Request, got, "delivering changes nothing about the request")
}

// testDies has the courier come to its end at each of its calls of AWS, before the call arrives
// and after it has arrived.
func testDies(t *testing.T, c *cloud) {
	for _, answerLost := range []bool{false, true} {
		for dieAt := 1; ; dieAt++ {
			m := c.mortal(dieAt, answerLost)
			id := c.write(c.machine().store()).Request.ID
			_ = c.courier(m).Deliver(t.Context(), id)

			// Somebody comes at once and somebody later, each in an invocation of their own.
			require.NoError(t, c.courier(c.machine()).Deliver(t.Context(), id))
			c.now.Advance(later)
			require.NoError(t, c.courier(c.machine()).Deliver(t.Context(), id))
			place := fmt.Sprintf("dead at call %d, answer lost: %t", dieAt, answerLost)
			require.Equal(t, []int{1, 2, 3}, c.logged(id), place)
			require.Len(t, c.kept(id), 3, place)
			require.Empty(t, c.left(id), place)
			if !m.died() {
				require.Greater(t, dieAt, 15, "it has made its calls")
				break
			}
		}
	}
}

func testTwoAtOnce(t *testing.T, c *cloud) {
	for range 3 {
		id := c.write(c.machine().store()).Request.ID
		var all sync.WaitGroup
		for range 5 {
			courier := c.courier(c.machine())
			all.Go(func() { assert.NoError(t, courier.Deliver(t.Context(), id)) })
		}
		all.Wait()
		assert.Equal(t, []int{1, 2, 3}, c.logged(id))
		assert.Len(t, c.kept(id), 3)
		assert.Empty(t, c.left(id))
	}
}

// testWrittenMeanwhile writes a record while a courier is at work, whose own courier then finds
// the lease taken.
func testWrittenMeanwhile(t *testing.T, c *cloud) {
	m := c.machine()
	store := m.store("spy")
	change := c.write(store)
	id := change.Request.ID
	var once sync.Once
	var courier *delivery.Courier
	s := &spy{name: "spy", do: func(delivery.Item) error {
		once.Do(func() {
			require.NoError(t, store.Apply(t.Context(), revoke(c, change)))
			require.NoError(t, c.courier(c.machine()).Deliver(t.Context(), id))
		})
		return nil
	}}
	courier = c.courier(m, s)
	require.NoError(t, courier.Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3, 4}, s.got())
	assert.Equal(t, []int{1, 2, 3, 4}, c.logged(id))
	assert.Empty(t, c.left(id))
}

// revoke is what comes after a request is active.
func revoke(c *cloud, change request.Change) request.Change {
	return change.Request.Change(request.Revoking, request.Act{
		Action: request.ActionRevoke, By: "alice@example.com", At: c.now.Now(),
	})
}

func testFails(t *testing.T, c *cloud) {
	m := c.machine()
	store := m.store("spy")
	change := c.write(store)
	id := change.Request.ID
	broken := true
	s := &spy{name: "spy", do: func(item delivery.Item) error {
		if broken && item.Record.Sequence == 2 {
			return errors.New("not today")
		}
		return nil
	}}
	courier := c.courier(m, s)
	require.NoError(t, courier.Deliver(t.Context(), id), "a sink's failure is not the courier's")
	assert.Equal(t, []int{1}, s.got(), "the later ones wait for the one that failed")
	assert.Equal(t, []int{1, 2, 3}, c.logged(id), "the other sinks do not")
	assert.Equal(t, []string{"spy"}, c.left(id))

	// The sink rests, also where there is something new.
	broken = false
	require.NoError(t, store.Apply(t.Context(), revoke(c, change)))
	require.NoError(t, courier.Deliver(t.Context(), id))
	assert.Equal(t, []int{1}, s.got())
	assert.Equal(t, []int{1, 2, 3, 4}, c.logged(id))

	c.now.Advance(delivery.Rest)
	require.NoError(t, courier.Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3, 4}, s.got())
	assert.Equal(t, []bool{false, true, false, false}, s.again, "the second was tried before")
	assert.Empty(t, c.left(id))
}

func testLeftovers(t *testing.T, c *cloud) {
	m := c.machine()
	c.now.Advance(time.Hour)
	first, second := c.write(m.store()).Request.ID, c.write(m.store()).Request.ID
	courier := c.courier(m)
	n, err := courier.Leftovers(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n, "whoever was woken for it is at work")
	c.now.Advance(delivery.LeftAfter)
	n, err = courier.Leftovers(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 12, n, "three records of two requests to two sinks")
	for _, id := range []string{first, second} {
		assert.Equal(t, []int{1, 2, 3}, c.logged(id))
		assert.Empty(t, c.left(id))
	}
	n, err = courier.Leftovers(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
}

func testDown(t *testing.T, c *cloud) {
	m := c.machine()
	c.now.Advance(time.Hour)
	var ids []string
	for range delivery.Tolerated + 2 {
		ids = append(ids, c.write(m.store("down")).Request.ID)
	}
	tries := 0
	s := &spy{name: "down", do: func(delivery.Item) error { tries++; return errors.New("down") }}
	courier := c.courier(m, s)
	var reports []request.Trouble
	courier.Report = func(_ context.Context, trouble request.Trouble) {
		reports = append(reports, trouble)
	}
	c.now.Advance(delivery.LeftAfter)
	_, err := courier.Leftovers(t.Context())
	require.NoError(t, err)
	assert.Equal(t, delivery.Tolerated, tries, "it is left out after that")
	for _, id := range ids {
		assert.Equal(t, []int{1, 2, 3}, c.logged(id))
	}
	assert.Empty(t, reports, "not yet")

	for range 3 {
		c.now.Advance(delivery.TooLong)
		_, err = courier.Leftovers(t.Context())
		require.NoError(t, err)
	}
	require.Len(t, reports, len(ids), "each request once")
	assert.Contains(t, reports[0].What, `has not been delivered to "down"`)
	assert.Contains(t, ids, reports[0].RequestID)
	assert.NotEmpty(t, reports[0].Do)

	s.do = nil
	c.now.Advance(later)
	_, err = courier.Leftovers(t.Context())
	require.NoError(t, err)
	for _, id := range ids {
		assert.Empty(t, c.left(id))
	}
	assert.Len(t, s.got(), 3*len(ids), "nothing was lost")
}

func testPanics(t *testing.T, c *cloud) {
	m := c.machine()
	id := c.write(m.store("panics")).Request.ID
	s := &spy{name: "panics", do: func(delivery.Item) error { panic("what is this") }}
	require.NoError(t, c.courier(m, s).Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3}, c.logged(id))
	assert.Equal(t, []string{"panics"}, c.left(id))
}

func testGone(t *testing.T, c *cloud) {
	m := c.machine()
	id := c.write(m.store("gone")).Request.ID
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Equal(t, []string{"gone"}, c.left(id), "a newer function may know it")
	c.now.Advance(delivery.Forgotten + time.Second)
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Empty(t, c.left(id))
}

func testAbandoned(t *testing.T, c *cloud) {
	m := c.machine()
	id := c.write(m.store()).Request.ID
	now := c.now.Now()
	_, err := m.store().Lease(t.Context(), id, now, now.Add(delivery.LeaseFor))
	require.NoError(t, err)
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Empty(t, c.logged(id), "somebody may be at it")
	c.now.Advance(delivery.LeaseFor)
	n, err := c.courier(m).Leftovers(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, n, 6)
	assert.Equal(t, []int{1, 2, 3}, c.logged(id))
}

// testNoLogGroup takes the log group away, as a hand could.
func testNoLogGroup(t *testing.T, c *cloud) {
	m := c.machine()
	id := c.write(m.store()).Request.ID
	_, err := m.logs.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{
		LogGroupName: aws.String(group),
	})
	require.NoError(t, err)
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Equal(t, []string{"log"}, c.left(id))
	assert.Len(t, c.kept(id), 3, "the bucket has them")
	_, err = m.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{
		LogGroupName: aws.String(group),
	})
	require.NoError(t, err)
	c.now.Advance(delivery.Rest)
	require.NoError(t, c.courier(m).Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3}, c.logged(id))
	assert.Empty(t, c.left(id))
}

// testAgain has somebody take a record and not say so.
func testAgain(t *testing.T, c *cloud) {
	m := c.machine()
	id := c.write(m.store("spy")).Request.ID
	now := c.now.Now()
	_, err := m.store().Lease(t.Context(), id, now, now.Add(delivery.LeaseFor))
	require.NoError(t, err)
	c.now.Advance(delivery.LeaseFor)
	s := &spy{name: "spy"}
	require.NoError(t, c.courier(m, s).Deliver(t.Context(), id))
	assert.Equal(t, []int{1, 2, 3}, s.got())
	assert.Equal(t, []bool{true, false, false}, s.again,
		"only the first one that is left may have arrived")
}
