package api

import (
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// requestView is a request as people see it: without the tokens of its workflow, and without
// the ARNs behind it.
type requestView struct {
	ID          string        `json:"id"`
	Flow        string        `json:"flow"`
	Target      string        `json:"target"`
	TargetLabel string        `json:"target_label,omitempty"`
	Role        string        `json:"role"`
	Requester   string        `json:"requester"`
	Reason      string        `json:"reason"`
	Duration    int64         `json:"duration"` // seconds
	State       request.State `json:"state"`
	CreatedAt   string        `json:"created_at"`
	UpdatedAt   string        `json:"updated_at"`
	DecideBy    string        `json:"decide_by"`
	Decision    *actView      `json:"decision,omitempty"`
	GrantedAt   string        `json:"granted_at,omitempty"`
	ExpiresAt   string        `json:"expires_at,omitempty"`
	Revocation  *actView      `json:"revocation,omitempty"`
	DoneAt      string        `json:"done_at,omitempty"`
	Failure     string        `json:"failure,omitempty"`
}

type actView struct {
	Action string `json:"action"`
	By     string `json:"by"`
	At     string `json:"at"`
	Reason string `json:"reason,omitempty"`
	Rule   string `json:"rule"`
}

type recordView struct {
	Sequence int           `json:"sequence"`
	From     request.State `json:"from,omitempty"`
	To       request.State `json:"to"`
	actView
}

type storyView struct {
	requestView
	Audit []recordView `json:"audit"`
}

type pageView struct {
	Requests []requestView `json:"requests"`
	Next     string        `json:"next,omitempty"`
}

type flowsView struct {
	Flows []flowView `json:"flows"`
}

type flowView struct {
	Name              string       `json:"name"`
	Label             string       `json:"label,omitempty"`
	Approvers         []string     `json:"approvers"`
	AllowSelfApproval bool         `json:"allow_self_approval"`
	ApprovalTimeout   int64        `json:"approval_timeout"` // seconds
	Targets           []targetView `json:"targets"`
}

type targetView struct {
	Name            string `json:"name"`
	Label           string `json:"label,omitempty"`
	Type            string `json:"type"`
	Role            string `json:"role"`
	DefaultDuration int64  `json:"default_duration"` // seconds
	MaxDuration     int64  `json:"max_duration"`     // seconds
}

func viewRequest(r request.Request) requestView {
	return requestView{
		ID:          r.ID,
		Flow:        r.Flow,
		Target:      r.Target.Name,
		TargetLabel: r.Target.Label,
		Role:        r.Target.RoleName,
		Requester:   r.Requester,
		Reason:      r.Reason,
		Duration:    seconds(r.Duration),
		State:       r.State,
		CreatedAt:   stamp(r.CreatedAt),
		UpdatedAt:   stamp(r.UpdatedAt),
		DecideBy:    stamp(r.DecideBy()),
		Decision:    viewAct(r.Decision),
		GrantedAt:   stamp(r.GrantedAt),
		ExpiresAt:   stamp(r.ExpiresAt),
		Revocation:  viewAct(r.Revocation),
		DoneAt:      stamp(r.DoneAt),
		Failure:     r.Failure,
	}
}

func viewAct(act *request.Act) *actView {
	if act == nil {
		return nil
	}
	return &actView{
		Action: act.Action, By: act.By, At: stamp(act.At), Reason: act.Reason, Rule: act.Rule,
	}
}

func viewStory(story request.Story) storyView {
	view := storyView{requestView: viewRequest(story.Request), Audit: []recordView{}}
	for _, record := range story.Records {
		view.Audit = append(view.Audit, recordView{
			Sequence: record.Sequence, From: record.From, To: record.To,
			actView: *viewAct(&record.Act),
		})
	}
	return view
}

func viewPage(page request.Page) pageView {
	view := pageView{Requests: []requestView{}, Next: page.Next}
	for _, r := range page.Requests {
		view.Requests = append(view.Requests, viewRequest(r))
	}
	return view
}

func viewFlows(flows []request.Flow) flowsView {
	view := flowsView{Flows: []flowView{}}
	for _, flow := range flows {
		f := flowView{
			Name:              flow.Name,
			Label:             flow.Label,
			Approvers:         append([]string{}, flow.Approvers...),
			AllowSelfApproval: flow.AllowSelfApproval,
			ApprovalTimeout:   seconds(flow.ApprovalTimeout),
			Targets:           []targetView{},
		}
		for _, target := range flow.Targets {
			f.Targets = append(f.Targets, targetView{
				Name:            target.Name,
				Label:           target.Label,
				Type:            target.Type,
				Role:            target.RoleName,
				DefaultDuration: seconds(target.DefaultDuration),
				MaxDuration:     seconds(target.MaxDuration),
			})
		}
		view.Flows = append(view.Flows, f)
	}
	return view
}

// stamp is a time as RFC 3339 in UTC with milliseconds, and empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
