// Package identity tells which person has signed a call to the API.
//
// API Gateway has checked the signature and says which principal it was. That principal is a
// person in two cases only: it is a role of IAM Identity Center in the Runtime's own account,
// whose session name is the person's address, or the team has listed it. The session name of
// any other role is whatever its caller typed, and proves nothing.
//
// That a role is Identity Center's own is not taken from its name, which others might give to a
// role as well, but from its path, which [Callers] asks IAM for. Three things are proven then:
// that a role of that name exists in the Runtime's account, that its path is Identity Center's,
// and that it is this very role that has signed, by the role's unique id.
//
// One thing is assumed: that nobody but AWS can make or change a role below that path. AWS
// documents where Identity Center's roles live and that only AWS can change them, but not that
// nobody else can make one there. Who has tried reports that IAM's CreateRole refuses it with
// "The path '/aws-reserved/sso.amazonaws.com/' is reserved for AWS use".
// https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
// https://repost.aws/knowledge-center/identity-center-aws-reserved-sso
//
// And one is relied on, as everywhere behind Identity Center: that it puts the user's name into
// the session's name, and that the directory gives each address to one person.
package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"sym-postgres-quickstart/functions/internal/request"
)

// Codes of their own among the Runtime's errors.
const (
	UnknownCaller request.Code = "unknown_caller"
	// NotChecked says that IAM could not be asked who the caller is. It may work later.
	NotChecked request.Code = "identity_not_checked"
)

// Caller is who has signed a call, as API Gateway names them.
type Caller struct {
	ARN string // authorizer.iam.userArn
	// ID is authorizer.iam.userId: "<the role's unique id>:<the session's name>" for a role.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
	ID string
}

// Roles is what is needed of IAM.
type Roles interface {
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
}

// Callers knows the people by their principals.
type Callers struct {
	account string
	listed  map[string]string
	// barred are principals whose entry cannot be used. They are nobody, not who they would be
	// without an entry.
	barred map[string]bool
	unread bool // the whole table cannot be used
	roles  Roles

	// proven has the names of Identity Center's roles by their unique ids. An id never comes
	// back, so that what was proven once stays true.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
	proven sync.Map
}

var (
	principalARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::([0-9]{12}):(.+)$`)

	// identityCenterRole is how IAM Identity Center names the roles that it makes for its
	// permission sets. The name proves nothing; it spares the look at roles of other names.
	identityCenterRole = regexp.MustCompile(`^AWSReservedSSO_[\w+=,.@-]+_[0-9a-f]{16}$`)
)

// identityCenterPath is what the paths of those roles begin with. In some regions the region's
// name follows.
const identityCenterPath = "/aws-reserved/sso.amazonaws.com/"

// New reads the table of listed callers: a JSON object from the ARN of a principal to an
// e-mail address. The account is the Runtime's own; Identity Center roles of any other account
// belong to a directory in which somebody else hands out the addresses.
//
// Its error joins one for each entry that is left out; the callers are good without these. Who has
// such an entry is refused: by other means they might pass for somebody else.
func New(account, table string, roles Roles) (*Callers, error) {
	c := &Callers{
		account: account, listed: map[string]string{}, barred: map[string]bool{}, roles: roles,
	}
	entries := map[string]any{}
	if strings.TrimSpace(table) != "" {
		if err := json.Unmarshal([]byte(table), &entries); err != nil {
			c.unread = true
			return c, fmt.Errorf("the table of callers is not a JSON object of ARN to e-mail "+
				"address: %w", err)
		}
	}
	var errs []error
	for _, arn := range slices.Sorted(maps.Keys(entries)) {
		if err := c.list(arn, entries[arn]); err != nil {
			errs = append(errs, err)
		}
	}
	return c, errors.Join(errs...)
}

// list adds one entry of the table.
func (c *Callers) list(arn string, value any) error {
	p, ok := parse(arn)
	if !ok {
		return fmt.Errorf("the table of callers lists %q, which is not the ARN of a user, a role or "+
			"a role's session", arn)
	}
	email, _ := value.(string)
	if !request.IsEmail(email) {
		c.barred[p.key()] = true
		return fmt.Errorf("the table of callers gives %+q for %q, which is not an e-mail address in "+
			"letters from A to Z", fmt.Sprint(value), arn)
	}
	if listed, twice := c.listed[p.key()]; twice && listed != request.Email(email) {
		c.barred[p.key()] = true
		return fmt.Errorf("the table of callers gives two addresses for %q", arn)
	}
	c.listed[p.key()] = request.Email(email)
	return nil
}

// Person returns the e-mail address of the person behind a caller, in the form of
// [request.Email]. The more exact entry wins: a session's, then its role's, then Identity
// Center's session name. Its refusals are [UnknownCaller] and [NotChecked].
func (c *Callers) Person(ctx context.Context, caller Caller) (string, error) {
	arn := caller.ARN
	p, ok := parse(arn)
	if !ok {
		return "", refuse("The call does not say who signed it. Sign it with the credentials of " +
			"an IAM role or user.")
	}
	if c.unread || c.barred[p.key()] {
		return "", unusable(arn)
	}
	if email, listed := c.listed[p.key()]; listed {
		return email, nil
	}
	if p.session == "" {
		return "", refuse("The caller %s is not known as a person. Sign in through IAM Identity "+
			"Center, or have this ARN added to the callers of the Runtime.", arn)
	}
	if c.barred[p.role().key()] {
		return "", unusable(arn)
	}
	if email, listed := c.listed[p.role().key()]; listed {
		return email, nil
	}
	switch {
	case !identityCenterRole.MatchString(p.name):
		return "", refuse("The caller %s is not known as a person: anyone who may assume this "+
			"role can choose the session's name. Sign in through IAM Identity Center, or have the "+
			"ARN of the session or of its role added to the callers of the Runtime.", arn)
	case p.account != c.account:
		return "", refuse("The caller %s signed in through the IAM Identity Center of another "+
			"account, which this Runtime does not trust to name people. Have the ARN added to the "+
			"callers of the Runtime.", arn)
	case !request.IsEmail(p.session):
		return "", refuse("The caller %s signed in through IAM Identity Center with a user name "+
			"that is not an e-mail address in letters from A to Z. Have the ARN added to the "+
			"callers of the Runtime, with the address.", arn)
	}
	if err := c.prove(ctx, p.name, caller); err != nil {
		return "", err
	}
	return request.Email(p.session), nil
}

// Account identifies the principal behind a caller by its unique id, which is never reused and
// stays the same when a listed address changes. If a role is listed for one person, all its
// sessions are one account. Account is empty if the principal is unknown. Use it only for a caller
// that [Callers.Person] accepts.
func (c *Callers) Account(caller Caller) string {
	p, ok := parse(caller.ARN)
	if !ok || caller.ID == "" {
		return ""
	}
	_, bySession := c.listed[p.key()]
	if _, byRole := c.listed[p.role().key()]; p.session != "" && byRole && !bySession {
		id, _, _ := strings.Cut(caller.ID, ":")
		return "aws:" + id
	}
	return "aws:" + caller.ID
}

// prove makes sure that the role which has signed is one of Identity Center's.
func (c *Callers) prove(ctx context.Context, name string, caller Caller) error {
	id, _, found := strings.Cut(caller.ID, ":")
	if !found || id == "" {
		return refuse("The caller %s cannot be checked: the call does not carry the unique id of "+
			"its role. Have the ARN added to the callers of the Runtime.", caller.ARN)
	}
	if proven, known := c.proven.Load(id); known && proven == name {
		return nil
	}
	answer, err := c.roles.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	switch {
	case err != nil && !isRefusal(err):
		return request.Refuse(err, NotChecked, "Who you are could not be checked just now, since "+
			"IAM did not answer. Nothing has changed; try again in a moment.")
	case err != nil || answer.Role == nil ||
		!strings.HasPrefix(aws.ToString(answer.Role.Path), identityCenterPath):
		// The Runtime can read the roles below that path and no others.
		return request.Refuse(err, UnknownCaller, "The caller %s has a role that is named like "+
			"one of IAM Identity Center's and is not found among them, so that the session's name "+
			"proves nothing. Sign in through IAM Identity Center, or have the ARN added to the "+
			"callers of the Runtime.", caller.ARN)
	case aws.ToString(answer.Role.RoleId) != id:
		return refuse("The caller %s signed as a role that has been replaced by another one of "+
			"the same name. Sign in through IAM Identity Center again.", caller.ARN)
	}
	c.proven.Store(id, name)
	return nil
}

// isRefusal tells IAM's answer that a role is not there, or may not be read, from a failure of
// IAM's.
func isRefusal(err error) bool {
	var missing *types.NoSuchEntityException
	var api smithy.APIError
	return errors.As(err, &missing) || errors.As(err, &api) &&
		(api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "AccessDeniedException")
}

func unusable(arn string) error {
	return refuse("The entry for the caller %s in the callers of the Runtime cannot be used. Have it "+
		"corrected in Terraform; the Runtime's log says what is wrong.", arn)
}

func refuse(format string, args ...any) error {
	return request.Refuse(nil, UnknownCaller, format, args...)
}

// principal is what an ARN says of one.
type principal struct{ account, kind, name, session string }

// key compares principals. A role's path is not part of it: a session's ARN leaves it out, and
// names are unique in an account without it.
func (p principal) key() string {
	return p.account + ":" + p.kind + "/" + p.name + "/" + p.session
}

func (p principal) role() principal {
	p.session = ""
	return p
}

func parse(arn string) (principal, bool) {
	match := principalARN.FindStringSubmatch(arn)
	if match == nil {
		return principal{}, false
	}
	service, account, resource := match[1], match[2], match[3]
	kind, rest, _ := strings.Cut(resource, "/")
	switch {
	case service == "iam" && resource == "root":
		return principal{account: account, kind: "root"}, true
	case service == "iam" && (kind == "role" || kind == "user"):
		name := rest[strings.LastIndex(rest, "/")+1:]
		return principal{account: account, kind: kind, name: name}, name != ""
	case service == "sts" && kind == "assumed-role":
		name, session, _ := strings.Cut(rest, "/")
		return principal{account: account, kind: "role", name: name, session: session},
			name != "" && session != "" && !strings.Contains(session, "/")
	}
	return principal{}, false
}
