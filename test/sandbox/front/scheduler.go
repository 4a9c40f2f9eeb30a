package front

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// schedules fires what EventBridge Scheduler would: moto keeps schedules and
// never fires one.
type schedules struct {
	front   *Front
	mu      sync.Mutex
	stop    map[string]context.CancelFunc
	running sync.WaitGroup
}

// schedule is the part of a schedule that firing it needs.
type schedule struct {
	ScheduleExpression string
	State              string
	Target             struct{ Arn, Input, RoleArn string }
}

var (
	schedulePath = regexp.MustCompile(`^/schedules/([^/]+)$`)
	rate         = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)s?\)$`)
)

func newSchedules(f *Front) *schedules {
	return &schedules{front: f, stop: map[string]context.CancelFunc{}}
}

func (s *schedules) serve(w http.ResponseWriter, r *http.Request, c call) {
	match := schedulePath.FindStringSubmatch(r.URL.Path)
	if match == nil || r.Method == http.MethodGet {
		s.front.forward(w, r, c)
		return
	}
	var one schedule
	var every time.Duration
	if r.Method != http.MethodDelete {
		err := json.Unmarshal(c.body, &one)
		if err == nil {
			every, err = period(one.ScheduleExpression)
		}
		if err != nil {
			c.fail(w, http.StatusBadRequest, "ValidationException", err.Error())
			return
		}
	}
	answer, err := s.front.forwardAndRead(r, c)
	if err != nil {
		c.fail(w, http.StatusBadGateway, "ServiceUnavailable", err.Error())
		return
	}
	if answer.ok() {
		s.set(c.caller.Account+"/"+match[1], c.caller.Account, one, every)
	}
	answer.send(w)
}

// period is the time between two firings.
func period(expression string) (time.Duration, error) {
	match := rate.FindStringSubmatch(expression)
	if match == nil {
		return 0, fmt.Errorf("the sandbox fires schedules of the form rate(N minutes), not %q", expression)
	}
	count, err := strconv.Atoi(match[1])
	if err != nil || count < 1 {
		return 0, fmt.Errorf("%q is not a rate", expression)
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	return time.Duration(count) * unit[match[2]], nil
}

// set replaces a schedule. One without a target is only stopped.
func (s *schedules) set(id, account string, one schedule, every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stop, ok := s.stop[id]; ok {
		stop()
		delete(s.stop, id)
	}
	if one.Target.Arn == "" || one.State == "DISABLED" {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop[id] = stop
	s.running.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				s.fire(ctx, id, account, one)
			}
		}
	})
}

func (s *schedules) fire(ctx context.Context, id, account string, one schedule) {
	caller := Identity{Account: account, Service: "scheduler.amazonaws.com",
		ARN: fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/default/%s", Region, account,
			id[strings.LastIndex(id, "/")+1:])}
	_, err := s.front.trust(ctx, caller, one.Target.RoleArn, "")
	if err == nil {
		err = s.front.invokeLater(ctx, caller, one.Target.Arn, []byte(one.Target.Input))
	}
	if err != nil && ctx.Err() == nil {
		s.front.Log.Warn("a schedule could not fire", "schedule", id, "error", err)
	}
}

func (s *schedules) close() {
	s.mu.Lock()
	for _, stop := range s.stop {
		stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}
