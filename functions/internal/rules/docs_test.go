package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
)

const manual = "../../../docs/rules.md"

// In the manual the first block of Terraform is what all examples have. Each other one is a
// configuration of its own, and the table behind it tells what it lets happen.
var (
	common  = regexp.MustCompile("(?s)```hcl rules\n(.*?)```")
	example = regexp.MustCompile("(?s)```hcl rules=([a-z-]+)\n(.*?)```(.*?)\n##")
	refused = regexp.MustCompile("(?s)```hcl rules-refused\n(.*?)```.*?```text\n(.*?)\n```")
	row     = regexp.MustCompile(`(?m)^\|( \d{4}-.*)\|$`)
	idioms  = regexp.MustCompile(`(?s)\| To say \| write \|\n(.*?)\n\n`)
	record  = regexp.MustCompile("(?s)```json\n(.*?)```")
)

// TestManual plans every example of the manual in one configuration, has the real check judge
// its rules, and plays each of its tables through.
func TestManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	require.NoError(t, err)
	shared := common.FindStringSubmatch(string(text))
	require.NotNil(t, shared)
	examples := example.FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(examples), 8)
	require.Equal(t, strings.Count(string(text), "```hcl rules="), len(examples))

	runtime := newRuntime(t)
	terraform := newTerraform(t, runtime)
	var configuration strings.Builder
	for _, e := range examples {
		configuration.WriteString(module(e[1], shared[1]+e[2]))
		fmt.Fprintf(&configuration, "output %q {\n"+
			"  value = { rules = module.%[1]s.rules, targets = module.%[1]s.targets }\n}\n", e[1])
	}
	terraform.write("examples.tf", configuration.String())
	planned := terraform.plan()

	for _, e := range examples {
		t.Run(e[1], func(t *testing.T) {
			s := newStage(t, planned[e[1]], runtime.draft(e[1]))
			rows := row.FindAllStringSubmatch(e[3], -1)
			require.NotEmpty(t, rows, "an example is played through")
			for _, r := range rows {
				s.play(t, strings.Split(r[1], "|"))
			}
		})
	}

	t.Run("a decision", func(t *testing.T) {
		first := examples[0]
		s := newStage(t, planned[first[1]], runtime.draft(first[1]))
		s.play(t, strings.Split(row.FindStringSubmatch(first[3])[1], "|"))
		s.requireShown(t, string(text))
	})
}

// requireShown asserts that the manual shows the last record as people see it.
func (s *stage) requireShown(t *testing.T, manual string) {
	t.Helper()
	r, err := s.store.Get(t.Context(), s.last)
	require.NoError(t, err)
	records, err := s.store.Records(t.Context(), s.last)
	require.NoError(t, err)
	last := records[len(records)-1]
	flat := oneLine(strings.ReplaceAll(manual, "\n> ", " "))
	assert.Contains(t, flat, "by the rule `"+last.Rule+"` ("+last.Because+")", "in Slack")
	assert.Contains(t, flat, "approved "+last.Rule+" because "+last.Because, "in a terminal")

	var audited struct {
		At                                  time.Time
		By, Action, From, To, Rule, Because string

		Request struct{ Requester, Target, Role, Reason, Terms string }
	}
	require.NoError(t, json.Unmarshal([]byte(record.FindStringSubmatch(manual)[1]), &audited))
	assert.True(t, last.At.Equal(audited.At))
	assert.Equal(t,
		[]string{last.By, last.Action, string(last.From), string(last.To), last.Rule, last.Because},
		[]string{audited.By, audited.Action, audited.From, audited.To, audited.Rule, audited.Because})
	assert.Equal(t, []string{r.Requester, r.Target.Name, r.Target.RoleName, r.Reason, r.Terms},
		[]string{audited.Request.Requester, audited.Request.Target, audited.Request.Role,
			audited.Request.Reason, audited.Request.Terms})
}

// TestIdioms compiles what the manual says how to write.
func TestIdioms(t *testing.T) {
	text, err := os.ReadFile(manual)
	require.NoError(t, err)
	table := idioms.FindStringSubmatch(string(text))
	require.NotNil(t, table)
	rows := strings.Split(table[1], "\n")[1:]
	require.NotEmpty(t, rows)
	for _, line := range rows {
		when := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")[2]
		when = strings.Trim(strings.ReplaceAll(when, "\x00", "|"), " `")
		compile(t, func(d *rules.Document) { d.ApproveWhen = when })
	}
}

// TestRefusals plans what cannot be used, and reads the sentences.
func TestRefusals(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	require.NoError(t, err)
	shared := common.FindStringSubmatch(string(text))
	require.NotNil(t, shared)
	shown := refused.FindStringSubmatch(string(text))
	require.NotNil(t, shown, "the manual shows what is wrong and what is said of it")
	// What Terraform refuses before it plans anything, and what it refuses in the plan.
	tests := []struct {
		early           bool
		rules, sentence string
	}{
		{false, shown[1], shown[2]},
		{
			true,
			`rules = { "*" = { denny = [], approvers = ["ann@example.com"] } }`,
			"The rules have no field denny. Their fields are allow_self_approval, ",
		},
		{
			false,
			`rules = { readwrites = {} }`,
			"The rules name readwrites, and no target has such a role_name.",
		},
		{
			false,
			`rules = { "*" = { approvers = ["group:lead"] } }
			groups = { leads = ["ann@example.com"], oncall = [] }`,
			"The rules name a group that there is not. The groups are:\nleads, oncall.",
		},
		{
			true,
			`rules = { "*" = { requesters = [] } }`,
			"requesters are never an empty list",
		},
		{
			true,
			`rules = { "*" = { approvals = 1.5 } }`,
			"approvals is a whole number from 1",
		},
		{
			true,
			`rules = { "*" = { approvers = ["\u0430nn@example.com"] } }`,
			"no letter that only looks like one",
		},
		{
			true,
			`rules = { "*" = { approve_at_once = [{ name = "a" }] } }`,
			"approve_at_once is a list of { name, when }",
		},
		{
			false,
			`rules = { readwrite = { approvers = [] } }`,
			"postgres-readwrite, approvers: Nobody could approve a request: name someone in " +
				"flow_vars.approvers or in the rules, or set allow_self_approval = true if people " +
				"shall approve their own.",
		},
		{
			false,
			`rules = { readwrite = { approvals = 3 } }`,
			"postgres-readwrite, approvals: More approvals are needed than there are approvers and " +
				"back-up approvers.",
		},
		{
			false,
			`rules = { readwrite = { requesters = ["group:new"] } }
			groups = { new = [] }`,
			"postgres-readwrite, requesters: The groups that are named have no members.",
		},
		{
			false,
			`rules = { readwrite = { deny = [for n in range(60) : {
				name = "n${n}", when = join("", [for m in range(20) : "123456789 "])
			}] } }`,
			"These are larger than the 8 KB that a parameter can have:\nthe target postgres-readwrite.",
		},
	}
	terraform := newTerraform(t, newRuntime(t))
	for _, early := range []bool{true, false} {
		var configuration strings.Builder
		for i, test := range tests {
			if test.early == early {
				configuration.WriteString(module(fmt.Sprintf("refused-%d", i), shared[1]+test.rules+"\n"))
			}
		}
		terraform.write("refused.tf", configuration.String())
		said := terraform.refused()
		for _, test := range tests {
			if test.early == early {
				assert.Contains(t, said, oneLine(test.sentence), test.rules)
			}
		}
	}
}

// TestCheckIsPutOff plans with a function whose code is about to change: it is asked in the apply.
// What Terraform sees by itself is refused all the same.
func TestCheckIsPutOff(t *testing.T) {
	t.Parallel()
	runtime := newRuntime(t)
	terraform := newTerraform(t, runtime)
	write := func(rules string) {
		text := module("flow", `targets = [{ role_name = "readonly" }]
			rules = { readonly = { `+rules+` } }
		`)
		terraform.write("main.tf", "resource \"terraform_data\" \"code\" {}\n"+
			strings.Replace(text, `"1"`, "terraform_data.code.id", 1))
	}
	write(`approvers = ["ann@example.com"], request_when = "nonsense"`)
	terraform.plan()
	assert.Empty(t, runtime.draft("flow").Flow, "the function of before is not asked")

	write("approvers = []")
	assert.Contains(t, terraform.refused(), "Nobody could approve a request")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// module is the flow's module with settings as the manual shows them, which are those of an
// environment.
func module(name, settings string) string {
	settings = strings.ReplaceAll(settings, "pg_targets", "targets")
	return fmt.Sprintf(`
module %q {
  source       = "./modules/postgres-flow"
  function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:postgres"
  runtime = {
    check_alias        = "check"
    code_version       = "1"
    connector_account_ids = ["111122223333"]
    connector_role_arn = "arn:aws:iam::111122223333:role/sym/SymRuntimeMain"
    error_topic_arn    = "arn:aws:sns:eu-west-1:111122223333:errors"
    flows_path         = "/sym/main/flows"
    function_arn       = "arn:aws:lambda:eu-west-1:111122223333:function:runtime"
    function_name      = %q
    runtime_name       = "main"
  }
%s}
`, name, name, settings)
}

// stage is where an example is played: the Runtime's service with the rules that were planned.
type stage struct {
	service *request.Service
	store   *requesttest.Memory
	now     time.Time
	last    string // the id of the request that was asked for last
}

// plannedFlow is what the module says of a flow.
type plannedFlow struct {
	Rules   map[string]rules.Document `json:"rules"`
	Targets map[string]struct {
		DefaultDuration int64  `json:"default_duration"`
		MaxDuration     int64  `json:"max_duration"`
		RoleName        string `json:"role_name"`
	} `json:"targets"`
}

func newStage(t *testing.T, planned plannedFlow, draft rules.Draft) *stage {
	t.Helper()
	flow := request.Flow{
		Name: draft.Flow, Groups: draft.Groups, TargetRules: map[string]*rules.Rules{},
	}
	for name, target := range planned.Targets {
		set, err := rules.Compile(planned.Rules[name])
		require.NoError(t, err)
		flow.TargetRules[name] = set
		flow.Targets = append(flow.Targets, request.Target{
			Name: name, RoleName: target.RoleName,
			DefaultDuration: time.Duration(target.DefaultDuration) * time.Second,
			MaxDuration:     time.Duration(target.MaxDuration) * time.Second,
		})
	}
	s := &stage{store: requesttest.NewMemory()}
	ids := 0
	s.service = &request.Service{
		Store: s.store, Flows: requesttest.Flows{flow}, Workflows: requesttest.NewWorkflows(),
		Now: func() time.Time { return s.now },
		NewID: func() string {
			ids++
			s.last = fmt.Sprintf("request-%d", ids)
			return s.last
		},
		Log: slog.New(slog.DiscardHandler),
	}
	return s
}

var (
	asking    = regexp.MustCompile("^(asks|breaks the glass) for ([a-z]+), ([0-9a-z]+)(?:: (.*))?$")
	extending = regexp.MustCompile("^extends it by ([0-9a-z]+)$")
)

// play does what a row says, and asserts that it comes out as the row says.
func (s *stage) play(t *testing.T, cells []string) {
	t.Helper()
	require.Len(t, cells, 5, "%q", cells)
	for i := range cells {
		cells[i] = strings.Trim(cells[i], " `")
	}
	at, err := time.Parse("2006-01-02 15:04", cells[0])
	require.NoError(t, err)
	s.now = at
	person, what := cells[1]+"@example.com", cells[2]

	id := s.last
	var r request.Request
	switch ask, extend := asking.FindStringSubmatch(what), extending.FindStringSubmatch(what); {
	case ask != nil:
		duration, err := time.ParseDuration(ask[3])
		require.NoError(t, err)
		reason := ask[4]
		if reason == "" {
			reason = "To see why order 3 fails"
		}
		r, err = s.service.Submit(t.Context(), person, request.Submission{
			Flow: "postgres", Target: ask[2], Reason: reason, Duration: &duration,
			BreakGlass: ask[1] != "asks",
		})
		s.requireOutcome(t, cells, r, err)
	case extend != nil:
		s.grant(t, id)
		duration, err := time.ParseDuration(extend[1])
		require.NoError(t, err)
		r, err = s.service.Extend(t.Context(), person, id, request.Extension{Duration: &duration})
		s.requireOutcome(t, cells, r, err)
		if err != nil {
			s.last = id // which may be extended in another way
		}
	case what == "approves":
		r, err = s.service.Approve(t.Context(), person, id, "")
		s.requireOutcome(t, cells, r, err)
	case what == "denies":
		r, err = s.service.Deny(t.Context(), person, id, "Not today")
		s.requireOutcome(t, cells, r, err)
	case what == "reviews":
		r, err = s.service.Review(t.Context(), person, id, "It was one.")
		s.requireOutcome(t, cells, r, err)
	default:
		t.Fatalf("the manual has somebody who %q", what)
	}
}

// grant lets an approved request become active, as its workflow would.
func (s *stage) grant(t *testing.T, id string) {
	t.Helper()
	r, err := s.store.Get(t.Context(), id)
	require.NoError(t, err)
	if r.State != request.Active {
		change := r.Change(request.Active, request.Act{
			Action: request.ActionGrant, By: request.ByWorkflow, At: s.now,
		})
		change.Request.GrantedAt, change.Request.ExpiresAt = s.now, s.now.Add(r.Duration)
		require.NoError(t, s.store.Apply(t.Context(), change))
	}
}

func (s *stage) requireOutcome(t *testing.T, cells []string, r request.Request, err error) {
	t.Helper()
	by := cells[4]
	var refusal *request.Error
	if errors.As(err, &refusal) && refusal.Code != request.DeniedByRule {
		require.Equal(t, cells[3], "refused", "%q: %s", cells, err)
		require.Equal(t, by, string(refusal.Code), "%q", cells)
		return
	}
	if err != nil {
		require.ErrorAs(t, err, &refusal)
		r, err = s.store.Get(t.Context(), s.last)
		require.NoError(t, err)
	}
	require.Equal(t, cells[3], string(r.State), "%q", cells)
	records, err := s.store.Records(t.Context(), r.ID)
	require.NoError(t, err)
	last := records[len(records)-1]
	if by == "" {
		by = request.RuleRequester // who asked, and no more
	}
	require.Equal(t, by, last.Rule, "%q", cells)
}
