package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// leaseFor is longer than an invocation of the function can last, so that nobody who lives
	// works without a lease.
	leaseFor = 90 * time.Second

	// workFor is how long one call works on a request at most. What was sent in that time has
	// arrived, and can be seen, when the lease is over.
	workFor = 50 * time.Second

	// itemTimeout is how long a sink has for one record.
	itemTimeout = 10 * time.Second

	// rest is how long a sink is left alone with a request after it failed. By then it can be
	// seen whether it took the record after all: CloudWatch Logs shows what it was given only
	// some seconds later.
	rest = 30 * time.Second

	// leftAfter is how old a record is that the courier was woken for in vain.
	leftAfter = 30 * time.Second

	// mostLeft is how many records one look at what was left goes through, and leftoversFor how
	// long it goes on. The many that wait for a sink which is down cost a read each, so that
	// the few among them that wait for another are found.
	mostLeft     = 10_000
	leftoversFor = 15 * time.Second

	// tolerated is how many requests a sink may fail with before it is left out for the rest of
	// that time: it is down, and others wait.
	tolerated = 3

	// tooLong is how long a record may be undelivered before a human hears of it.
	tooLong = 15 * time.Minute

	// forgotten is how long a record waits for a sink that this function does not have. It may
	// have been taken away; or it is new, and this is still the old function.
	forgotten = time.Hour

	// looks is how often one call looks for more.
	looks = 10
)

// Outbox is where records wait. [dynamodb.Store] is one.
type Outbox interface {
	Get(ctx context.Context, id string) (request.Request, error)
	Undelivered(ctx context.Context, id string) ([]dynamodb.Undelivered, error)
	Delivered(ctx context.Context, id string, sequence int, sink string) error
	Leftovers(ctx context.Context, before time.Time, limit int) ([]string, error)
	Lease(ctx context.Context, id string, now, until time.Time) (*dynamodb.Lease, error)
	Release(ctx context.Context, lease *dynamodb.Lease) error
	Noted(ctx context.Context, id, name string) (bool, error)
	Note(ctx context.Context, id, name string) (first bool, err error)
}

// Courier brings records to their sinks: each record to each sink, a request's in their order,
// and by one courier at a time. A sink that fails holds up its own records of that request and
// nothing else.
type Courier struct {
	Outbox Outbox
	Sinks  []Sink
	Report func(context.Context, request.Trouble) // tells a human
	Now    func() time.Time
	Log    *slog.Logger
}

// Deliver delivers what a request has left to deliver. It fails where the outbox cannot be read
// or written. What a sink fails to take is logged and left for later.
func (c *Courier) Deliver(ctx context.Context, requestID string) error {
	_, err := c.deliver(ctx, requestID, nil)
	return err
}

// Leftovers delivers what could not be delivered when it was written, of any request, and tells
// a human of what has waited for too long. It returns how many deliveries it made.
func (c *Courier) Leftovers(ctx context.Context) (delivered int, err error) {
	ids, err := c.Outbox.Leftovers(ctx, c.Now().Add(-leftAfter), mostLeft)
	if err != nil {
		return 0, err
	}
	// Where time is short it is not always the same ones that come last.
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	start := time.Now()
	failures := map[string]int{}
	var errs []error
	for i, id := range ids {
		if time.Since(start) > leftoversFor || ctx.Err() != nil {
			c.Log.WarnContext(ctx, "requests with undelivered records left for the next run",
				"left", len(ids)-i)
			break
		}
		n, err := c.deliver(ctx, id, failures)
		delivered += n
		if err == nil {
			err = c.reportLate(ctx, id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("request %s: %w", id, err))
		}
	}
	return delivered, errors.Join(errs...)
}

// deliver delivers what a request has left. The failures, if given, are counted by sink, and who
// has too many is left out.
//
// No record is forgotten: whoever finds the lease taken has written theirs before, and who
// holds it looks once more after giving it back.
func (c *Courier) deliver(ctx context.Context, id string, failures map[string]int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, workFor)
	defer cancel()
	var resting []string
	for _, sink := range c.Sinks {
		if failures[sink.Name()] >= tolerated {
			resting = append(resting, sink.Name())
		}
	}
	delivered := 0
	for range looks {
		todo, err := c.Outbox.Undelivered(ctx, id)
		if err != nil || !c.anything(todo, resting) {
			return delivered, err
		}
		now := c.Now()
		lease, err := c.Outbox.Lease(ctx, id, now, now.Add(leaseFor))
		if errors.Is(err, dynamodb.ErrLeased) {
			return delivered, nil
		}
		if err != nil {
			return delivered, err
		}
		if lease.Abandoned {
			c.suspect(lease)
		}
		var n int
		n, resting, err = c.round(ctx, lease, resting, failures)
		delivered += n
		// The time may have run out; giving back is worth a little more.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		err = errors.Join(err, c.Outbox.Release(end, lease))
		cancel()
		if err != nil {
			return delivered, err
		}
	}
	return delivered, nil
}

// suspect has every sink looked at as if it had failed: whoever had the lease before may have
// come to their end between handing a record over and marking it.
func (c *Courier) suspect(lease *dynamodb.Lease) {
	for _, sink := range c.Sinks {
		if _, failed := lease.Failed[sink.Name()]; !failed {
			lease.Failed[sink.Name()] = c.Now().Add(-leaseFor)
		}
	}
}

// anything tells whether there is something to do but for some sinks.
func (c *Courier) anything(todo []dynamodb.Undelivered, resting []string) bool {
	for _, u := range todo {
		for _, name := range u.Sinks {
			if c.forget(u, name) || c.sink(name) != nil && !slices.Contains(resting, name) {
				return true
			}
		}
	}
	return false
}

// round delivers to each sink what it has yet to get, at the same time, and returns which sinks
// rest from now on. The lease keeps who failed.
func (c *Courier) round(
	ctx context.Context, lease *dynamodb.Lease, resting []string, failures map[string]int,
) (int, []string, error) {
	id := lease.RequestID
	todo, err := c.Outbox.Undelivered(ctx, id)
	if err != nil {
		return 0, resting, err
	}
	// Read after the records, so that it is never older than they are.
	r, err := c.Outbox.Get(ctx, id)
	if err != nil {
		return 0, resting, err
	}
	if err := c.forgetSinks(ctx, id, todo); err != nil {
		return 0, resting, err
	}
	var working []Sink
	for _, sink := range c.Sinks {
		switch failedAt := lease.Failed[sink.Name()]; {
		case slices.Contains(resting, sink.Name()):
		case c.Now().Before(failedAt.Add(rest)):
			resting = append(resting, sink.Name())
		default:
			working = append(working, sink)
		}
	}
	type outcome struct {
		delivered int
		err       error
	}
	outcomes := make([]outcome, len(working))
	var all sync.WaitGroup
	for i, sink := range working {
		_, again := lease.Failed[sink.Name()]
		all.Go(func() {
			outcomes[i].delivered, outcomes[i].err = c.deliverTo(ctx, sink, r, todo, again)
		})
	}
	all.Wait()
	delivered := 0
	for i, sink := range working {
		name := sink.Name()
		delivered += outcomes[i].delivered
		if outcomes[i].err == nil {
			delete(lease.Failed, name)
			continue
		}
		lease.Failed[name] = c.Now()
		resting = append(resting, name)
		if failures != nil {
			failures[name]++
		}
		c.Log.ErrorContext(ctx, "record not delivered", "request_id", id, "sink", name,
			"error", outcomes[i].err.Error())
	}
	return delivered, resting, nil
}

// deliverTo brings one sink its records of a request, one after the other. Each is marked before
// the next is handed over, so that after an accident only the first that is left may have
// arrived: again says so.
func (c *Courier) deliverTo(
	ctx context.Context, sink Sink, r request.Request, todo []dynamodb.Undelivered, again bool,
) (delivered int, err error) {
	for _, u := range todo {
		if !slices.Contains(u.Sinks, sink.Name()) {
			continue
		}
		if err := hand(ctx, sink, Item{Request: r, Record: u.Record, Again: again}); err != nil {
			return delivered, fmt.Errorf("record %d: %w", u.Record.Sequence, err)
		}
		err := c.Outbox.Delivered(ctx, r.ID, u.Record.Sequence, sink.Name())
		if err != nil {
			return delivered, err
		}
		delivered++
		again = false
	}
	return delivered, nil
}

// hand gives a sink one record. One sink's mistake must not take the others down.
func hand(ctx context.Context, sink Sink, item Item) (err error) {
	ctx, cancel := context.WithTimeout(ctx, itemTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked: %v", p)
		}
	}()
	return sink.Deliver(ctx, item)
}

// forgetSinks takes away what no sink is there for any more.
func (c *Courier) forgetSinks(ctx context.Context, id string, todo []dynamodb.Undelivered) error {
	for _, u := range todo {
		for _, name := range u.Sinks {
			if !c.forget(u, name) {
				continue
			}
			c.Log.WarnContext(ctx, "record not delivered: there is no such sink any more",
				"request_id", id, "sequence", u.Record.Sequence, "sink", name)
			if err := c.Outbox.Delivered(ctx, id, u.Record.Sequence, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Courier) forget(u dynamodb.Undelivered, name string) bool {
	return c.sink(name) == nil && c.Now().After(u.Record.At.Add(forgotten))
}

func (c *Courier) sink(name string) Sink {
	for _, sink := range c.Sinks {
		if sink.Name() == name {
			return sink
		}
	}
	return nil
}

// reportLate tells a human of what has waited for too long, once for a request and a sink.
func (c *Courier) reportLate(ctx context.Context, id string) error {
	todo, err := c.Outbox.Undelivered(ctx, id)
	if err != nil {
		return err
	}
	var told []string
	for _, u := range todo {
		for _, name := range u.Sinks {
			if c.sink(name) == nil || slices.Contains(told, name) ||
				c.Now().Before(u.Record.At.Add(tooLong)) {
				continue
			}
			told = append(told, name)
			if err := c.reportOne(ctx, id, u.Record, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// reportOne notes afterwards what was told: twice is better than never.
func (c *Courier) reportOne(
	ctx context.Context, id string, record request.Record, sink string,
) error {
	name := "undelivered-" + sink
	told, err := c.Outbox.Noted(ctx, id, name)
	if err != nil || told {
		return err
	}
	c.Report(ctx, request.Trouble{
		What: fmt.Sprintf("The record %d (%s by %s) of the request %s has not been delivered to "+
			"%q for %d minutes.", record.Sequence, record.Action, record.By, id, sink,
			int(c.Now().Sub(record.At)/time.Minute)),
		Do: "The Runtime's log says why, under \"record not delivered\". The record is safe in " +
			"the table of requests, and is tried again every minute; access begins and ends " +
			"without it.",
		RequestID: id,
	})
	_, err = c.Outbox.Note(ctx, id, name)
	return err
}
