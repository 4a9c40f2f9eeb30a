package test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"
)

// execution is the ARN of a request's execution.
func (w *world) execution(id string) string {
	return strings.Replace(w.deployment.StateMachine, ":stateMachine:", ":execution:", 1) + ":" + id
}

// requireEnded asserts that a request's execution comes to a good end.
func (w *world) requireEnded(t *testing.T, id string) {
	t.Helper()
	client := sfn.NewFromConfig(w.box.Config(w.box.Admin))
	require.Eventually(t, func() bool {
		out, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{
			ExecutionArn: aws.String(w.execution(id)),
		})
		return err == nil && out.Status == "SUCCEEDED"
	}, patience, 100*time.Millisecond, "the execution of %s ends", id)
}

// flowLike writes another flow beside the deployed one, the same but for some
// fields of it, of its read-only target or of that one's rules, and answers its
// name. It is gone when the test ends.
func (w *world) flowLike(t *testing.T, name string, changes map[string]any) string {
	t.Helper()
	base := "/sym/sandbox/flows/"
	client := ssm.NewFromConfig(w.box.Config(w.box.Admin))
	for from, to := range map[string]string{
		w.deployment.Flow:                          name,
		w.deployment.Flow + "/targets/" + readOnly: name + "/targets/" + name + "-readonly",
	} {
		out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(base + from)})
		require.NoError(t, err)
		var document map[string]any
		require.NoError(t, json.Unmarshal([]byte(*out.Parameter.Value), &document))
		document["name"] = to[strings.LastIndex(to, "/")+1:]
		rules, _ := document["rules"].(map[string]any)
		for field, value := range changes {
			for _, part := range []map[string]any{document, rules} {
				if _, has := part[field]; has {
					part[field] = value
				}
			}
		}
		data, err := json.Marshal(document)
		require.NoError(t, err)
		_, err = client.PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: aws.String(base + to), Value: aws.String(string(data)), Type: types.ParameterTypeString,
		})
		require.NoError(t, err)
		t.Cleanup(func() {
			// The test's own context is over by now.
			_, err := client.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: aws.String(base + to)})
			require.NoError(t, err)
		})
	}
	return name
}
