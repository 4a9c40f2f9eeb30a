package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	coldCount      = 30
	warmCount      = 400
	throughputTime = 4 * time.Second
)

// floor is what pgx alone needs to give and take a role: two statements on one connection.
type floor struct {
	exec func(ctx context.Context, sql string) error
	end  func()
}

func (db *testDatabase) floor(ctx context.Context) (*floor, error) {
	conn, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &floor{
		exec: func(ctx context.Context, sql string) error {
			_, err := conn.Exec(ctx, sql)
			return err
		},
		end: func() { _ = conn.Close(ctx) },
	}, nil
}

func (f *floor) grant(ctx context.Context, user string) error {
	return f.exec(ctx, "GRANT readonly TO "+user)
}

func (f *floor) revoke(ctx context.Context, user string) error {
	return f.exec(ctx, "REVOKE readonly FROM "+user)
}

// timed adds how long something takes to a list.
func timed(durations *[]time.Duration, what func() error) error {
	began := time.Now()
	err := what()
	*durations = append(*durations, time.Since(began))
	return err
}

// cold measures new processes, from their start to the answer of the first escalate, which
// follows its COMMIT. The floor is a connection and a GRANT by a process that runs.
func cold(ctx context.Context, report *Report, db *testDatabase, binary string) error {
	var starts, inits, firsts, connects, floors []time.Duration
	for range coldCount {
		i, err := startInstance(db, binary)
		if err != nil {
			return err
		}
		escalate, deescalate := events("person_0")
		err = func() error {
			defer i.stop()
			select {
			case at := <-i.asked:
				inits = append(inits, at.Sub(i.began))
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := timed(&firsts, func() error { return i.call(ctx, escalate) }); err != nil {
				return err
			}
			starts = append(starts, time.Since(i.began))
			return i.call(ctx, deescalate)
		}()
		if err != nil {
			return err
		}

		began := time.Now()
		var f *floor
		err = timed(&connects, func() (err error) { f, err = db.floor(ctx); return err })
		if err != nil {
			return err
		}
		err = f.grant(ctx, "person_0")
		floors = append(floors, time.Since(began))
		if err == nil {
			err = f.revoke(ctx, "person_0")
		}
		f.end()
		if err != nil {
			return err
		}
	}
	add := func(what string, ours []time.Duration, floor string, theirs []time.Duration) {
		line := Time{What: what, Count: len(ours), Floor: floor}
		line.P50, line.P99 = quantiles(ours)
		if floor != "" {
			line.F50, line.F99 = quantiles(theirs)
		}
		report.Times = append(report.Times, line)
	}
	add("cold: process start to first change", starts, "TLS connect + GRANT", floors)
	add("  of it: process start to ready", inits, "", nil)
	add("  of it: first change", firsts, "bare TLS connect", connects)
	return nil
}

// warm measures one process that has its connection, and the floor in turn with it, so that
// both meet the same noise.
func warm(
	ctx context.Context, report *Report, db *testDatabase, binary string, rows int,
) error {
	i, err := startInstance(db, binary)
	if err != nil {
		return err
	}
	defer i.stop()
	f, err := db.floor(ctx)
	if err != nil {
		return err
	}
	defer f.end()
	var escalates, deescalates, pairs, grants, revokes, floors, refusals []time.Duration
	for n := range warmCount + 20 {
		if n == 20 { // The first warm up.
			escalates, deescalates, pairs = nil, nil, nil
			grants, revokes, floors, refusals = nil, nil, nil, nil
		}
		escalate, deescalate := events("person_1")
		err := timed(&pairs, func() error {
			err := timed(&escalates, func() error { return i.call(ctx, escalate) })
			if err != nil {
				return err
			}
			return timed(&deescalates, func() error { return i.call(ctx, deescalate) })
		})
		if err == nil {
			err = timed(&floors, func() error {
				err := timed(&grants, func() error { return f.grant(ctx, "person_2") })
				if err != nil {
					return err
				}
				return timed(&revokes, func() error { return f.revoke(ctx, "person_2") })
			})
		}
		if err == nil {
			err = timed(&refusals, func() error {
				_, err := i.send(ctx, []byte(`{"type":"nothing"}`))
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	for _, line := range []struct {
		what, floor  string
		ours, theirs []time.Duration
	}{
		{"warm: escalate + deescalate", "GRANT + REVOKE", pairs, floors},
		{"  escalate", "GRANT", escalates, grants},
		{"  deescalate", "REVOKE", deescalates, revokes},
	} {
		t := Time{What: line.what, Rows: rows, Count: len(line.ours), Floor: line.floor}
		t.P50, t.P99 = quantiles(line.ours)
		t.F50, t.F99 = quantiles(line.theirs)
		report.Times = append(report.Times, t)
	}
	// What of both Lambda's own protocol takes, and our reading and writing of JSON.
	t := Time{What: "  an event without the database", Rows: rows, Count: len(refusals)}
	t.P50, t.P99 = quantiles(refusals)
	report.Times = append(report.Times, t)
	if rows == 0 {
		report.Sizes = append(report.Sizes, Size{"most resident memory, warm", i.residentBytes()})
	}
	return nil
}

// throughput has many people ask at once, each served by a process with a connection of its
// own as Lambda does it, and then as many bare connections.
func throughput(
	ctx context.Context, report *Report, db *testDatabase, binary string, rows, count int,
) error {
	var instances []*instance
	var floors []*floor
	defer func() {
		for _, i := range instances {
			i.stop()
		}
		for _, f := range floors {
			f.end()
		}
	}()
	for _, user := range users(count) {
		i, err := startInstance(db, binary)
		if err != nil {
			return err
		}
		instances = append(instances, i)
		f, err := db.floor(ctx)
		if err != nil {
			return err
		}
		floors = append(floors, f)
		escalate, deescalate := events(user)
		for _, payload := range [][]byte{escalate, deescalate} {
			if err := i.call(ctx, payload); err != nil {
				return err
			}
		}
	}
	ours, err := perSecond(ctx, count, func(n int, user string) error {
		escalate, deescalate := events(user)
		if err := instances[n].call(ctx, escalate); err != nil {
			return err
		}
		return instances[n].call(ctx, deescalate)
	})
	if err != nil {
		return err
	}
	theirs, err := perSecond(ctx, count, func(n int, user string) error {
		if err := floors[n].grant(ctx, user); err != nil {
			return err
		}
		return floors[n].revoke(ctx, user)
	})
	report.Throughput = append(report.Throughput,
		Throughput{Users: count, Rows: rows, Pairs: ours, Floor: theirs})
	return err
}

// perSecond does something over and over for every user at once, and answers how often.
func perSecond(
	ctx context.Context, count int, do func(n int, user string) error,
) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, throughputTime)
	defer cancel()
	var group sync.WaitGroup
	var done atomic.Int64
	failed := make(chan error, count)
	began := time.Now()
	for n, user := range users(count) {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := do(n, user); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / time.Since(began).Seconds(), nil
	}
}
