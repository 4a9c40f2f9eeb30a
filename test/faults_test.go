package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/require"
)

func sweepAlone(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	sweeps := w.sweeps(t)
	lookAgain := w.noLookingAfter(t)
	r := e.asks(t, longEnough)
	_, err := w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// Somebody stops the execution by hand. Nothing of the workflow is left, and
	// the Runtime does not look after it.
	_, err = sfn.NewFromConfig(w.box.Config(w.box.Admin)).StopExecution(t.Context(), &sfn.StopExecutionInput{
		ExecutionArn: aws.String(w.execution(r.ID)), Cause: aws.String("A mistake"),
	})
	require.NoError(t, err)

	// The database's own function takes the role back all the same.
	deadline := time.After(3 * time.Minute)
	for swept := ""; !strings.Contains(swept, r.ID); {
		select {
		case swept = <-sweeps:
		case <-deadline:
			t.Fatal("no sweep took the grant back")
		}
	}
	e.cannotRead(t, session)

	// When the Runtime looks again, it finds out and writes down how it ended.
	lookAgain()
	await(t, e.Person, r.ID, "done")
	requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")
}

// noLookingAfter switches off the schedule by which the Runtime looks after
// requests without an execution, and answers what switches it on again.
func (w *world) noLookingAfter(t *testing.T) (lookAgain func()) {
	t.Helper()
	client := scheduler.NewFromConfig(w.box.Config(w.box.Admin))
	name := aws.String("sym-sandbox-reconcile")
	now, err := client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: name})
	require.NoError(t, err)
	set := func(state types.ScheduleState) {
		// Also when the test has failed, and its own context is over.
		_, err := client.UpdateSchedule(context.Background(), &scheduler.UpdateScheduleInput{
			Name: name, Description: now.Description, ScheduleExpression: now.ScheduleExpression,
			FlexibleTimeWindow: now.FlexibleTimeWindow, Target: now.Target, State: state,
		})
		require.NoError(t, err)
	}
	set(types.ScheduleStateDisabled)
	t.Cleanup(func() { set(types.ScheduleStateEnabled) })
	return func() { set(types.ScheduleStateEnabled) }
}

func alarmGoesOff(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	alarms := w.alarms(t)

	// A flow like the deployed one, with a connector of its own to break.
	connector, trust := w.ownConnector(t)
	flow := w.flowLike(t, "broken", map[string]any{"lambda_connector_arn": connector})
	r, err := e.Ask(t.Context(), flow, flow+"-readonly", "Before it breaks", longEnough)
	require.NoError(t, err)
	_, err = w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// From now on the workflow cannot reach the database any more. Its first
	// tries fail, and somebody is told.
	trust(false)
	for alarm := ""; !strings.Contains(alarm, r.ID); {
		select {
		case alarm = <-alarms:
		case <-time.After(patience):
			t.Fatal("no alarm was raised")
		}
	}
	now, err := e.Show(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, "revoking", now.State, "nobody says done before it is")

	// It has gone on trying, and ends as soon as it can.
	trust(true)
	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)
	w.requireEnded(t, r.ID)
}

// alarms answers a channel that takes every message to the error topic.
func (w *world) alarms(t *testing.T) <-chan string {
	t.Helper()
	messages := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var notification struct{ Message string }
		if json.NewDecoder(r.Body).Decode(&notification) == nil {
			select {
			case messages <- notification.Message:
			default:
			}
		}
	}))
	t.Cleanup(server.Close)
	client := sns.NewFromConfig(w.box.Config(w.box.Admin))
	out, err := client.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &w.deployment.ErrorTopic, Protocol: aws.String("http"), Endpoint: &server.URL,
		ReturnSubscriptionArn: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.Unsubscribe(context.Background(), &sns.UnsubscribeInput{SubscriptionArn: out.SubscriptionArn})
		require.NoError(t, err)
	})
	return messages
}

// ownConnector makes a Lambda Connector for one test, and a switch for whether
// it trusts the Runtime Connector.
func (w *world) ownConnector(t *testing.T) (arn string, trust func(bool)) {
	t.Helper()
	name := "SymLambdaBroken"
	client := iam.NewFromConfig(w.box.Config(w.box.Admin))
	policy := func(trusted bool) *string {
		effect := map[bool]string{true: "Allow", false: "Deny"}[trusted]
		return aws.String(fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": %q,
			"Action": "sts:AssumeRole", "Principal": {"AWS": %q}}]}`, effect, w.deployment.RuntimeConnector))
	}
	role, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &name, Path: aws.String("/sym/"), AssumeRolePolicyDocument: policy(true),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteRole(context.Background(), &iam.DeleteRoleInput{RoleName: &name})
		require.NoError(t, err)
	})
	return *role.Role.Arn, func(trusted bool) {
		_, err := client.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
			RoleName: &name, PolicyDocument: policy(trusted),
		})
		require.NoError(t, err)
	}
}
