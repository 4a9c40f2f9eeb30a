package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// lateAfter is how long access may outlast its end before people are told: the interval of the
	// sweep and of the reconciliation. They are told within one more interval.
	lateAfter = time.Minute

	// slowAfter is how long an approved request may wait for its grant before people are told.
	slowAfter = 5 * time.Minute

	// againEvery is how often people are told again while it lasts.
	againEvery = time.Hour

	// mostWatched is how many open requests are looked at, those with the earliest deadline first.
	mostWatched = 1000

	// mostLines is how many bytes of a message list requests: Slack cuts a message at 3,000
	// characters. What does not fit goes into another message.
	mostLines = 1800

	// mostMessages is how many messages of a kind one run sends: Slack takes one a second. The
	// next run tells of the others.
	mostMessages = 3

	// mostReasons is how many different reasons one message gives.
	mostReasons = 3
)

// delay is a request that people have to be told of.
type delay struct {
	request request.Request
	note    string // the note that they have been told
	text    string // a sentence, for a message about this request alone
	line    string // the same in a few words, for a list
	when    string // of the last try; empty where none has failed
	why     string // a sentence
}

// tellLate tells people of access that is past its end, and of approved requests that could not be
// granted: who, what, since when, why not, and what to do. They are told once, and again every
// hour.
func (s *Steps) tellLate(ctx context.Context) error {
	open, err := s.Store.Open(ctx, mostWatched)
	if err != nil {
		return err
	}
	var late, slow []delay
	var errs []error
	for _, r := range open {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < longestEnd+mostMessages*time.Second {
			s.Log.WarnContext(ctx, "late requests left for the next run to tell")
			break // ending them comes first
		}
		if kind, _ := s.delayed(r); kind == "" {
			continue
		}
		d, kind, err := s.delay(ctx, r.ID)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("request %s: %w", r.ID, err))
		case kind == "late":
			late = append(late, d)
		case kind == "slow":
			slow = append(slow, d)
		}
	}
	return errors.Join(append(errs, s.tellAll(ctx, late, "%d requests are past their end, and the "+
		"Runtime could not make sure that the access is gone", "The workflow and the database's "+
		"sweep keep trying. Make sure that the database and the Postgres function can be "+
		"reached; docs/operations.md says how, and how to end access by hand."),
		s.tellAll(ctx, slow, "%d approved requests could not be granted", "Make sure that the "+
			"database and the Postgres function can be reached. The requester and every approver "+
			"can withdraw a request by revoking it."))...)
}

// delayed tells whether a request is late to end or slow to be granted, and since when.
func (s *Steps) delayed(r request.Request) (kind string, since time.Time) {
	now := s.now()
	if since := r.OverdueSince(now); !since.IsZero() && !now.Before(since.Add(lateAfter)) {
		return "late", since
	}
	if r.State == request.Approved && !now.Before(approvedAt(r).Add(slowAfter)) {
		return "slow", approvedAt(r)
	}
	return "", time.Time{}
}

// delay reads a request as it is now. The kind is empty where there is nothing to tell, or no more.
func (s *Steps) delay(ctx context.Context, id string) (delay, string, error) {
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return delay{}, "", err
	}
	kind, since := s.delayed(r)
	if kind == "" {
		return delay{}, "", nil
	}
	d := delay{
		request: r, note: fmt.Sprintf("%s-%d", kind, int(s.now().Sub(since)/againEvery)),
	}
	told, err := s.Store.Noted(ctx, id, d.note)
	if err != nil || told {
		return delay{}, "", err
	}
	failure, err := s.Store.LastFailure(ctx, id)
	if err != nil {
		// Telling somebody matters more than the reason.
		s.Log.ErrorContext(ctx, "the reason for a delay could not be read", "request_id", id,
			"error", err.Error())
	}
	if failure.At.Before(since.Add(-margin)) {
		failure = request.Failure{} // a failure from before the delay explains nothing
	}
	s.describeDelay(&d, kind, since, failure)
	return d, kind, nil
}

func (s *Steps) describeDelay(d *delay, kind string, since time.Time, f request.Failure) {
	r := d.request
	role := fmt.Sprintf("the role %q (target %s, flow %s)", r.Target.RoleName, r.Target.Name, r.Flow)
	when := fmt.Sprintf("at %s, %s ago,", stamp(since), request.Lasting(s.now().Sub(since)))
	asked := fmt.Sprintf("The request %s of %s for %s", r.ID, r.Requester, role)
	user, state := "", ""
	if r.DatabaseUser != "" {
		user = fmt.Sprintf(" as the database user %q", r.DatabaseUser)
	}
	switch {
	case kind == "slow" && f.Step == "deescalate":
		state = ", given up"
		d.text = fmt.Sprintf("%s was approved %s and could not be granted. The workflow has given up, "+
			"and keeps trying to make sure that nothing stays granted.", asked, when)
	case kind == "slow":
		d.text = fmt.Sprintf("%s was approved %s and could not be granted yet.", asked, when)
	case r.Withdrawn():
		state = ", withdrawn"
		d.text = fmt.Sprintf("%s was withdrawn by %s %s and the Runtime could not make sure that "+
			"nothing is granted.", asked, r.Revocation.By, when)
	default:
		d.text = fmt.Sprintf("%s got %s%s by the request %s. It should have been taken away %s and "+
			"that could not be done.", r.Requester, role, user, r.ID, when)
	}
	d.line = fmt.Sprintf("\n• %s: %q%s, since %s%s (request %s)", r.Requester, r.Target.RoleName, user,
		stamp(since), state, r.ID)
	d.why = "No failed try is on record: the Runtime's log and the workflow's execution show the " +
		"progress."
	if f.Reason != "" {
		d.why, d.when = f.Reason, fmt.Sprintf("The last try, at %s, failed: ", stamp(f.At))
	}
}

// tellAll tells of one delay by itself, and lists several in as few messages as they fit in: when
// a database is down they come all together. The note follows the message: told twice is better
// than never.
func (s *Steps) tellAll(ctx context.Context, all []delay, several, do string) error {
	if s.Tell == nil {
		return nil
	}
	total := len(all)
	for range mostMessages {
		if len(all) == 0 {
			return nil
		}
		n, size := 0, 0
		for n < len(all) && (n == 0 || size+len(all[n].line) <= mostLines) {
			size += len(all[n].line)
			n++
		}
		t := all[0].alone()
		if total > 1 {
			t = listed(all[:n], several, len(all)-n)
		}
		t.Do = do
		if err := s.Tell(ctx, t); err != nil {
			return fmt.Errorf("telling a human: %w", err)
		}
		var errs []error
		for _, d := range all[:n] {
			if _, err := s.Store.Note(ctx, d.request.ID, d.note); err != nil {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// alone is the message about one delay.
func (d delay) alone() request.Trouble {
	return request.Trouble{
		What: d.text + " " + d.when + d.why, Whom: d.request.Requester, RequestID: d.request.ID,
	}
}

// listed is the message about several delays, after which others follow.
func listed(some []delay, heading string, others int) request.Trouble {
	t := request.Trouble{What: fmt.Sprintf(heading, len(some))}
	if others > 0 {
		t.What += fmt.Sprintf(" (%d more in other messages)", others)
	}
	t.What += ":"
	var whom, reasons []string
	for _, d := range some {
		if !slices.Contains(whom, d.request.Requester) {
			whom = append(whom, d.request.Requester)
		}
		if !slices.Contains(reasons, d.why) {
			reasons = append(reasons, d.why)
		}
		t.What += d.line
	}
	for _, reason := range reasons[:min(len(reasons), mostReasons)] {
		t.What += "\nWhy: " + reason
	}
	if more := len(reasons) - mostReasons; more > 0 {
		t.What += fmt.Sprintf("\nThe Runtime's log has %d other reasons.", more)
	}
	t.Whom = strings.Join(whom, ", ")
	return t
}

// keepFailure keeps why a grant or its end failed, for the message that tells of it. It never fails
// itself: the step has failed already.
func (s *Steps) keepFailure(ctx context.Context, in Input, err error) {
	if in.RequestID == "" || in.Step != "escalate" && in.Step != "deescalate" {
		return
	}
	// The step's time may have run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 800*time.Millisecond)
	defer cancel()
	reason := []rune(cut(strings.TrimSuffix(err.Error(), ".")))
	keeping := s.Store.KeepFailure(ctx, in.RequestID, request.Failure{
		Step: in.Step, Reason: strings.ToUpper(string(reason[:min(1, len(reason))])) +
			string(reason[min(1, len(reason)):]) + ".", At: s.now(),
	})
	if keeping != nil {
		s.Log.ErrorContext(ctx, "the reason for a failed step could not be kept", "request_id", in.RequestID,
			"error", keeping.Error())
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
