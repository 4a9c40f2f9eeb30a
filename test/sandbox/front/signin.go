package front

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The role that IAM Identity Center makes in an account for a permission set
// called Engineer, and where it puts it. See
// https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html.
const (
	signInPath = "/aws-reserved/sso.amazonaws.com/"
	signInRole = "AWSReservedSSO_Engineer_0123456789abcdef"
)

// signInTrust lets nobody assume the role but Identity Center, which is not
// here: the front gives its sessions out itself.
const signInTrust = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
	"Action": "sts:AssumeRoleWithSAML", "Principal": {"Federated": "arn:aws:iam::123456789012:saml-provider/AWSSSO"}}]}`

// SignIn gives the credentials that IAM Identity Center would give somebody
// who signs in to the main account with the permission set Engineer.
func (f *Front) SignIn(ctx context.Context, email string) (aws.Credentials, error) {
	f.signIn.Lock()
	defer f.signIn.Unlock()
	arn := "arn:aws:iam::" + Account + ":role" + signInPath + signInRole
	if f.signInID == "" {
		// The first to sign in finds the role made, as in an account that people
		// are assigned to.
		body, err := f.ask(ctx, Account, "iam", url.Values{
			"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "Path": {signInPath},
			"RoleName": {signInRole}, "AssumeRolePolicyDocument": {signInTrust},
		})
		var answer struct {
			ID string `xml:"CreateRoleResult>Role>RoleId"`
		}
		if err == nil {
			err = xml.Unmarshal(body, &answer)
		}
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("the role of the permission set cannot be made: %w", err)
		}
		f.signInID = answer.ID
	}
	return f.keys.issue(session(arn, f.signInID, email), 12*time.Hour), nil
}
