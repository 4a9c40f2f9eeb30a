package request

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"
)

// Store keeps requests and their audit records.
type Store interface {
	Failures

	// Create writes a new request with its records: one change, or several that follow each
	// other, of which the last one is the request. All or nothing; [ErrConflict] if there is a
	// request with that id.
	Create(context.Context, ...Change) error

	// Get reads a request as it is now, with the tokens of its workflow; [ErrNotFound] if
	// there is none.
	Get(ctx context.Context, id string) (Request, error)

	// Apply writes a transition and its record, both or neither; [ErrConflict] if the request
	// is not any more what the change was made from. It never touches the tokens.
	Apply(context.Context, Change) error

	// Records reads the audit records of a request, oldest first.
	Records(ctx context.Context, id string) ([]Record, error)

	// List reads requests, newest first.
	List(context.Context, Query) (Page, error)

	// Holds tells whether a person has a target, or is about to: by a request that is approved or
	// active. A change of a moment ago may not show yet.
	Holds(ctx context.Context, person, flow, target string) (bool, error)

	// Open reads open requests, and those whose review is due, by their deadline. They may have
	// changed a moment ago.
	Open(ctx context.Context, limit int) ([]Request, error)
}

// Query says which requests to list: those that fit everything that is given.
type Query struct {
	State     State
	Flow      string
	Target    string
	Requester string    // an e-mail address, see [Email]
	HeldAt    time.Time // whose role was granted at that moment, see [Request.HeldAt]
	Review    bool      // broken glass that nobody has reviewed
	Limit     int       // at most so many
	Next      string    // from the page before, empty for the first
}

// Filters tells whether the query leaves anything out.
func (q Query) Filters() bool {
	return q.State != "" || q.Flow != "" || q.Target != "" || q.Requester != "" ||
		!q.HeldAt.IsZero() || q.Review
}

// Fits tells whether a request is one of those that the query asks for.
func (q Query) Fits(r Request) bool {
	return (q.State == "" || q.State == r.State) &&
		(q.Flow == "" || q.Flow == r.Flow) &&
		(q.Target == "" || q.Target == r.Target.Name) &&
		(q.Requester == "" || q.Requester == r.Requester) &&
		(q.HeldAt.IsZero() || r.HeldAt(q.HeldAt)) &&
		(!q.Review || !r.ReviewDue.IsZero())
}

// Page is a part of a list.
type Page struct {
	Requests []Request
	Next     string // empty on the last page
}

// ErrInvalidNext says that [Query.Next] did not come from a page.
var ErrInvalidNext = errors.New("invalid page token")

// Flows reads the flows' configuration.
type Flows interface {
	Flows(context.Context) ([]Flow, error)
}

// Workflows starts the state machine's executions and answers what they wait for.
type Workflows interface {
	// Start makes sure that the request's workflow runs: it starts it, or does nothing if it
	// runs already. [ErrWorkflowEnded] if it ran once and has ended.
	Start(context.Context, Request) error

	// Signal answers the wait that a token stands for with the request's state.
	// [ErrNotWaiting] if that wait is over.
	Signal(ctx context.Context, token string, state State) error

	// Execution tells what has become of the request's workflow.
	Execution(context.Context, Request) (Execution, error)
}

// Execution is what has become of a request's workflow.
type Execution string

// The answers of [Workflows.Execution]. A workflow that was started a moment ago may still be
// Missing.
const (
	Running Execution = "running"
	Ended   Execution = "ended" // by itself, or somebody stopped it
	Missing Execution = "missing"
)

// Service is what people can do with requests. Who they are has been established before;
// their e-mail addresses are in the form of [Email].
type Service struct {
	Store     Store
	Flows     Flows
	Workflows Workflows
	Now       func() time.Time
	NewID     func() string
	Log       *slog.Logger

	// Previewer asks the target's function whether it would grant a request. If it is nil, a
	// request that cannot be granted fails only after its approval.
	Previewer Previewer

	// Report tells a human of what needs one. Nil is nobody: it is logged then.
	Report func(context.Context, Trouble)
}

// Trouble is something that needs a human: what failed, for whom, and what to do.
type Trouble struct {
	What, Whom, Do string
	RequestID      string // empty where it is about none
}

func (s *Service) report(ctx context.Context, t Trouble) {
	s.Log.ErrorContext(ctx, "this needs a human", "what", t.What, "whom", t.Whom, "do", t.Do,
		"request_id", t.RequestID)
	if s.Report != nil {
		s.Report(ctx, t)
	}
}

// now is the time as it is stored: in UTC, to the millisecond.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// flow reads one flow's configuration.
func (s *Service) flow(ctx context.Context, name string) (Flow, error) {
	flows, err := s.Flows.Flows(ctx)
	if err != nil {
		return Flow{}, err
	}
	return findFlow(flows, name)
}

// flowOf reads the configuration that says who may decide about a request. Where the flow has
// been removed nobody can approve any more; saying no and ending stay possible.
func (s *Service) flowOf(ctx context.Context, r Request) (Flow, error) {
	flow, err := s.flow(ctx, r.Flow)
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Code == UnknownFlow {
		return Flow{Name: r.Flow}, nil
	}
	return flow, err
}

// looksLikeID keeps from the store what it would take for a fault instead of an id.
var looksLikeID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// get reads a request for a person.
func (s *Service) get(ctx context.Context, id string) (Request, error) {
	r, err := Request{}, ErrNotFound
	if looksLikeID.MatchString(id) {
		r, err = s.Store.Get(ctx, id)
	}
	if errors.Is(err, ErrNotFound) {
		return Request{}, fail(NotFound, "There is no request %s. Look at the list of requests "+
			"for its id, and give it whole.", quote(id))
	}
	return r, err
}

// races is how often something is tried again after somebody else has changed the request.
const races = 5

var errRaces = errors.New("the request kept changing")

// persist has something done to a request as it is now, and once more if somebody else has written
// a record in between: it fails with [ErrConflict] then.
func (s *Service) persist(
	ctx context.Context, id string, do func(Request) (Request, error),
) (Request, error) {
	for range races {
		r, err := s.get(ctx, id)
		if err != nil {
			return Request{}, err
		}
		if r, err = do(r); !errors.Is(err, ErrConflict) {
			return r, err
		}
	}
	return Request{}, errRaces
}
