package api

import (
	"strings"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// requestView is a request as people see it: without the tokens of its workflow, and without
// the ARNs behind it.
type requestView struct {
	ID              string        `json:"id"`
	Flow            string        `json:"flow"`
	Target          string        `json:"target"`
	TargetLabel     string        `json:"target_label,omitempty"`
	Role            string        `json:"role"`
	Requester       string        `json:"requester"`
	Reason          string        `json:"reason"`
	Duration        int64         `json:"duration"` // seconds
	Extends         string        `json:"extends,omitempty"`
	BreakGlass      bool          `json:"break_glass"`
	Terms           string        `json:"terms,omitempty"`
	State           request.State `json:"state"`
	CreatedAt       string        `json:"created_at"`
	UpdatedAt       string        `json:"updated_at"`
	DecideBy        string        `json:"decide_by"`
	BackupFrom      string        `json:"backup_from,omitempty"`
	ApprovalsNeeded int           `json:"approvals_needed"`
	Approvals       []actView     `json:"approvals"`
	Decision        *actView      `json:"decision,omitempty"`
	GrantedAt       string        `json:"granted_at,omitempty"`
	ExpiresAt       string        `json:"expires_at,omitempty"`
	DatabaseUser    string        `json:"database_user,omitempty"`
	Connect         string        `json:"connect,omitempty"`
	Revocation      *actView      `json:"revocation,omitempty"`
	DoneAt          string        `json:"done_at,omitempty"`
	Failure         string        `json:"failure,omitempty"`
	Stuck           *stuckView    `json:"stuck,omitempty"`
	NeedsSetRole    bool          `json:"needs_set_role,omitempty"`
	CouldLeave      []string      `json:"could_leave,omitempty"`
	LeftBehind      []leftView    `json:"left_behind,omitempty"`
	LeftBehindMore  int           `json:"left_behind_more,omitempty"`
	NotLookedFor    string        `json:"not_looked_for,omitempty"`
	ReviewDue       string        `json:"review_due,omitempty"`
	Review          *actView      `json:"review,omitempty"`
}

type actView struct {
	Action  string `json:"action"`
	By      string `json:"by"`
	At      string `json:"at"`
	Reason  string `json:"reason,omitempty"`
	Rule    string `json:"rule"`
	Because string `json:"because,omitempty"`
}

// stuckView is why the last try to grant the role, or to take it away, has failed.
type stuckView struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
	At     string `json:"at"`
}

type leftView struct {
	Kind      string `json:"kind"`
	What      string `json:"what"`
	TakenBack bool   `json:"taken_back"`
}

// meView is a person as the Runtime knows them, and the principal that they signed with.
type meView struct {
	Email  string `json:"email"`
	Caller string `json:"caller"`
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

func viewRequest(r request.Request) requestView {
	var left []leftView
	for _, item := range r.LeftBehind {
		left = append(left, leftView(item))
	}
	return requestView{
		ID:              r.ID,
		Flow:            r.Flow,
		Target:          r.Target.Name,
		TargetLabel:     r.Target.Label,
		Role:            r.Target.RoleName,
		Requester:       r.Requester,
		Reason:          r.Reason,
		Duration:        seconds(r.Duration),
		Extends:         r.Extends,
		BreakGlass:      r.BreakGlass,
		Terms:           r.Terms,
		State:           r.State,
		CreatedAt:       stamp(r.CreatedAt),
		UpdatedAt:       stamp(r.UpdatedAt),
		DecideBy:        stamp(r.DecideBy()),
		BackupFrom:      stamp(r.BackupFrom()),
		ApprovalsNeeded: r.ApprovalsNeeded,
		Approvals:       viewActs(r.Approvals),
		Decision:        viewAct(r.Decision),
		GrantedAt:       stamp(r.GrantedAt),
		ExpiresAt:       stamp(r.ExpiresAt),
		DatabaseUser:    r.DatabaseUser,
		Connect:         connect(r),
		Revocation:      viewAct(r.Revocation),
		DoneAt:          stamp(r.DoneAt),
		Failure:         r.Failure,
		Stuck:           viewStuck(r.Stuck),
		NeedsSetRole:    r.NeedsSetRole,
		CouldLeave:      r.CouldLeave,
		LeftBehind:      left,
		LeftBehindMore:  r.LeftBehindMore,
		NotLookedFor:    r.NotLookedFor,
		ReviewDue:       stamp(r.ReviewDue),
		Review:          viewAct(r.Review),
	}
}

// connect is libpq's connection string for what was granted, as long as it is.
func connect(r request.Request) string {
	if r.State != request.Active || r.Target.Connect == "" {
		return ""
	}
	if r.DatabaseUser == "" {
		return r.Target.Connect
	}
	// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(r.DatabaseUser)
	if strings.ContainsAny(quoted, ` '\`) {
		quoted = "'" + quoted + "'"
	}
	return r.Target.Connect + " user=" + quoted
}

func viewAct(act *request.Act) *actView {
	if act == nil {
		return nil
	}
	return &actView{
		Action: act.Action, By: act.By, At: stamp(act.At), Reason: act.Reason, Rule: act.Rule,
		Because: act.Because,
	}
}

func viewStuck(f *request.Failure) *stuckView {
	if f == nil {
		return nil
	}
	return &stuckView{Step: f.Step, Reason: f.Reason, At: stamp(f.At)}
}

func viewActs(acts []request.Act) []actView {
	views := []actView{}
	for _, act := range acts {
		views = append(views, *viewAct(&act))
	}
	return views
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

// stamp is a time as RFC 3339 in UTC with milliseconds, and empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
