package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const connector = "arn:aws:iam::123456789012:role/sym/SymRuntimeSandbox"

func TestTrustPolicyDecides(t *testing.T) {
	t.Parallel()
	withExternalID := `{"Statement":[{"Sid":"Outside","Effect":"Allow","Action":"sts:AssumeRole",
		"Principal":{"AWS":["arn:aws:iam::222222222222:root","` + connector + `"]},
		"Condition":{"StringEquals":{"sts:ExternalId":"right"}}}]}`
	context := func(id string) map[string]string { return map[string]string{"sts:externalid": id} }
	caller := func(arn string) []string { return []string{arn} }

	for _, c := range []struct {
		name    string
		policy  string
		call    Call
		allowed bool
		reason  string
	}{
		{"the named role with the external id", withExternalID,
			Call{Principals: caller(connector), Context: context("right")}, true, "Outside allows"},
		{"a wrong external id", withExternalID,
			Call{Principals: caller(connector), Context: context("wrong")}, false, "sts:ExternalId"},
		{"no external id", withExternalID,
			Call{Principals: caller(connector)}, false, "sts:ExternalId"},
		{"a stranger with the external id", withExternalID,
			Call{Principals: caller("arn:aws:iam::333333333333:root"), Context: context("right")},
			false, "no statement"},
		{"a bare account id is its root",
			`{"Statement":{"Effect":"Allow","Action":"sts:*","Principal":{"AWS":"222222222222"}}}`,
			Call{Principals: caller("arn:aws:iam::222222222222:root")}, true, "allows"},
		{"an operator nobody knows never allows",
			`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*",
			"Condition":{"Perhaps":{"sts:ExternalId":"right"}}}]}`,
			Call{Principals: caller(connector), Context: context("right")}, false, "sts:ExternalId"},
		{"a denial wins, whatever else allows",
			`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"},
			{"Sid":"Never","Effect":"Deny","Action":"sts:AssumeRole","Principal":{"AWS":"` + connector + `"}}]}`,
			Call{Principals: caller(connector)}, false, "Never denies"},
		{"a denial with an operator nobody knows denies",
			`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"},
			{"Effect":"Deny","Action":"sts:AssumeRole","Principal":"*","Condition":{"Perhaps":{"a":"b"}}}]}`,
			Call{Principals: caller(connector)}, false, "denies"},
		{"a service principal",
			`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`,
			Call{Service: "lambda.amazonaws.com"}, true, "allows"},
		{"a service is not everybody",
			`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}`,
			Call{Service: "lambda.amazonaws.com"}, false, "no statement"},
		{"another action",
			`{"Statement":[{"Effect":"Allow","Action":"sts:TagSession","Principal":{"AWS":"*"}}]}`,
			Call{Principals: caller(connector)}, false, "no statement"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			document, err := Parse(c.policy)
			require.NoError(t, err)
			c.call.Action = "sts:AssumeRole"
			decision := document.Decide(c.call)
			require.Equal(t, c.allowed, decision.Allowed, decision.Reason)
			require.Contains(t, decision.Reason, c.reason)
		})
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	require.True(t, like("arn:aws:iam::*:role/sym/*", connector))
	require.True(t, like("a?c", "abc"))
	require.False(t, like("a?c", "ac"))
	require.False(t, like("abc", "abcd"))
	require.True(t, like("*", ""))
}
