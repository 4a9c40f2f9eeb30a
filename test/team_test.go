package test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// prodTeam works with environments/prod, a database of its own and Slack.
type prodTeam struct {
	*world
	database *pgserver.Server
	bucket   string
	dora     sandbox.Person
}

func (p prodTeam) asks(t *testing.T, d time.Duration) sandbox.Request {
	t.Helper()
	r, err := p.dora.Ask(t.Context(), p.deployment.Flow, "reports", "The monthly report", d)
	require.NoError(t, err)
	return r
}

// accessEndsWithoutSlack has Slack down while somebody asks, holds a role and
// loses it. Afterwards Slack and the bucket have all of it.
func (p prodTeam) accessEndsWithoutSlack(t *testing.T) {
	p.box.Slack.Down(true)
	r := p.asks(t, longEnough)
	_, err := p.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, p.dora, r.ID, "active")
	require.True(t, isMember(t, t.Context(), p.database))
	await(t, p.dora, r.ID, "done")
	require.False(t, isMember(t, t.Context(), p.database))
	require.Empty(t, p.box.Slack.Messages(slack.Requests))

	p.box.Slack.Down(false)
	p.message(t, slack.Requests, r.ID, "Ended")

	client := s3.NewFromConfig(p.box.Config(p.box.Admin), func(o *s3.Options) { o.UsePathStyle = true })
	var keys []string
	require.Eventually(t, func() bool {
		out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &p.bucket})
		require.NoError(t, err)
		keys = nil
		for _, object := range out.Contents {
			keys = append(keys, *object.Key)
		}
		return len(keys) >= 5
	}, patience, 200*time.Millisecond)
	require.Len(t, keys, 5)
	for i, key := range keys {
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: &key})
		require.NoError(t, err)
		var record auditRecord
		require.NoError(t, json.NewDecoder(out.Body).Decode(&record))
		require.NoError(t, out.Body.Close())
		require.Equal(t, r.ID, record.RequestID)
		require.Equal(t, i+1, record.Sequence)
	}
	lock, err := client.GetObjectLockConfiguration(t.Context(),
		&s3.GetObjectLockConfigurationInput{Bucket: &p.bucket})
	require.NoError(t, err)
	require.Equal(t, types.ObjectLockRetentionModeGovernance,
		lock.ObjectLockConfiguration.Rule.DefaultRetention.Mode)
	require.Equal(t, aws.Int32(1), lock.ObjectLockConfiguration.Rule.DefaultRetention.Days)
}

// secretRotates has Slack's token and signing secret change, and nothing is
// deployed for it.
func (p prodTeam) secretRotates(t *testing.T) {
	dora := p.box.Slack.As(p.dora.Email)
	answer, err := dora.Command(t.Context(), "/sym help")
	require.NoError(t, err)
	require.Contains(t, answer.Shown, "/sym req")

	p.box.Slack.Rotate()
	require.NoError(t, p.box.FillSlackSecret(t.Context(), p.deployment))
	require.Eventually(t, func() bool {
		_, err := dora.Command(t.Context(), "/sym help")
		return err == nil
	}, patience, 500*time.Millisecond, "the new secret is read")
	r := p.asks(t, 5*time.Second)
	p.message(t, slack.Requests, r.ID, "Waits for approval")
	_, err = p.dora.Deny(t.Context(), r.ID, "Only to see the message")
	require.NoError(t, err)
}

// flowIsUpgraded changes the flow while one request waits for its approval and
// another one is active.
func (p prodTeam) flowIsUpgraded(t *testing.T, options *terraform.Options) {
	active := p.asks(t, 40*time.Second)
	_, err := p.approver(t).Approve(t.Context(), active.ID)
	require.NoError(t, err)
	await(t, p.dora, active.ID, "active")
	waiting := p.asks(t, 5*time.Second)

	// Another approver, other rules, another definition of the state machine.
	options.Vars["flow_vars"] = map[string]any{"approvers": "carol@example.com"}
	options.Vars["rules"] = map[string]any{"reports": map[string]any{
		"max_duration": 30, "deny": []any{map[string]any{
			"name": "closed", "when": "true", "message": "No more reports.",
		}},
	}}
	options.Vars["approval_timeout_seconds"] = 600
	terraform.ApplyContext(t, t.Context(), options)

	// What was granted ends as it was granted. What waits is decided by those who
	// may now, and then goes its way.
	_, err = p.dora.Ask(t.Context(), p.deployment.Flow, "reports", "One more", 5*time.Second)
	requireCode(t, err, 403, "denied_by_rule")
	_, err = p.approver(t).Approve(t.Context(), waiting.ID)
	requireCode(t, err, 403, "not_an_approver")
	_, err = p.person(t, "carol@example.com").Approve(t.Context(), waiting.ID)
	require.NoError(t, err)
	await(t, p.dora, waiting.ID, "done")
	await(t, p.dora, active.ID, "done")
	require.False(t, isMember(t, t.Context(), p.database))
	p.requireEnded(t, active.ID)
	p.requireEnded(t, waiting.ID)
}
