package front

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sym-postgres-quickstart/test/sandbox/policy"
)

// sts answers the Security Token Service: it alone knows the access keys, and
// it is where trust between roles is enforced.
func (f *Front) sts(w http.ResponseWriter, r *http.Request, c call) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		c.fail(w, http.StatusBadRequest, "MalformedQueryString", "the body is not a query string")
		return
	}
	switch form.Get("Action") {
	case "AssumeRole":
		f.assumeRole(w, r, c, form)
	case "GetCallerIdentity":
		writeXML(w, struct {
			XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
			ARN     string   `xml:"GetCallerIdentityResult>Arn"`
			UserID  string   `xml:"GetCallerIdentityResult>UserId"`
			Account string   `xml:"GetCallerIdentityResult>Account"`
		}{ARN: c.caller.ARN, UserID: c.caller.UserID, Account: c.caller.Account})
	default:
		f.forward(w, r, c)
	}
}

func (f *Front) assumeRole(w http.ResponseWriter, r *http.Request, c call, form url.Values) {
	roleARN, name := form.Get("RoleArn"), form.Get("RoleSessionName")
	attempt := Assumption{
		Caller: c.caller, RoleARN: roleARN, SessionName: name,
		ExternalID: form.Get("ExternalId"),
	}
	role, err := f.trust(r.Context(), c.caller, roleARN, attempt.ExternalID)
	if err != nil {
		attempt.Refused = err.Error()
		f.events.publish(attempt)
		// AWS does not say why either; the reason is in the sandbox's own events.
		c.fail(w, http.StatusForbidden, "AccessDenied", fmt.Sprintf(
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s",
			c.caller.ARN, roleARN))
		return
	}
	lifetime := time.Hour
	if seconds, err := strconv.Atoi(form.Get("DurationSeconds")); err == nil {
		lifetime = time.Duration(seconds) * time.Second
	}
	who := session(roleARN, role.id, name)
	keys := f.keys.issue(who, lifetime)
	f.events.publish(attempt)
	writeXML(w, struct {
		XMLName      xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
		AccessKeyID  string   `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret       string   `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		SessionToken string   `xml:"AssumeRoleResult>Credentials>SessionToken"`
		Expiration   string   `xml:"AssumeRoleResult>Credentials>Expiration"`
		UserID       string   `xml:"AssumeRoleResult>AssumedRoleUser>AssumedRoleId"`
		ARN          string   `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
	}{
		AccessKeyID: keys.AccessKeyID, Secret: keys.SecretAccessKey,
		SessionToken: keys.SessionToken, Expiration: keys.Expires.Format(time.RFC3339),
		UserID: who.UserID, ARN: who.ARN,
	})
}

// assumable is what the sandbox knows of a role that may be assumed.
type assumable struct {
	id     string
	policy policy.Document
}

// trust answers whether the role's trust policy lets the caller assume it, and
// the role if so.
func (f *Front) trust(ctx context.Context, caller Identity, roleARN, externalID string) (assumable, error) {
	role, err := f.role(ctx, roleARN)
	if err != nil {
		return role, err
	}
	keys := conditions(caller)
	if externalID != "" {
		keys["sts:externalid"] = externalID
	}
	decision := role.policy.Decide(policy.Call{
		Action: "sts:AssumeRole", Principals: caller.principals(),
		Service: caller.Service, Context: keys,
	})
	if !decision.Allowed {
		return role, fmt.Errorf("%s may not assume %s: %s", caller.ARN, roleARN, decision.Reason)
	}
	return role, nil
}

// role reads a role and its trust policy from the state that moto keeps.
func (f *Front) role(ctx context.Context, roleARN string) (assumable, error) {
	parts := strings.SplitN(roleARN, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return assumable{}, fmt.Errorf("%q is not the ARN of a role", roleARN)
	}
	name := roleARN[strings.LastIndex(roleARN, "/")+1:]
	body, err := f.ask(ctx, parts[4], "iam", url.Values{
		"Action": {"GetRole"}, "Version": {"2010-05-08"}, "RoleName": {name},
	})
	if err != nil {
		return assumable{}, fmt.Errorf("the role %s cannot be read: %w", roleARN, err)
	}
	var answer struct {
		ARN    string `xml:"GetRoleResult>Role>Arn"`
		ID     string `xml:"GetRoleResult>Role>RoleId"`
		Policy string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return assumable{}, fmt.Errorf("the role %s cannot be read: %w", roleARN, err)
	}
	if answer.ARN != roleARN {
		return assumable{}, fmt.Errorf("there is no role %s", roleARN)
	}
	text, err := url.QueryUnescape(answer.Policy)
	if err != nil {
		return assumable{}, fmt.Errorf("the trust policy of %s cannot be read: %w", roleARN, err)
	}
	document, err := policy.Parse(text)
	return assumable{id: answer.ID, policy: document}, err
}

func writeXML(w http.ResponseWriter, answer any) {
	data, err := xml.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(data)
}
