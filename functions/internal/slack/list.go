package slack

import (
	"context"
	"slices"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// mostListed is how many requests a list in Slack shows of each kind, and mostToDecide how many
	// of those that wait for a person, with their buttons: Slack takes 50 blocks.
	mostListed   = 30
	mostToDecide = 8
	// linksWithin is how long the list waits for the addresses of messages.
	linksWithin = 800 * time.Millisecond
)

// list is the answer to list.
func (h *Handler) list(ctx context.Context, c call) (*message, error) {
	now := h.Now()
	person, open, err := together(
		func() (string, error) { return h.people.email(ctx, c.form.Get("user_id")) },
		func() ([]request.Request, error) { return h.Store.Open(ctx, mostOpen) },
	)
	if err != nil {
		return nil, err
	}
	decide := only(open, func(r request.Request) bool { return waitsFor(r, person, now) })
	held := only(open, func(r request.Request) bool {
		return r.HeldAt(now) && !r.Ended() // one that has failed is over
	})
	waiting := only(open, func(r request.Request) bool {
		return (r.State == request.Requested || r.State == request.Approved) && r.Requester == person
	})
	slices.SortStableFunc(held, func(a, b request.Request) int {
		return a.ExpiresAt.Compare(b.ExpiresAt)
	})
	slices.SortStableFunc(decide, func(a, b request.Request) int {
		return a.CreatedAt.Compare(b.CreatedAt)
	})
	var has, waits []line
	for _, r := range held[:min(mostListed, len(held))] {
		has = append(has, holding(h.stuck(ctx, r), person, now))
	}
	for _, r := range waiting[:min(mostListed, len(waiting))] {
		waits = append(waits, waitingLine(h.stuck(ctx, r)))
	}
	m := &message{text: notification("%d wait for you; %d have access now; you wait for %d",
		len(decide), len(held), len(waiting))}
	m.blocks = append(m.blocks, h.toDecide(ctx, decide)...)
	m.blocks = append(m.blocks,
		table("Who has what now", "Nobody has anything now.", has, len(held) > len(has))...)
	if len(waits) > 0 {
		m.blocks = append(m.blocks, table("What you wait for", "", waits, len(waiting) > len(waits))...)
	}
	return m, nil
}

// toDecide lists what waits for a person, the oldest first, each with its buttons.
func (h *Handler) toDecide(ctx context.Context, all []request.Request) []slackapi.Block {
	if len(all) == 0 {
		return nil
	}
	blocks := []slackapi.Block{heading("What waits for you")}
	shown := all[:min(mostToDecide, len(all))]
	links := h.links(ctx, shown)
	for i, r := range shown {
		l := deciding(r)
		if links[i] != "" {
			l = append(l, words(". "), slackapi.NewRichTextSectionLinkElement(links[i],
				"See it in the channel", nil))
		}
		said := shorten(oneLine(visible(r.Reason)), mostSaid)
		actions := slackapi.NewActionBlock("actions:"+r.ID, decisions(r)...)
		blocks = append(blocks, rich(lines(l), quote(said)), actions)
	}
	if more := len(all) - len(shown); more > 0 {
		blocks = append(blocks, small("There are more. The command-line client and the API list "+
			"all of them."))
	}
	return blocks
}

// decisions are the buttons of what waits for a person.
func decisions(r request.Request) []slackapi.BlockElement {
	if r.State == request.Requested {
		return buttons(r)
	}
	return []slackapi.BlockElement{button(reviewButton, r.ID, "Review", slackapi.StylePrimary)}
}

// links are the addresses of requests' messages; empty where there is none, or none could be found
// in time.
func (h *Handler) links(ctx context.Context, all []request.Request) []string {
	ctx, cancel := context.WithTimeout(ctx, linksWithin)
	defer cancel()
	links := make([]string, len(all))
	var done sync.WaitGroup
	for i, r := range all {
		done.Go(func() {
			channel, ts, err := h.Store.SlackMessage(ctx, r.ID)
			if err == nil && ts != "" {
				links[i], err = h.client.permalink(ctx, channel, ts)
			}
			if err != nil {
				h.Log.WarnContext(ctx, "the address of a message could not be found",
					"request_id", r.ID, "error", err)
			}
		})
	}
	done.Wait()
	return links
}

// waitsFor tells whether a request waits for this person: for their approval, or for the review of
// broken glass. By whom is as of when it was asked for; the click asks anew.
func waitsFor(r request.Request, person string, now time.Time) bool {
	if r.State == request.Requested {
		return slices.Contains(r.AskedNow(now), person)
	}
	return r.BreakGlass && r.State != request.Approved && !r.ReviewDue.IsZero() &&
		person != r.Requester &&
		(slices.Contains(r.Approvers, person) || slices.Contains(r.BackupApprovers, person))
}

// deciding is a line of what waits for a person.
func deciding(r request.Request) line {
	l := line{bold(r.Requester), words(" asked for "), code(r.Target.RoleName),
		words(" in the flow %s for %s, at ", r.Flow, request.Lasting(r.Duration)), moment(r.CreatedAt)}
	if r.State != request.Requested {
		return append(l, words(", by broken glass. It waits for its review"))
	}
	l = append(l, words(". It waits until "), moment(r.DecideBy()))
	if r.ApprovalsNeeded > 1 {
		l = append(l, words(": %d of %d approvals", len(r.Approvals), r.ApprovalsNeeded))
	}
	return l
}

// waitingLine describes a request that waits for an approval, or for the grant after it.
func waitingLine(r request.Request) line {
	l := line{code(r.Target.RoleName), words(" in the flow %s for %s, asked ", r.Flow,
		request.Lasting(r.Duration)), moment(r.CreatedAt)}
	switch {
	case r.Stuck != nil:
		return append(append(l, words(", approved but not granted yet")), lastTry(r)...)
	case r.State == request.Approved:
		return append(l, words(", approved but not granted yet"))
	}
	return append(l, words(", waits until "), moment(r.DecideBy()))
}

// holding is a line of the list: who has what, and how long still.
func holding(r request.Request, person string, now time.Time) line {
	who := r.Requester
	if who == person {
		who = "you"
	}
	l := line{bold(who), words(" "), code(r.Target.RoleName), words(" in the flow %s, ", r.Flow)}
	switch {
	case r.Stuck != nil:
		return append(append(l, words("could not be taken away yet")), lastTry(r)...)
	case r.State == request.Revoking || !r.ExpiresAt.After(now):
		return append(l, words("is being taken away"))
	}
	return append(l, words("%s left, until ", left(r.ExpiresAt.Sub(now))), moment(r.ExpiresAt))
}

// only are the requests that fit.
func only(all []request.Request, fits func(request.Request) bool) []request.Request {
	return slices.DeleteFunc(slices.Clone(all), func(r request.Request) bool { return !fits(r) })
}

// table is a list with its title.
func table(title, none string, all []line, more bool) []slackapi.Block {
	blocks := []slackapi.Block{heading(title)}
	if len(all) == 0 {
		return append(blocks, rich(lines(line{words("%s", none)})))
	}
	const each = 10 // lines in a block, so that no block becomes too large
	for part := range slices.Chunk(all, each) {
		blocks = append(blocks, rich(lines(part...)))
	}
	if more {
		blocks = append(blocks, small("There are more. The command-line client and the API list "+
			"all of them."))
	}
	return blocks
}
