package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"sym-postgres-quickstart/functions/internal/rules"
)

func TestCouldApprove(t *testing.T) {
	const dora = "dora@example.com"
	groups := map[string][]string{ben: {"leads"}}
	person := func(email string) rules.Person { return rules.Person{Email: email, Groups: groups[email]} }
	for name, test := range map[string]struct {
		change    func(*rules.Document)
		requester string
		could     []string
		because   string
	}{
		"everybody on the lists": {
			func(d *rules.Document) { d.BackupApprovers, d.BackupAfterSeconds = []string{cem, ann}, 60 },
			dora, []string{ann, ben, cem}, "",
		},
		"not the requester": {func(*rules.Document) {}, ann, []string{ben}, ""},
		"the requester, where the rules say so": {
			func(d *rules.Document) { d.AllowSelfApproval = true }, ann, []string{ann, ben}, "",
		},
		"the requester alone": {
			func(d *rules.Document) { d.Approvers, d.AllowSelfApproval = nil, true }, ann,
			[]string{ann}, "",
		},
		"who meets the condition": {
			func(d *rules.Document) { d.ApproveWhen = `"leads" in approver.groups` },
			dora, []string{ben}, `"leads" in approver.groups is false`,
		},
		"nobody, where the condition fails": {
			func(d *rules.Document) { d.ApproveWhen = `approver.groups[7] == "leads"` },
			dora, nil, "could not be evaluated",
		},
		"everybody, where it depends on the time": {
			func(d *rules.Document) { d.ApproveWhen = `now < timestamp("2001-01-01T00:00:00Z")` },
			dora, []string{ann, ben}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := compile(t, func(d *rules.Document) {
				d.Approvers, d.ApprovalTimeoutSeconds = []string{ann, ben}, 3600
				test.change(d)
			})
			could, refused := set.CouldApprove(t.Context(), rules.Input{
				Requester: person(test.requester), Now: time.Now(),
			}, person)
			assert.Equal(t, test.could, could)
			if test.because == "" {
				assert.Empty(t, refused.Because)
			}
			assert.Contains(t, refused.Because, test.because)
		})
	}
}
