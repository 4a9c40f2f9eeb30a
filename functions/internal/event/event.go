// Package event is the language that the Runtime and the Postgres function speak: the
// events of the original platform's schema, read leniently in its versions 4 to 6, and the
// answers to them. The Runtime builds its events from the same types, so that what one side
// writes the other reads.
package event

import "encoding/json"

// SchemaVersion is the version that the Runtime writes.
const SchemaVersion = 6

// The values of [Event.Type]. TypeEvent is the original platform's; the others are ours.
const (
	TypeEvent  = "event"
	TypeSweep  = "sweep"
	TypeStatus = "status"
	// TypeRetire takes back all that was granted, before the function is destroyed.
	TypeRetire = "retire"
)

// The values of [Spec.Type]. A check asks what an escalate would answer, and changes nothing.
const (
	Escalate   = "escalate"
	Deescalate = "deescalate"
	Check      = "check"
)

// Event is one message to the Postgres function. [Event.Type] says which: an event of a
// run, a sweep, a question for the status, or a retirement.
type Event struct {
	// ID is the UUID of this event. Two events of one run have different ones.
	ID     string `json:"id"`
	Meta   Meta   `json:"meta"`
	State  State  `json:"state"`
	Run    Run    `json:"run"`
	Event  Spec   `json:"event"`
	Actor  Actor  `json:"actor"`
	Fields Fields `json:"fields"`
	Type   string `json:"type"`
	// Terraform is what aws_lambda_invocation adds to a retirement.
	Terraform Terraform `json:"tf,omitzero"`
}

// Terraform says what happens to the resource that invokes the function.
type Terraform struct {
	Action string `json:"action"` // create, update or delete
}

// Deletes tells whether the resource is being destroyed.
func (t Terraform) Deletes() bool { return t.Action == "delete" }

// Meta tells the version of the schema.
type Meta struct {
	SchemaVersion int `json:"schema_version"`
}

// State is how far the platform that sends the event has come with it.
type State struct {
	Status string `json:"status"`
	Errors Errors `json:"errors"`
}

// Errors are sentences. A nil slice is written as an empty list, never as null.
type Errors []string

// MarshalJSON writes a list, also where there is none.
func (e Errors) MarshalJSON() ([]byte, error) {
	if e == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(e))
}

// Run is the request that an event belongs to.
type Run struct {
	// SRN is the same for the escalate and the deescalate of one run: the key of the ledger.
	SRN    string `json:"srn"`
	Parent string `json:"parent"`
	// Flow is the SRN of the flow, such as "acme:flow:postgres:1.0.0".
	Flow   string `json:"flow"`
	Actors Actors `json:"actors"`
}

// Actors are the people of a run, by what they did in it.
type Actors struct {
	Prompt     *Actor `json:"prompt,omitempty"`
	Request    *Actor `json:"request,omitempty"`
	Approve    *Actor `json:"approve,omitempty"`
	Deescalate *Actor `json:"deescalate,omitempty"`
}

// Actor is one person.
type Actor struct {
	User string `json:"user"`
	Name string `json:"name"`
	// Username is the person's e-mail address.
	Username string   `json:"username"`
	Identity Identity `json:"identity"`
}

// Identity is how a service knows a person: by UserID (Slack) or by Email (an API).
type Identity struct {
	Service    string `json:"service"`
	ExternalID string `json:"external_id"`
	UserID     string `json:"user_id,omitempty"`
	Email      string `json:"email,omitempty"`
}

// Spec is what happened.
type Spec struct {
	SRN      string `json:"srn"`
	Type     string `json:"type"`
	Template string `json:"template"`
	// Timestamp is in ISO 8601; the original leaves out the zone and means UTC.
	Timestamp string `json:"timestamp"`
	Channel   string `json:"channel"`
}

// Fields are what the requester filled in, and the target that it resolved to.
type Fields struct {
	TargetID string `json:"target_id"`
	Target   Target `json:"target"`
	Reason   string `json:"reason,omitempty"`
	// Duration is in seconds; nil where the event has none.
	Duration       *int64 `json:"duration,omitempty"`
	DeescalateType string `json:"deescalate_type,omitempty"`
}

// Target is what access is asked to.
type Target struct {
	Name     string   `json:"name"`
	SRN      string   `json:"srn"`
	Type     string   `json:"type"`
	Label    string   `json:"label"`
	Settings Settings `json:"settings"`
}

// Settings say which function serves a target and which role it stands for.
type Settings struct {
	ARN string `json:"arn"`
	// RoleName is the database role. The original platform does not send it; see [Event.Role].
	RoleName string `json:"role_name,omitempty"`
}
