// Package identity tells which person has signed a call to the API.
//
// API Gateway has checked the signature and says which principal it was. That principal is a
// person in two cases only: it is a role of IAM Identity Center in the Runtime's own account,
// whose session name is the person's address, or the team has listed it. The session name of
// any other role is whatever its caller typed, and proves nothing.
package identity

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"sym-postgres-quickstart/functions/internal/request"
)

// UnknownCaller is a code of its own among the Runtime's errors.
const UnknownCaller request.Code = "unknown_caller"

// Callers knows the people by their principals.
type Callers struct {
	account string
	listed  map[string]string
}

var (
	principalARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::([0-9]{12}):(.+)$`)

	// identityCenterRole is how IAM Identity Center names the roles that it makes for its
	// permission sets. Nobody else can make one: IAM reserves the prefix.
	// https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
	identityCenterRole = regexp.MustCompile(`^AWSReservedSSO_[\w+=,.@-]+_[0-9a-f]{16}$`)

	// address is what can be a person's address as STS lets it into a session name.
	address = regexp.MustCompile(`^[\w+=,.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
)

// New reads the table of listed callers: a JSON object from the ARN of a principal to an
// e-mail address. The account is the Runtime's own; Identity Center roles of any other account
// belong to a directory in which somebody else hands out the addresses.
func New(account, table string) (*Callers, error) {
	c := &Callers{account: account, listed: map[string]string{}}
	entries := map[string]string{}
	if strings.TrimSpace(table) != "" {
		if err := json.Unmarshal([]byte(table), &entries); err != nil {
			return nil, fmt.Errorf("the table of callers is not a JSON object of ARN to e-mail "+
				"address: %w", err)
		}
	}
	for arn, email := range entries {
		p, ok := parse(arn)
		if !ok {
			return nil, fmt.Errorf("the table of callers lists %q, which is not the ARN of a "+
				"user, a role or a role's session", arn)
		}
		if !strings.Contains(email, "@") {
			return nil, fmt.Errorf("the table of callers gives %q for %q, which is not an e-mail "+
				"address", email, arn)
		}
		if listed, twice := c.listed[p.key()]; twice && listed != request.Email(email) {
			return nil, fmt.Errorf("the table of callers gives two addresses for %q", arn)
		}
		c.listed[p.key()] = request.Email(email)
	}
	return c, nil
}

// Person returns the e-mail address of the person behind a caller's ARN, in the form of
// [request.Email]. The more exact entry wins: a session's, then its role's, then Identity
// Center's session name.
func (c *Callers) Person(arn string) (string, error) {
	p, ok := parse(arn)
	if !ok {
		return "", refuse("The call does not say who signed it. Sign it with the credentials of " +
			"an IAM role or user.")
	}
	if email, listed := c.listed[p.key()]; listed {
		return email, nil
	}
	if p.session == "" {
		return "", refuse("The caller %s is not known as a person. Sign in through IAM Identity "+
			"Center, or have this ARN added to the callers of the Runtime.", arn)
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
	case !address.MatchString(p.session):
		return "", refuse("The caller %s signed in through IAM Identity Center with a user name "+
			"that is not an e-mail address. Have the ARN added to the callers of the Runtime, "+
			"with the address.", arn)
	}
	return request.Email(p.session), nil
}

func refuse(format string, args ...any) error {
	return &request.Error{Code: UnknownCaller, Message: fmt.Sprintf(format, args...)}
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
