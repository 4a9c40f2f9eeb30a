package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/identity"
)

// TestAccount checks the account of each kind of principal.
func TestAccount(t *testing.T) {
	const table = `{
		"arn:aws:iam::111122223333:user/alice": "alice@example.com",
		"arn:aws:iam::111122223333:role/bobs": "bob@example.com",
		"arn:aws:sts::111122223333:assumed-role/shared/carol": "carol@example.com"
	}`
	callers, err := identity.New("111122223333", table, center())
	require.NoError(t, err)
	for _, test := range []struct{ name, arn, id, want string }{
		{"a user", own + "user/alice", "AIDA1", "aws:AIDA1"},
		{"a session of Identity Center's", sts + sso + "alice@example.com",
			"AROA1:alice@example.com", "aws:AROA1:alice@example.com"},
		{"any session of one person's role", sts + "bobs/whatever", "AROA2:whatever", "aws:AROA2"},
		{"one session of a shared role", sts + "shared/carol", "AROA3:carol", "aws:AROA3:carol"},
		{"no unique id", own + "user/alice", "", ""},
		{"no principal", "alice", "AIDA1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, callers.Account(identity.Caller{ARN: test.arn, ID: test.id}))
		})
	}
}
