package test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
)

// holds has Dora hold the role for long.
func (p prodTeam) holds(t *testing.T, by sandbox.Person) sandbox.Request {
	t.Helper()
	r := p.asks(t, 10*time.Minute)
	_, err := by.Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, p.dora, r.ID, "active")
	require.True(t, isMember(t, t.Context(), p.database))
	return r
}

// flowIsRenamed gives the flow another name while one request waits and another
// is active. Both end with the old flow, and the new one works.
func (p *prodTeam) flowIsRenamed(t *testing.T, options *terraform.Options) {
	active := p.holds(t, p.approver(t))
	waiting := p.asks(t, 5*time.Second)

	options.Vars["flow_name"] = "warehouse"
	terraform.ApplyContext(t, t.Context(), options)
	require.False(t, isMember(t, t.Context(), p.database), "the old flow's access is over")
	p.requireFlowRemoved(t, active.ID, "done")
	p.requireFlowRemoved(t, waiting.ID, "expired")
	require.Equal(t, 0, terraform.PlanExitCodeContext(t, t.Context(), options),
		"after an apply, a plan has nothing to do")

	p.deployment.Flow = "warehouse"
	p.deployment.StateMachine = terraform.OutputContext(t, t.Context(), options, "state_machine_arn")
	r := p.asks(t, 5*time.Second)
	_, err := p.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, p.dora, r.ID, "done")
}

// requireFlowRemoved asserts that a request ended since its flow went.
func (p prodTeam) requireFlowRemoved(t *testing.T, id, state string) {
	t.Helper()
	r, err := p.dora.Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, state, r.State)
	require.True(t, slices.ContainsFunc(r.Audit, func(record sandbox.Record) bool {
		return record.Rule == "flow_removed"
	}))
}

// destroyTakesAccessBack destroys the flow and the function while somebody holds
// a role by a request, and somebody else by an outside platform, in a database
// that stays. Where the role cannot be taken back the destroy says who holds it.
func (p prodTeam) destroyTakesAccessBack(t *testing.T, options *terraform.Options) {
	ctx := t.Context()
	delete(options.Vars, "rules")
	options.Vars["flow_vars"] = map[string]any{"approvers": approver}
	terraform.ApplyContext(t, ctx, options)
	active := p.holds(t, p.approver(t))
	owner(t, ctx, p.database, "CREATE ROLE emil LOGIN")
	outside := originalEvent("escalate", "acme:run:outside:1", "emil@example.com", p.deployment.PostgresFunction)
	outside["fields"].(map[string]any)["target"].(map[string]any)["settings"].(map[string]any)["role_name"] = "reports"
	require.Empty(t, p.invoke(t, p.box.Config(p.box.Admin), outside).Errors)
	require.True(t, isMemberOf(t, ctx, p.database, "emil"))

	// The table of requests is protected. What is destroyed is all else that ends access.
	gone, err := options.Clone()
	require.NoError(t, err)
	gone.Targets = []string{"module.postgres_flow", "module.postgres_lambda"}
	conn, err := pgx.Connect(ctx, p.database.URL())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE pg_auth_members IN SHARE MODE")
	require.NoError(t, err)
	_, err = terraform.DestroyContextE(t, ctx, gone)
	require.ErrorContains(t, err, "The flow warehouse cannot be removed yet")
	require.ErrorContains(t, err, `dora@example.com holds the role \"reports\" as the database user \"dora\" until `)
	machines, err := sfn.NewFromConfig(p.box.Config(p.box.Admin)).ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	require.NoError(t, err)
	require.Len(t, machines.StateMachines, 1, "what ends access is still there")
	_, err = p.dora.Ask(ctx, p.deployment.Flow, "reports", "One more", 5*time.Second)
	requireCode(t, err, 400, "unknown_flow")

	_, err = conn.Exec(ctx, "ROLLBACK")
	require.NoError(t, err)
	terraform.DestroyContext(t, ctx, gone)
	require.False(t, isMember(t, ctx, p.database))
	require.False(t, isMemberOf(t, ctx, p.database, "emil"))
	r, err := p.dora.Show(ctx, active.ID)
	require.NoError(t, err)
	require.Equal(t, "done", r.State)
	functions, err := lambda.NewFromConfig(p.box.Config(p.box.Admin)).ListFunctions(ctx, &lambda.ListFunctionsInput{})
	require.NoError(t, err)
	require.Len(t, functions.Functions, 1, "the Runtime alone is left")

	// What was taken down can be put up again, while its secret can still be brought back.
	again, err := options.Clone()
	require.NoError(t, err)
	again.Targets = []string{"module.postgres_lambda.aws_secretsmanager_secret.password"}
	terraform.ApplyContext(t, ctx, again)
}
