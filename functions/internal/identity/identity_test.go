package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
)

const (
	roleID = "AROAEXAMPLE"

	sts = "arn:aws:sts::111122223333:assumed-role/"
	own = "arn:aws:iam::111122223333:"
	sso = "AWSReservedSSO_Developers_0123456789abcdef/"
)

// roles stands in for IAM: it has one role, under whatever name it is asked for.
type roles struct {
	path, id string
	err      error
	asked    int
}

// center is an IAM in which every role is Identity Center's.
func center() *roles {
	return &roles{path: "/aws-reserved/sso.amazonaws.com/eu-west-1/", id: roleID}
}

func (r *roles) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (
	*iam.GetRoleOutput, error,
) {
	r.asked++
	if r.err != nil {
		return nil, r.err
	}
	return &iam.GetRoleOutput{Role: &types.Role{
		RoleName: in.RoleName, Path: &r.path, RoleId: &r.id,
	}}, nil
}

// TestProof checks what makes a role one of Identity Center's, beside its name.
func TestProof(t *testing.T) {
	const path = "/aws-reserved/sso.amazonaws.com/"
	denied := &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}
	gone := &types.NoSuchEntityException{Message: aws.String("no such role")}
	tests := []struct {
		name  string
		roles roles
		id    string
		code  request.Code // empty if it is one
	}{
		{"it is", roles{path: path, id: roleID}, roleID + ":alice@example.com", ""},
		{"in a region", roles{path: path + "eu-west-2/", id: roleID}, roleID + ":x", ""},
		{"another path", roles{path: "/", id: roleID}, roleID + ":x", identity.UnknownCaller},
		{"a path that contains it", roles{path: "/my" + path, id: roleID}, roleID + ":x",
			identity.UnknownCaller},
		{"another service's", roles{path: "/aws-reserved/other.amazonaws.com/", id: roleID},
			roleID + ":x", identity.UnknownCaller},
		{"a role of the same name before", roles{path: path, id: "AROANEW"}, roleID + ":x",
			identity.UnknownCaller},
		{"no role's id", roles{path: path, id: roleID}, "", identity.UnknownCaller},
		{"a user's id", roles{path: path, id: roleID}, roleID, identity.UnknownCaller},
		{"an empty role's id", roles{path: path}, ":alice@example.com", identity.UnknownCaller},
		{"it may not be read", roles{err: denied}, roleID + ":x", identity.UnknownCaller},
		{"it is not there", roles{err: gone}, roleID + ":x", identity.UnknownCaller},
		{"IAM is too busy", roles{err: &smithy.GenericAPIError{Code: "Throttling"}},
			roleID + ":x", identity.NotChecked},
		{"IAM fails", roles{err: &types.ServiceFailureException{}}, roleID + ":x",
			identity.NotChecked},
		{"IAM is not reached", roles{err: context.DeadlineExceeded}, roleID + ":x",
			identity.NotChecked},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			callers, err := identity.New("111122223333", "", &test.roles)
			require.NoError(t, err)
			caller := identity.Caller{ARN: sts + sso + "alice@example.com", ID: test.id}
			person, err := callers.Person(t.Context(), caller)
			if test.code == "" {
				require.NoError(t, err)
				assert.Equal(t, "alice@example.com", person)
				return
			}
			assert.Empty(t, person)
			refusal, ok := errors.AsType[*request.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, test.code, refusal.Code)
			assert.Regexp(t, `^[A-Z].*\.$`, refusal.Message)
		})
	}
}

// TestPartitions checks that people are known in GovCloud and China, too, both Identity Center's
// and those in the table.
func TestPartitions(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		arn := "arn:" + partition
		callers, err := identity.New("111122223333",
			`{"`+arn+`:iam::111122223333:user/bob": "bob@example.com"}`, center())
		require.NoError(t, err)
		person, err := callers.Person(t.Context(), identity.Caller{
			ARN: arn + ":sts::111122223333:assumed-role/" + sso + "alice@example.com",
			ID:  roleID + ":alice@example.com",
		})
		require.NoError(t, err, partition)
		assert.Equal(t, "alice@example.com", person)
		person, err = callers.Person(t.Context(), identity.Caller{
			ARN: arn + ":iam::111122223333:user/bob", ID: "AIDA"})
		require.NoError(t, err, partition)
		assert.Equal(t, "bob@example.com", person)
	}
}

// TestProofIsKept checks that IAM is asked once for a role, and again after a failure.
func TestProofIsKept(t *testing.T) {
	center := center()
	callers, err := identity.New("111122223333", `{
		"arn:aws:sts::111122223333:assumed-role/Oncall/dave": "dave@example.com"
	}`, center)
	require.NoError(t, err)
	ask := func(session, id string) error {
		_, err := callers.Person(t.Context(), identity.Caller{ARN: sts + session, ID: id})
		return err
	}
	require.NoError(t, ask("Oncall/dave", "AROAONCALL:dave"))
	assert.Zero(t, center.asked, "who is listed needs no proof")

	center.err = context.DeadlineExceeded
	require.Error(t, ask(sso+"alice@example.com", roleID+":alice@example.com"))
	center.err = nil
	for _, person := range []string{"alice@example.com", "bob@example.com"} {
		require.NoError(t, ask(sso+person, roleID+":"+person))
	}
	assert.Equal(t, 2, center.asked)

	// The proof is the role's, not its name's and not its id's alone.
	require.Error(t, ask(sso+"alice@example.com", "AROAOTHER:alice@example.com"))
	center.path = "/"
	require.Error(t, ask("AWSReservedSSO_Other_0123456789abcdef/alice@example.com",
		roleID+":alice@example.com"))
	require.NoError(t, ask(sso+"alice@example.com", roleID+":alice@example.com"))
}

func TestPerson(t *testing.T) {
	callers, err := identity.New("111122223333", `{
		"arn:aws:iam::111122223333:user/ci/Deployer": "CI@example.com",
		"arn:aws:iam::111122223333:role/sym/Oncall": "oncall@example.com",
		"arn:aws:sts::111122223333:assumed-role/Oncall/dave": "dave@example.com",
		"arn:aws:sts::111122223333:assumed-role/Shared/erin": "erin@example.com",
		"arn:aws:sts::444455556666:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/f@other.org":
			"frank@example.com"
	}`, center())
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
		{"a listed user", own + "user/ci/Deployer", "ci@example.com", ""},
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
		{"a Cyrillic a", sts + sso + "\u0430lice@example.com", "", "not an e-mail"},
		{"a Kelvin sign", sts + sso + "mi\u212ae@example.com", "", "not an e-mail"},
		{"a dotless i", sts + sso + "al\u0131ce@example.com", "", "not an e-mail"},
		{"letters of full width", sts + sso + "\uff41lice@example.com", "", "not an e-mail"},
		{"a look-alike in the domain", sts + sso + "alice@ex\u0430mple.com", "", "not an e-mail"},
		{"a space without width", sts + sso + "alice\u200b@example.com", "", "not an e-mail"},
		{"two addresses", sts + sso + "alice@example.com,bob@example.com", "", "not an e-mail"},
		{"an address with a name", sts + sso + "<alice@example.com>", "", "not an e-mail"},
		{"a role of that name in another account",
			"arn:aws:sts::444455556666:assumed-role/Oncall/x", "", "can choose"},
		{"an unknown user", own + "user/mallory", "", "not known"},
		{"a user named like a role", own + "user/Oncall", "", "not known"},
		{"root", own + "root", "", "not known"},
		{"a federated user", "arn:aws:sts::111122223333:federated-user/alice@example.com", "",
			"Sign it"},
		{"nobody", "", "", "Sign it"},
		{"a session with a slash", sts + sso + "a/alice@example.com", "", "Sign it"},
		{"a line break", sts + sso + "alice@example.com\n", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := callers.Person(t.Context(), identity.Caller{
				ARN: test.arn, ID: roleID + ":" + test.arn[strings.LastIndex(test.arn, "/")+1:],
			})
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
		"a list":        `["arn:aws:iam::111122223333:user/x"]`,
		"no ARN":        `{"alice": "alice@example.com"}`,
		"no address":    `{"arn:aws:iam::111122223333:user/x": "alice"}`,
		"a Cyrillic a":  "{\"arn:aws:iam::111122223333:user/x\": \"\u0430lice@example.com\"}",
		"a Kelvin sign": "{\"arn:aws:iam::111122223333:user/x\": \"mi\u212ae@example.com\"}",
		"an escaped look-alike": `{"arn:aws:iam::111122223333:user/x":
			"\u0430lice@example.com"}`,
		"two addresses": `{"arn:aws:iam::111122223333:user/x": "a@example.com,b@example.com"}`,
		"a space":       `{"arn:aws:iam::111122223333:user/x": " alice@example.com"}`,
		"a group":       `{"arn:aws:iam::111122223333:group/x": "alice@example.com"}`,
		"two for one": `{"arn:aws:iam::111122223333:role/a/x": "a@example.com",
			"arn:aws:iam::111122223333:role/b/x": "b@example.com"}`,
		"a wildcard":   `{"*": "alice@example.com"}`,
		"any session*": `{"arn:aws:sts::111122223333:assumed-role/x": "alice@example.com"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.New("111122223333", table, center())
			assert.Error(t, err)
		})
	}
	_, err := identity.New("111122223333", "", center())
	assert.NoError(t, err, "none are listed")
}

// TestBadEntries checks that entries which cannot be used stop nobody else, and that whoever they
// are about is nobody.
func TestBadEntries(t *testing.T) {
	callers, err := identity.New("111122223333", `{
		"`+own+`user/alice": "alice@example.com", "`+own+`group/x": "bob@example.com",
		"`+sts+sso+`bob@example.com": "bob", "`+own+`user/dave": 7,
		"`+own+`role/a/x": "a@example.com", "`+own+`role/b/x": "b@example.com"
	}`, center())
	for _, part := range []string{"group/x", `"bob"`, "user/dave", "two addresses"} {
		assert.ErrorContains(t, err, part)
	}
	email, err := callers.Person(t.Context(), identity.Caller{ARN: own + "user/alice", ID: "A"})
	require.NoError(t, err)
	assert.Equal(t, "alice@example.com", email)
	for _, arn := range []string{
		sts + sso + "bob@example.com", own + "user/dave", own + "role/a/x", sts + "x/session",
	} {
		_, err := callers.Person(t.Context(), identity.Caller{ARN: arn, ID: roleID + ":x"})
		assert.ErrorContains(t, err, "cannot be used", arn)
	}

	callers, err = identity.New("111122223333", `[]`, center())
	assert.Error(t, err)
	_, err = callers.Person(t.Context(), identity.Caller{ARN: own + "user/alice", ID: "A"})
	assert.ErrorContains(t, err, "cannot be used", "nobody can tell who is listed")
}
