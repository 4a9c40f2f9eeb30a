package workflow

import (
	"fmt"
	"strings"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// mostLeft is how many leftovers are kept with a request, mostTold how many of them a record
	// names.
	mostLeft = 10
	mostTold = 3
)

// keepLeft records in a request what the holder of its role left behind.
func keepLeft(r *request.Request, body event.Deescalated) {
	r.LeftBehind, r.LeftBehindMore = nil, max(0, body.LeftBehindMore)
	for i, item := range body.LeftBehind {
		if i == mostLeft {
			r.LeftBehindMore += len(body.LeftBehind) - mostLeft
			break
		}
		r.LeftBehind = append(r.LeftBehind, request.Leftover{
			Kind: cut(item.Kind), What: cut(item.What), TakenBack: item.TakenBack,
		})
	}
	r.NotLookedFor = cut(body.NotLookedFor)
}

// describeLeft describes the same in sentences; empty if nothing was left behind.
func describeLeft(body event.Deescalated) string {
	var r request.Request
	keepLeft(&r, body)
	text := ""
	if first, more := r.Left(mostTold); len(first) > 0 {
		text = " Left behind: " + strings.Join(first, "; ")
		if more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		text += "."
	}
	if r.NotLookedFor != "" {
		text += " It is not known whether anything was left behind: " + r.NotLookedFor
	}
	return text
}
