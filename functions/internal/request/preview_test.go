package request_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// previewer answers in place of a target's function and records the questions.
type previewer struct {
	answer  request.Preview
	err     error
	asked   []request.Request
	limited []time.Duration
}

func (p *previewer) Preview(ctx context.Context, r request.Request) (request.Preview, error) {
	p.asked = append(p.asked, r)
	if deadline, ok := ctx.Deadline(); ok {
		p.limited = append(p.limited, time.Until(deadline))
	}
	return p.answer, p.err
}

var refused = request.Refuse(nil, request.CannotBeGranted,
	"The database user alice belongs to alice@old.example.com.")

// TestCannotBeGranted makes requests that the function would refuse, by every way of asking.
func TestCannotBeGranted(t *testing.T) {
	glass := func(d *rules.Document) {
		d.BreakGlass = &rules.BreakGlass{People: []string{alice}}
	}
	sub := request.Submission{Flow: "postgres", Target: "readonly", Reason: "Look at order 4711"}
	nothingWritten := func(t *testing.T, d desk, requests int) {
		t.Helper()
		page, err := d.List(t.Context(), request.Query{})
		require.NoError(t, err)
		assert.Len(t, page.Requests, requests)
	}
	t.Run("submit and check", func(t *testing.T) {
		d := newDesk(glass)
		d.Previewer = &previewer{err: refused}
		for _, breakGlass := range []bool{false, true} {
			sub.BreakGlass = breakGlass
			_, err := d.Submit(t.Context(), alice, sub)
			assert.Equal(t, refused, err)
			assert.Equal(t, refused, d.Check(t.Context(), alice, sub))
		}
		nothingWritten(t, d, 0)
	})
	t.Run("extend", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.Previewer = &previewer{err: refused}
		_, err := d.Extend(t.Context(), alice, r.ID, request.Extension{})
		assert.Equal(t, refused, err)
		assert.Equal(t, refused, d.CheckExtension(t.Context(), alice, r.ID, request.Extension{}))
		nothingWritten(t, d, 1)
	})
}

// TestPreview checks when the function is asked and how its answers are used.
func TestPreview(t *testing.T) {
	sub := request.Submission{
		Flow: "postgres", Target: "readonly", Reason: "Look at order 4711", Key: "once",
	}
	t.Run("is kept with the request", func(t *testing.T) {
		d := newDesk()
		p := &previewer{answer: request.Preview{
			NeedsSetRole: true, CouldLeave: []string{"It may create tables."},
		}}
		d.Previewer = p
		require.NoError(t, d.Check(t.Context(), alice, sub))
		r, err := d.Submit(t.Context(), alice, sub)
		require.NoError(t, err)
		assert.True(t, r.NeedsSetRole)
		assert.Equal(t, []string{"It may create tables."}, r.CouldLeave)
		_, err = d.Submit(t.Context(), alice, sub)
		require.NoError(t, err)
		require.Len(t, p.asked, 2, "a repeated submission is not previewed again")
		for i, asked := range p.asked {
			assert.Equal(t, r.ID, asked.ID, "the check is of the run that will be granted")
			assert.LessOrEqual(t, p.limited[i], 5*time.Second)
		}
	})
	t.Run("that fails lets the request be made", func(t *testing.T) {
		d := newDesk()
		d.Previewer = &previewer{err: errors.New("it timed out")}
		require.NoError(t, d.Check(t.Context(), alice, sub))
		r, err := d.Submit(t.Context(), alice, sub)
		require.NoError(t, err)
		assert.Equal(t, request.Requested, r.State)
	})
	t.Run("is not requested if the rules refuse", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.Requesters = []string{alice, mallo}
			d.Deny = []rules.Denial{{
				Name: "no mallo", When: `requester.email == "mallo@example.com"`, Message: "No.",
			}}
		})
		p := &previewer{err: refused}
		d.Previewer = p
		_, err := d.Submit(t.Context(), mallo, sub)
		assert.Equal(t, request.DeniedByRule, codeOf(err))
		_, err = d.Submit(t.Context(), dave, sub)
		assert.Equal(t, request.NotARequester, codeOf(err))
		_, err = d.Submit(t.Context(), alice, request.Submission{
			Flow: "postgres", Target: "readonly",
		})
		assert.Equal(t, request.MissingReason, codeOf(err))
		assert.Empty(t, p.asked)
	})
}
