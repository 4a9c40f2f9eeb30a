// Package delivery brings every audit record to where else it belongs, once a request's table
// has it: a log group, a bucket, Slack, people who have to hear of it. What cannot be delivered
// now is delivered later, in its order, and never keeps access from ending.
package delivery

import (
	"context"

	"sym-postgres-quickstart/functions/internal/request"
)

// Item is a record on its way to a [Sink].
type Item struct {
	Request request.Request // as it is now, which may be later than the record
	Record  request.Record
	// Again says that it may have been delivered before: an earlier try did not come to its end.
	Again bool
}

// Sink is a place that records are delivered to, one after the other for each request. An item
// that it fails to take is delivered to it again, and the request's later ones wait for it. So
// it fails only where another try may succeed, and it takes the same item twice without harm.
type Sink interface {
	// Name is what the sink is called in the table. It never changes.
	Name() string
	Deliver(context.Context, Item) error
}
