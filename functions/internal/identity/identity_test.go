package identity_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
)

const (
	sts = "arn:aws:sts::111122223333:assumed-role/"
	iam = "arn:aws:iam::111122223333:"
	sso = "AWSReservedSSO_Developers_0123456789abcdef/"
)

func TestPerson(t *testing.T) {
	callers, err := identity.New("111122223333", `{
		"arn:aws:iam::111122223333:user/ci/Deployer": "CI@example.com",
		"arn:aws:iam::111122223333:role/sym/Oncall": "oncall@example.com",
		"arn:aws:sts::111122223333:assumed-role/Oncall/dave": "dave@example.com",
		"arn:aws:sts::111122223333:assumed-role/Shared/erin": "erin@example.com",
		"arn:aws:sts::444455556666:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/f@other.org":
			"frank@example.com"
	}`)
	require.NoError(t, err)
	tests := []struct {
		name, arn, want string
		sentence        string // in the refusal, where want is empty
	}{
		{"Identity Center", sts + sso + "alice@example.com", "alice@example.com", ""},
		{"Identity Center in capitals", sts + sso + "Alice@Example.com", "alice@example.com", ""},
		{"a set with underscores",
			sts + "AWSReservedSSO_Read_Only_0123456789abcdef/a@example.com", "a@example.com", ""},
		{"another partition", "arn:aws-us-gov:sts::111122223333:assumed-role/" + sso +
			"alice@example.gov", "alice@example.gov", ""},
		{"a listed user", iam + "user/ci/Deployer", "ci@example.com", ""},
		{"a listed role", sts + "Oncall/anything", "oncall@example.com", ""},
		{"a listed session before its role", sts + "Oncall/dave", "dave@example.com", ""},
		{"a listed session", sts + "Shared/erin", "erin@example.com", ""},
		{"a listed stranger from another Identity Center",
			"arn:aws:sts::444455556666:assumed-role/" +
				"AWSReservedSSO_Admin_0123456789abcdef/f@other.org",
			"frank@example.com", ""},

		{"another session of that role", sts + "Shared/mallory", "", "can choose"},
		{"an address as a session's name", sts + "Admin/alice@example.com", "", "can choose"},
		{"a role that looks like Identity Center's",
			sts + "AWSReservedSSO_Developers_0123/alice@example.com", "", "can choose"},
		{"one with more before it",
			sts + "xAWSReservedSSO_D_0123456789abcdef/alice@example.com", "", "can choose"},
		{"Identity Center of another account",
			"arn:aws:sts::444455556666:assumed-role/" + sso + "alice@example.com", "",
			"another account"},
		{"Identity Center without an address", sts + sso + "alice", "", "not an e-mail"},
		{"a role of that name in another account",
			"arn:aws:sts::444455556666:assumed-role/Oncall/x", "", "can choose"},
		{"an unknown user", iam + "user/mallory", "", "not known"},
		{"a user named like a role", iam + "user/Oncall", "", "not known"},
		{"root", iam + "root", "", "not known"},
		{"a federated user", "arn:aws:sts::111122223333:federated-user/alice@example.com", "",
			"Sign it"},
		{"nobody", "", "", "Sign it"},
		{"a session with a slash", sts + sso + "a/alice@example.com", "", "Sign it"},
		{"a line break", sts + sso + "alice@example.com\n", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := callers.Person(test.arn)
			assert.Equal(t, test.want, got)
			if test.want != "" {
				assert.NoError(t, err)
				return
			}
			refusal, ok := errors.AsType[*request.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, identity.UnknownCaller, refusal.Code)
			assert.Contains(t, refusal.Message, test.sentence)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, table := range map[string]string{
		"a list":     `["arn:aws:iam::111122223333:user/x"]`,
		"no ARN":     `{"alice": "alice@example.com"}`,
		"no address": `{"arn:aws:iam::111122223333:user/x": "alice"}`,
		"a group":    `{"arn:aws:iam::111122223333:group/x": "alice@example.com"}`,
		"two for one": `{"arn:aws:iam::111122223333:role/a/x": "a@example.com",
			"arn:aws:iam::111122223333:role/b/x": "b@example.com"}`,
		"a wildcard":   `{"*": "alice@example.com"}`,
		"any session*": `{"arn:aws:sts::111122223333:assumed-role/x": "alice@example.com"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.New("111122223333", table)
			assert.Error(t, err)
		})
	}
	_, err := identity.New("111122223333", "")
	assert.NoError(t, err, "none are listed")
}
