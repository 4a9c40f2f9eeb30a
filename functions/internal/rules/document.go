// Package rules decides who may ask for access, who may approve it, and what needs no
// approval, by rules that are written in Terraform. Their conditions are CEL, the Common
// Expression Language (https://cel.dev).
//
// Nothing fails open: rules that do not compile cannot be used at all, and a condition that
// cannot be evaluated counts as matched where it denies and as not matched everywhere else.
package rules

import (
	"bytes"
	"encoding/json"
)

// Document is a target's rules, complete, as Terraform writes them.
type Document struct {
	// Requesters may ask; e-mail addresses. Without any, everybody who is known may.
	Requesters []string `json:"requesters"`
	// RequestWhen is a condition that a request has to meet to be taken at all.
	RequestWhen string `json:"request_when"`
	// Approvers may approve; e-mail addresses. Only with AllowSelfApproval can there be none:
	// then those who ask approve for themselves.
	Approvers []string `json:"approvers"`
	// ApproveWhen is a condition on whoever approves, beside being on a list.
	ApproveWhen string `json:"approve_when"`
	// Approvals is how many different people have to approve.
	Approvals int `json:"approvals"`
	// AllowSelfApproval says whether one's own approval counts.
	AllowSelfApproval bool `json:"allow_self_approval"`
	// ApprovalTimeoutSeconds is how long a request waits to be decided.
	ApprovalTimeoutSeconds int64 `json:"approval_timeout_seconds"`
	// BackupApprovers may approve too once BackupAfterSeconds have passed; e-mail addresses.
	BackupApprovers    []string `json:"backup_approvers"`
	BackupAfterSeconds int64    `json:"backup_after_seconds"`
	// ApproveAtOnce lists what needs no approval.
	ApproveAtOnce []Condition `json:"approve_at_once"`
	// Deny has what is denied outright, whoever would approve it.
	Deny []Denial `json:"deny"`
	// BreakGlass says who may approve their own request in an emergency. Without it nobody may.
	BreakGlass *BreakGlass `json:"break_glass"`
}

// Condition is a condition with a name by which people know it.
type Condition struct {
	Name string `json:"name"`
	When string `json:"when"`
}

// Denial is a condition under which a request is denied, and what its requester is told.
type Denial struct {
	Name    string `json:"name"`
	When    string `json:"when"`
	Message string `json:"message"`
}

// BreakGlass is what may be granted at once in an emergency, to be reviewed afterwards.
type BreakGlass struct {
	// People may break the glass; e-mail addresses, at least one.
	People []string `json:"people"`
	// When is a further condition. Without it the list is enough.
	When string `json:"when"`
	// MaxDurationSeconds is the longest that such access lasts. With 0 it is the target's own.
	MaxDurationSeconds int64 `json:"max_duration_seconds"`
}

// UnmarshalJSON refuses fields that it does not know. They are rules of a newer Terraform, and a
// rule that is passed over could be the one that denies.
func (d *Document) UnmarshalJSON(text []byte) error {
	type plain Document // without this method
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode((*plain)(d))
}
