package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sym-postgres-quickstart/functions/internal/client"
)

// How often a request is looked at while it is waited for. It begins anew with every change.
const (
	firstLook    = time.Second
	seldomest    = 15 * time.Second
	soon         = 3 * time.Second // where something is about to happen
	giveUpAfter  = 5 * time.Minute // without any answer
	redrawEvery  = time.Second
	eraseTheLine = "\r\x1b[K"
)

// wait is the command that waits for a request.
func (p *program) wait(ctx context.Context, o *options) error {
	until := client.State(o.until)
	if until != client.Active && until != client.Done {
		return o.usage("--until has to be active or done")
	}
	if err := o.checkDuration("timeout", o.timeout); err != nil {
		return err
	}
	c, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	return p.waitFor(ctx, c, o, o.args[0], until)
}

// waitFor waits until a request is in a state, shows it, and ends with the code that says how it
// went.
func (p *program) waitFor(
	ctx context.Context, c *client.Client, o *options, id string, until client.State,
) error {
	w := &waiting{program: p, client: c, id: id, until: until}
	if o.timeout > 0 {
		w.deadline = p.now().Add(o.timeout)
	}
	r, err := w.run(ctx)
	if err != nil && r.ID == "" {
		return err
	}
	if err != nil && exitCode(err) == exitInterrupted {
		p.next("Stopped waiting. The request %s goes on: `sym wait %[1]s` waits for it again.", id)
		return quiet{exitInterrupted}
	}
	if printing := p.printRequest(o, r); printing != nil {
		return printing
	}
	p.nextFor(r)
	return err
}

// waiting is one wait for a request.
type waiting struct {
	*program
	client   *client.Client
	id       string
	until    client.State
	deadline time.Time // zero for none

	last     client.Request
	answered time.Time // when the last answer came
}

// run looks again and again. It returns the request as it was seen last.
func (w *waiting) run(ctx context.Context) (client.Request, error) {
	defer w.erase()
	w.answered = w.now()
	pause := firstLook
	for {
		changed, err := w.look(ctx)
		if err != nil {
			return w.last, err
		}
		if over, err := w.over(); over {
			return w.last, err
		}
		if changed {
			pause = firstLook
		}
		if err := w.pass(ctx, w.fitting(pause)); err != nil {
			return w.last, err
		}
		pause = min(pause*3/2, seldomest)
	}
}

// look reads the request and tells whether it has changed. Where no answer comes it says so,
// and for some minutes that is no error: what is waited for goes on without us.
func (w *waiting) look(ctx context.Context) (changed bool, err error) {
	r, err := w.client.Show(ctx, w.id)
	switch {
	case err == nil:
		changed = r.State != w.last.State || len(r.Approvals) != len(w.last.Approvals)
		w.last, w.answered = r, w.now()
		if changed {
			w.report(w.progress())
		}
		return changed, nil
	case w.last.ID == "" || !passing(err) || w.now().Sub(w.answered) > giveUpAfter:
		return false, err
	}
	w.report("no answer, trying again: " + sentence(err))
	return false, nil
}

// passing tells whether a failure may be over in a while.
func passing(err error) bool {
	if refusal, ok := errors.AsType[*client.Refusal](err); ok {
		return refusal.Status >= http.StatusInternalServerError ||
			refusal.Status == http.StatusTooManyRequests
	}
	_, unreachable := errors.AsType[*client.Unreachable](err)
	return unreachable && !errors.Is(err, context.Canceled)
}

// over tells whether there is nothing more to wait for, and how it went.
func (w *waiting) over() (bool, error) {
	r := w.last
	switch {
	case r.State == w.until:
		return true, nil
	case r.Withdrawn() && r.State == client.Revoking && w.until == client.Active:
		return true, outcome{exitNoAccess, fmt.Sprintf("the request %s was withdrawn: there is no "+
			"access to wait for", r.ID)}
	case r.Withdrawn() && r.State == client.Done:
		return true, outcome{exitNoAccess, fmt.Sprintf("the request %s was withdrawn before anything "+
			"was granted", r.ID)}
	case r.State == client.Done || r.State == client.Revoking && w.until == client.Active:
		return true, outcome{exitNoAccess, fmt.Sprintf("the access of the request %s was active "+
			"and has ended", r.ID)}
	case r.State.Ended():
		return true, outcome{exitNoAccess, fmt.Sprintf("the request %s is %s: there is no access "+
			"to wait for", r.ID, r.State)}
	case !w.deadline.IsZero() && !w.now().Before(w.deadline):
		return true, outcome{exitTimeout, fmt.Sprintf("the request %s is still %s, and the time "+
			"to wait is up", r.ID, r.State)}
	}
	return false, nil
}

// fitting is a pause that misses nothing that is foreseen.
func (w *waiting) fitting(pause time.Duration) time.Duration {
	switch w.last.State {
	case client.Approved, client.Revoking:
		pause = min(pause, soon)
	case client.Active:
		if left := w.last.ExpiresAt.Sub(w.now()); left < pause {
			pause = max(left, firstLook)
		}
	}
	if !w.deadline.IsZero() {
		pause = min(pause, w.deadline.Sub(w.now()))
	}
	return pause
}

// pass lets time go by. On a terminal the line shows it going.
func (w *waiting) pass(ctx context.Context, d time.Duration) error {
	if !w.errTerminal {
		return w.sleep(ctx, d)
	}
	for end := w.now().Add(d); ; {
		left := end.Sub(w.now())
		if left <= 0 {
			return nil
		}
		if err := w.sleep(ctx, min(left, redrawEvery)); err != nil {
			return err
		}
		w.report(w.progress())
	}
}

// progress is where the request stands, and how long that still takes.
func (w *waiting) progress() string {
	r := w.last
	switch r.State {
	case client.Requested:
		text := "requested, waits for approval"
		if r.ApprovalsNeeded > 1 {
			text += fmt.Sprintf(" (%d of %d)", len(r.Approvals), r.ApprovalsNeeded)
		}
		return text + ", at most until " + w.at(r.DecideBy)
	case client.Approved:
		return "approved, is being granted"
	case client.Active:
		return "active, until " + w.at(r.ExpiresAt)
	case client.Revoking:
		if r.Withdrawn() {
			return "revoking, is being withdrawn"
		}
		return "revoking, is being taken away"
	default:
		return string(r.State)
	}
}

// report shows how things stand: over and over in one line of a terminal, else in a line of its
// own.
func (w *waiting) report(text string) {
	if !w.errTerminal {
		fmt.Fprintf(w.err, "%s  %s\n", w.now().In(w.location).Format(time.TimeOnly), text)
		return
	}
	if width := w.width(); width > 1 {
		text = cut(text, width-1)
	}
	fmt.Fprint(w.err, eraseTheLine+text)
}

func (w *waiting) erase() {
	if w.errTerminal {
		fmt.Fprint(w.err, eraseTheLine)
	}
}
