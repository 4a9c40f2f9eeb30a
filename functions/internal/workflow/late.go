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
	// lateAfter is how long after its end access may be there before a human hears of it: the
	// interval in which the sweep and the reconciliation come by. So whoever has to know does
	// within one more interval.
	lateAfter = time.Minute

	// slowAfter is how long an approved request may wait for its grant before a human hears of it.
	slowAfter = 5 * time.Minute

	// againEvery is how often a human hears of the same again, as long as it lasts.
	againEvery = time.Hour

	// mostWatched is how many open requests are looked at, those first whose time is over.
	mostWatched = 1000

	// mostListed is how many requests one message lists.
	mostListed = 20
)

// delay is a request that a human has to hear of.
type delay struct {
	request request.Request
	note    string // under which it is noted that they have
	text    string
}

// tellLate tells humans of access that is past its end, and of approved requests that cannot be
// granted: who, what, since when, why not, and what to do. Each is told once, and again every hour.
func (s *Steps) tellLate(ctx context.Context) error {
	open, err := s.Store.Open(ctx, mostWatched)
	if err != nil {
		return err
	}
	var late, slow []delay
	var errs []error
	for _, r := range open {
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
	return errors.Join(append(errs, s.tellAll(ctx, late, "The time of %d grants is over, and the "+
		"Runtime could not make sure that they have ended:", "The workflow and the database's "+
		"sweep go on trying. See to it that the database and the Postgres function can be "+
		"reached: docs/operations.md says how, and how to end access by hand."),
		s.tellAll(ctx, slow, "%d approved requests could not be granted yet:", "See to it that the "+
			"database and the Postgres function can be reached. Whoever does not need the access "+
			"any more, or should not have it, can have it withdrawn: the requester and every "+
			"approver may revoke the request."))...)
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
		// The reason is worth less than that somebody hears of it.
		s.Log.ErrorContext(ctx, "why a request is late is not known", "request_id", id,
			"error", err.Error())
	}
	d.text = s.describeDelay(r, kind, since) + " " + why(failure, since)
	return d, kind, nil
}

func (s *Steps) describeDelay(r request.Request, kind string, since time.Time) string {
	role := fmt.Sprintf("the role %q (target %s, flow %s)", r.Target.RoleName, r.Target.Name, r.Flow)
	when := fmt.Sprintf("at %s, %s ago,", stamp(since), request.Lasting(s.now().Sub(since)))
	switch {
	case kind == "slow":
		return fmt.Sprintf("The request %s of %s for %s was approved %s and could not be granted yet.",
			r.ID, r.Requester, role, when)
	case r.Withdrawn():
		return fmt.Sprintf("The request %s of %s for %s was withdrawn by %s %s and the Runtime could "+
			"not make sure that nothing is granted.", r.ID, r.Requester, role, r.Revocation.By, when)
	case r.DatabaseUser == "":
		return fmt.Sprintf("%s got %s by the request %s. It should have been taken away %s and that "+
			"could not be done.", r.Requester, role, r.ID, when)
	default:
		return fmt.Sprintf("%s got %s as the database user %q by the request %s. It should have been "+
			"taken away %s and that could not be done.", r.Requester, role, r.DatabaseUser, r.ID, when)
	}
}

// why says why the last try failed. One from before the delay began is no reason.
func why(f request.Failure, since time.Time) string {
	if f.Reason == "" || f.At.Before(since.Add(-margin)) {
		return "No try has failed with a reason: the Runtime's log and the workflow's execution " +
			"say how far it has come."
	}
	return fmt.Sprintf("The last try, at %s, failed: %s", stamp(f.At), f.Reason)
}

// tellAll tells of one delay by itself, and of several in one message: where a database is down
// they all come together. It is noted afterwards: twice is better than never.
func (s *Steps) tellAll(ctx context.Context, all []delay, several, do string) error {
	if len(all) == 0 || s.Tell == nil {
		return nil
	}
	t := request.Trouble{
		What: all[0].text, Whom: all[0].request.Requester, Do: do, RequestID: all[0].request.ID,
	}
	if len(all) > 1 {
		t = request.Trouble{What: fmt.Sprintf(several, len(all)), Do: do}
		var whom []string
		for i, d := range all {
			if !slices.Contains(whom, d.request.Requester) {
				whom = append(whom, d.request.Requester)
			}
			if i < mostListed {
				t.What += "\n• " + d.text
			}
		}
		if more := len(all) - mostListed; more > 0 {
			t.What += fmt.Sprintf("\n• and %d more", more)
		}
		t.Whom = strings.Join(whom, ", ")
	}
	if err := s.Tell(ctx, t); err != nil {
		return fmt.Errorf("telling a human: %w", err)
	}
	var errs []error
	for _, d := range all {
		if _, err := s.Store.Note(ctx, d.request.ID, d.note); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keepFailure keeps why a grant or its end failed, for whoever has to be told of it. What can be
// told of a failure is no reason to fail once more.
func (s *Steps) keepFailure(ctx context.Context, in Input, err error) {
	if in.RequestID == "" || in.Step != "escalate" && in.Step != "deescalate" {
		return
	}
	// The time for the step may be what has run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 800*time.Millisecond)
	defer cancel()
	reason := []rune(cut(strings.TrimSuffix(err.Error(), ".")))
	keeping := s.Store.KeepFailure(ctx, in.RequestID, request.Failure{
		Step: in.Step, Reason: strings.ToUpper(string(reason[:min(1, len(reason))])) +
			string(reason[min(1, len(reason)):]) + ".", At: s.now(),
	})
	if keeping != nil {
		s.Log.ErrorContext(ctx, "why a step failed could not be kept", "request_id", in.RequestID,
			"error", keeping.Error())
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
