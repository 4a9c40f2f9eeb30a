package client

import (
	"encoding/json"
	"errors"
	"regexp"
	"time"
)

// State is how far a request has come.
type State string

// The states of a request.
const (
	Requested State = "requested"
	Approved  State = "approved"
	Denied    State = "denied"
	Expired   State = "expired"
	Active    State = "active"
	Failed    State = "failed"
	Revoking  State = "revoking"
	Done      State = "done"
)

// Ended tells whether no access is left, and none will come.
func (s State) Ended() bool {
	return s == Denied || s == Expired || s == Failed || s == Done
}

// Request is a request as the API shows it. Times that have not come are zero.
type Request struct {
	ID              string    `json:"id"`
	Flow            string    `json:"flow"`
	Target          string    `json:"target"`
	TargetLabel     string    `json:"target_label"`
	Role            string    `json:"role"`
	Requester       string    `json:"requester"`
	Reason          string    `json:"reason"`
	Duration        int64     `json:"duration"` // seconds
	Extends         string    `json:"extends"`
	BreakGlass      bool      `json:"break_glass"`
	Terms           string    `json:"terms"`
	State           State     `json:"state"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	DecideBy        time.Time `json:"decide_by"`
	BackupFrom      time.Time `json:"backup_from"`
	Approvals       []Act     `json:"approvals"`
	ApprovalsNeeded int       `json:"approvals_needed"`
	Decision        *Act      `json:"decision"`
	GrantedAt       time.Time `json:"granted_at"`
	ExpiresAt       time.Time `json:"expires_at"`
	DatabaseUser    string    `json:"database_user"`
	Connect         string    `json:"connect"`
	Revocation      *Act      `json:"revocation"`
	DoneAt          time.Time `json:"done_at"`
	Failure         string    `json:"failure"`
	Stuck           *Stuck    `json:"stuck"`
	NeedsSetRole    bool      `json:"needs_set_role"`
	CouldLeave      []string  `json:"could_leave"`
	LeftBehind      []Left    `json:"left_behind"`
	LeftBehindMore  int       `json:"left_behind_more"`
	NotLookedFor    string    `json:"not_looked_for"`
	ReviewDue       time.Time `json:"review_due"`
	Review          *Act      `json:"review"`
	Audit           []Record  `json:"audit"` // of a single request only

	// Raw is the request as it was sent.
	Raw json.RawMessage `json:"-"`
}

// Stuck is why the last try to grant the role, or to take it away, has failed.
type Stuck struct {
	Step   string    `json:"step"` // escalate or deescalate
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Left is one thing that was made or given while a role was held, and outlived it.
type Left struct {
	Kind      string `json:"kind"`
	What      string `json:"what"`
	TakenBack bool   `json:"taken_back"`
}

// Withdrawn tells whether the request was ended before it was known to be granted.
func (r Request) Withdrawn() bool { return r.Revocation != nil && r.GrantedAt.IsZero() }

// What ids and states look like. They are shown, and ids are put into commands to be copied.
var (
	id    = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	state = regexp.MustCompile(`^[a-z_]{1,32}$`)
)

// IsID tells whether a text can be the id of a request.
func IsID(text string) bool { return id.MatchString(text) }

// UnmarshalJSON keeps the JSON beside what is read from it. What is not a request is an error.
func (r *Request) UnmarshalJSON(data []byte) error {
	type plain Request
	if err := json.Unmarshal(data, (*plain)(r)); err != nil {
		return err
	}
	if !IsID(r.ID) || !state.MatchString(string(r.State)) || r.Extends != "" && !IsID(r.Extends) {
		return errors.New("this is not a request")
	}
	r.Raw = append(json.RawMessage(nil), data...)
	return nil
}

// Act is what somebody did to a request.
type Act struct {
	Action  string    `json:"action"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
	Rule    string    `json:"rule"`
	Because string    `json:"because"`
}

// ByRules is who did what the rules did by themselves.
const ByRules = "rules"

// Record is the audit record of one act.
type Record struct {
	Sequence int   `json:"sequence"`
	From     State `json:"from"`
	To       State `json:"to"`
	Act
}

// Page is a part of a list.
type Page struct {
	Requests []Request `json:"requests"`
	Next     string    `json:"next"`
}

// Me is who the API takes the caller for.
type Me struct {
	Email  string `json:"email"`
	Caller string `json:"caller"` // the ARN that has signed

	// Raw is what was sent.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the JSON beside what is read from it.
func (m *Me) UnmarshalJSON(data []byte) error {
	type plain Me
	err := json.Unmarshal(data, (*plain)(m))
	m.Raw = append(json.RawMessage(nil), data...)
	return err
}

// Flows is what can be asked for.
type Flows struct {
	Flows []Flow `json:"flows"`

	// Raw is what was sent.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the JSON beside what is read from it.
func (f *Flows) UnmarshalJSON(data []byte) error {
	type plain Flows
	err := json.Unmarshal(data, (*plain)(f))
	f.Raw = append(json.RawMessage(nil), data...)
	return err
}

// Flow is what can be asked for in one place.
type Flow struct {
	Name    string   `json:"name"`
	Label   string   `json:"label"`
	Targets []Target `json:"targets"`
}

// Target is one role that a flow gives access to.
type Target struct {
	Name            string `json:"name"`
	Label           string `json:"label"`
	Role            string `json:"role"`
	DefaultDuration int64  `json:"default_duration"` // seconds
	MaxDuration     int64  `json:"max_duration"`     // seconds
	Rules           *Rules `json:"rules"`            // nil where they cannot be used
	Problem         string `json:"problem"`          // why not
}

// Rules is what a person wants to know of a target's rules.
type Rules struct {
	Summary string `json:"summary"`
}
