package api

import (
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

type flowsView struct {
	Flows []flowView `json:"flows"`
}

type flowView struct {
	Name    string              `json:"name"`
	Label   string              `json:"label,omitempty"`
	Groups  map[string][]string `json:"groups"`
	Targets []targetView        `json:"targets"`
}

// targetView is a target with its rules, or with the problem for which they cannot be used.
type targetView struct {
	Name            string     `json:"name"`
	Label           string     `json:"label,omitempty"`
	Type            string     `json:"type"`
	Role            string     `json:"role"`
	DefaultDuration int64      `json:"default_duration"` // seconds
	MaxDuration     int64      `json:"max_duration"`     // seconds
	Rules           *rulesView `json:"rules,omitempty"`
	Problem         string     `json:"problem,omitempty"`
}

type rulesView struct {
	Summary           string          `json:"summary"`
	Requesters        []string        `json:"requesters"`
	RequestWhen       string          `json:"request_when,omitempty"`
	Approvers         []string        `json:"approvers"`
	ApproveWhen       string          `json:"approve_when,omitempty"`
	Approvals         int             `json:"approvals"`
	AllowSelfApproval bool            `json:"allow_self_approval"`
	ApprovalTimeout   int64           `json:"approval_timeout"` // seconds
	BackupApprovers   []string        `json:"backup_approvers"`
	BackupAfter       int64           `json:"backup_after,omitempty"` // seconds
	ApproveAtOnce     []conditionView `json:"approve_at_once"`
	Deny              []conditionView `json:"deny"`
	BreakGlass        *breakGlassView `json:"break_glass,omitempty"`
}

type conditionView struct {
	Name    string `json:"name"`
	When    string `json:"when"`
	Message string `json:"message,omitempty"`
}

type breakGlassView struct {
	People      []string `json:"people"`
	When        string   `json:"when,omitempty"`
	MaxDuration int64    `json:"max_duration,omitempty"` // seconds
}

func viewFlows(flows []request.Flow) flowsView {
	view := flowsView{Flows: []flowView{}}
	for _, flow := range flows {
		f := flowView{
			Name: flow.Name, Label: flow.Label, Groups: map[string][]string{},
			Targets: []targetView{},
		}
		for name, members := range flow.Groups {
			f.Groups[name] = list(members)
		}
		for _, target := range flow.Targets {
			f.Targets = append(f.Targets, viewTarget(flow, target))
		}
		view.Flows = append(view.Flows, f)
	}
	return view
}

func viewTarget(flow request.Flow, target request.Target) targetView {
	view := targetView{
		Name:            target.Name,
		Label:           target.Label,
		Type:            target.Type,
		Role:            target.RoleName,
		DefaultDuration: seconds(target.DefaultDuration),
		MaxDuration:     seconds(target.MaxDuration),
	}
	switch set, problem := flow.Rules(target.Name), flow.Problems[target.Name]; {
	case set != nil:
		view.Rules = viewRules(set)
	case problem != nil:
		view.Problem = problem.Error()
	default:
		view.Problem = "The target has no rules."
	}
	return view
}

func viewRules(set *rules.Rules) *rulesView {
	d := set.Document()
	view := &rulesView{
		Summary:           set.Summary(),
		Requesters:        list(d.Requesters),
		RequestWhen:       d.RequestWhen,
		Approvers:         list(d.Approvers),
		ApproveWhen:       d.ApproveWhen,
		Approvals:         d.Approvals,
		AllowSelfApproval: d.AllowSelfApproval,
		ApprovalTimeout:   d.ApprovalTimeoutSeconds,
		BackupApprovers:   list(d.BackupApprovers),
		BackupAfter:       d.BackupAfterSeconds,
		ApproveAtOnce:     []conditionView{},
		Deny:              []conditionView{},
	}
	for _, c := range d.ApproveAtOnce {
		view.ApproveAtOnce = append(view.ApproveAtOnce, conditionView{Name: c.Name, When: c.When})
	}
	for _, c := range d.Deny {
		view.Deny = append(view.Deny, conditionView{Name: c.Name, When: c.When,
			Message: c.Message})
	}
	if b := d.BreakGlass; b != nil {
		view.BreakGlass = &breakGlassView{
			People: list(b.People), When: b.When, MaxDuration: b.MaxDurationSeconds,
		}
	}
	return view
}

// list is a list that is never null in JSON.
func list(items []string) []string { return append([]string{}, items...) }
