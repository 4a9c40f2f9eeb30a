package flows

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/test/sandbox/moto"
)

const flowJSON = `{"name":"postgres","label":"Postgres access",
	"state_machine_arn":"arn:machine","lambda_connector_arn":"arn:connector",
	"request_channel":"#access","tell_approvers":"both","approvers":["Bob@Example.com"," carol@example.com "],
	"allow_self_approval":true,"approval_timeout_seconds":3600}`

func targetJSON(name string) string {
	return fmt.Sprintf(`{"name":%q,"label":"Read only","type":"postgres",
		"settings":{"arn":"arn:function","role_name":"readonly"},
		"default_duration_seconds":1800,"max_duration_seconds":3600}`, name)
}

func target(name string) request.Target {
	return request.Target{
		Name: name, Label: "Read only", Type: "postgres", FunctionARN: "arn:function",
		RoleName: "readonly", DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour,
	}
}

// TestAssemble checks that one broken document does not take the others with it.
func TestAssemble(t *testing.T) {
	flows, errs := assemble(map[string]string{
		"postgres":                   flowJSON,
		"postgres/targets/p-one":     targetJSON("p-one"),
		"postgres/targets/p-two":     targetJSON("p-two"),
		"postgres/targets/p-three":   targetJSON("another"),
		"postgres/targets/p-four":    `{"name":"p-four"`,
		"postgres/targets/p-five":    `{"name":"p-five","settings":{"arn":"a","role_name":"r"}}`,
		"nowhere/targets/p-one":      targetJSON("p-one"),
		"misnamed":                   flowJSON,
		"incomplete":                 `{"name":"incomplete","approval_timeout_seconds":1}`,
		"incomplete/targets/p-three": targetJSON("p-three"),
		"text":                       `postgres`,
	})
	assert.Len(t, errs, 8)
	require.Len(t, flows, 1)
	inherited, err := rules.Compile(rules.Document{
		Approvers: []string{"bob@example.com", "carol@example.com"}, Approvals: 1,
		AllowSelfApproval: true, ApprovalTimeoutSeconds: 3600,
	})
	require.NoError(t, err)
	assert.Equal(t, request.Flow{
		Name: "postgres", Label: "Postgres access", StateMachineARN: "arn:machine",
		LambdaConnector: "arn:connector", RequestChannel: "#access", TellApprovers: request.TellBoth,
		Groups:      map[string][]string{},
		Targets:     []request.Target{target("p-one"), target("p-two")},
		TargetRules: map[string]*rules.Rules{"p-one": inherited, "p-two": inherited},
		Problems:    map[string]error{},
	}, flows[0], "targets without rules have the flow's, as it was before there were rules")
}

// TestRules checks what becomes of a target's own rules, and that no fault in them opens it.
func TestRules(t *testing.T) {
	withRules := func(document string) string {
		return strings.TrimSuffix(targetJSON("p-one"), "}") + `,"rules":` + document + "}"
	}
	read := func(document string) (request.Flow, []error) {
		flows, errs := assemble(map[string]string{
			"postgres": strings.TrimSuffix(flowJSON, "}") + `,"connect":"host=db",
				"groups":{"on_call":["Erin@Example.com "]}}`,
			"postgres/targets/p-one": withRules(document),
			"postgres/targets/p-two": targetJSON("p-two"),
		})
		require.Len(t, flows, 1)
		return flows[0], errs
	}
	flow, errs := read(`{"approvers":["dave@example.com"],"approvals":1,
		"approval_timeout_seconds":60,"deny":[{"name":"no","when":"request.duration > duration('1h')",
		"message":"No."}]}`)
	assert.Empty(t, errs)
	assert.Equal(t, map[string][]string{"on_call": {"erin@example.com"}}, flow.Groups)
	assert.Equal(t, "host=db", flow.Targets[0].Connect)
	document := flow.Rules("p-one").Document()
	assert.Equal(t, []string{"dave@example.com"}, document.Approvers)
	assert.False(t, document.AllowSelfApproval, "nothing is inherited by rules of one's own")
	assert.Len(t, document.Deny, 1)
	assert.Equal(t, int64(3600), flow.Rules("p-two").Document().ApprovalTimeoutSeconds)

	for name, document := range map[string]string{
		"a condition of another type": `{"approvers":["d@example.com"],"approvals":1,
			"approval_timeout_seconds":60,"request_when":"request.reason"}`,
		"nobody who approves": `{"approvals":1,"approval_timeout_seconds":60}`,
		"a rule that only a newer Runtime knows": `{"approvers":["d@example.com"],"approvals":1,
			"approval_timeout_seconds":60,"forbid":[]}`,
		"rules of another type": `[]`,
	} {
		flow, errs := read(document)
		assert.Len(t, errs, 1, name)
		assert.Len(t, flow.Targets, 2, name)
		assert.Nil(t, flow.Rules("p-one"), name)
		assert.Error(t, flow.Problems["p-one"], name)
		assert.NotNil(t, flow.Rules("p-two"), name)
	}
}

// TestLeftOut checks that what cannot be used is left out and named, the same before it is written
// and afterwards, and stops nothing else.
func TestLeftOut(t *testing.T) {
	documents := map[string]string{
		"postgres": strings.Replace(flowJSON, `"name"`, `"groups": {"oncall": ["a@example.com",
			"\u0430@example.com", "b"]}, "name"`, 1),
		"postgres/targets/p-one": targetJSON("p-one"),
		"postgres/targets/p-two": targetJSON("p-three"),
		"mysql":                  `{}`,
	}
	found, errs := assemble(documents)
	require.Len(t, found, 1)
	assert.Equal(t, []string{"a@example.com"}, found[0].Groups["oncall"])
	require.Len(t, found[0].Targets, 1)
	assert.Len(t, errs, 3)

	faults := Check(documents)
	require.Len(t, faults, 3)
	assert.Equal(t, "mysql", faults[0].Target)
	assert.Equal(t, `the group "oncall" of the flow "postgres": no e-mail address in letters from A `+
		`to Z is "\u0430@example.com", "b"`, faults[1].Message)
	assert.Contains(t, faults[2].Message, `calls itself "p-three"`)
}

// TestFlows reads more parameters than a page holds, and anew at every call.
func TestFlows(t *testing.T) {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := ssm.New(ssm.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	put := func(name, value string) {
		_, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: &name, Value: &value, Type: types.ParameterTypeString,
		})
		require.NoError(t, err)
	}
	put("/sym/main/flows/postgres", flowJSON)
	put("/sym/other/flows/mysql", flowJSON)
	for i := range 12 {
		name := fmt.Sprintf("p-%02d", i)
		put("/sym/main/flows/postgres/targets/"+name, targetJSON(name))
	}

	store := New(client, "/sym/main/flows/", slog.New(slog.DiscardHandler))
	flows, err := store.Flows(t.Context())
	require.NoError(t, err)
	require.Len(t, flows, 1)
	assert.Len(t, flows[0].Targets, 12)

	put("/sym/main/flows/postgres/targets/p-99", targetJSON("p-99"))
	flows, err = store.Flows(t.Context())
	require.NoError(t, err)
	assert.Len(t, flows[0].Targets, 13, "what has changed counts at once")

	// An old configuration is not decided by once it cannot be read again.
	require.NoError(t, server.Close())
	_, err = store.Flows(t.Context())
	assert.IsType(t, &ConfigurationUnavailable{}, err)
}
