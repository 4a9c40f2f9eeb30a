package front

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sym-postgres-quickstart/test/sandbox/policy"
)

// A call that crosses accounts needs permission in both: by an identity policy in the caller's
// account, which the sandbox does not evaluate yet, and by the resource's policy, which is evaluated
// here. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html.

// mayInvoke answers why a caller of another account may not invoke a function; nil if it may.
// Calls of AWS services are not checked.
func (f *Front) mayInvoke(ctx context.Context, caller Identity, arn string) error {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 || caller.Service != "" || caller.Account == parts[4] {
		return nil
	}
	var answer struct{ Policy string }
	err := f.askJSON(ctx, parts[4], "lambda", http.MethodGet,
		functionsPath+"/"+parts[6]+"/policy", "", nil, &answer)
	if err != nil {
		return fmt.Errorf("%s is in another account than %s, and the function has no policy", caller.ARN, arn)
	}
	return decide(answer.Policy, policy.Call{
		Action: "lambda:InvokeFunction", Principals: caller.principals(), Context: conditions(caller),
	}, caller.ARN, arn)
}

// serveSNS answers SNS. To publish to a topic of another account takes permission by the policies of
// the topic and of its key.
func (f *Front) serveSNS(w http.ResponseWriter, r *http.Request, c call) {
	form, err := url.ParseQuery(string(c.body))
	topic := form.Get("TopicArn")
	account := accountOf(topic)
	if err != nil || c.action != "Publish" || account == "" || account == c.caller.Account {
		f.forward(w, r, c)
		return
	}
	if err := f.mayPublish(r.Context(), c.caller, topic); err != nil {
		f.Log.Warn("publish", "topic", topic, "error", err)
		c.fail(w, http.StatusForbidden, "AuthorizationError", fmt.Sprintf("User: %s is not authorized "+
			"to perform: SNS:Publish on resource: %s", c.caller.ARN, topic))
		return
	}
	c.caller.Account = account // where the topic is
	f.forward(w, r, c)
}

// mayPublish answers why a caller may not publish to a topic of another account; nil if it may.
func (f *Front) mayPublish(ctx context.Context, caller Identity, topic string) error {
	account := accountOf(topic)
	if caller.Account == account {
		return nil
	}
	attributes, err := f.topicAttributes(ctx, topic)
	if err != nil {
		return err
	}
	context := conditions(caller)
	err = decide(attributes["Policy"], policy.Call{
		Action: "sns:Publish", Principals: caller.principals(), Service: caller.Service, Context: context,
	}, caller.ARN, topic)
	key := attributes["KmsMasterKeyId"]
	if err != nil || key == "" {
		return err
	}
	var answer struct{ Policy string }
	err = f.askJSON(ctx, account, "kms", http.MethodPost, "/", "TrentService.GetKeyPolicy",
		map[string]string{"KeyId": key, "PolicyName": "default"}, &answer)
	if err != nil {
		return err
	}
	context["kms:calleraccount"] = caller.Account
	context["kms:viaservice"] = "sns." + Region + ".amazonaws.com"
	return decide(answer.Policy, policy.Call{
		Action: "kms:GenerateDataKey", Principals: caller.principals(), Service: caller.Service, Context: context,
	}, caller.ARN, key)
}

// topicAttributes reads what moto keeps of a topic.
func (f *Front) topicAttributes(ctx context.Context, topic string) (map[string]string, error) {
	body, err := f.ask(ctx, accountOf(topic), "sns", url.Values{
		"Action": {"GetTopicAttributes"}, "Version": {"2010-03-31"}, "TopicArn": {topic},
	})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Entries []struct {
			Key   string `xml:"key"`
			Value string `xml:"value"`
		} `xml:"GetTopicAttributesResult>Attributes>entry"`
	}
	// #nosec G709 -- an answer of moto's
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	attributes := map[string]string{}
	for _, entry := range answer.Entries {
		attributes[entry.Key] = entry.Value
	}
	return attributes, nil
}

// decide answers why a resource's policy does not allow a call; nil if it does.
func decide(text string, call policy.Call, caller, resource string) error {
	document, err := policy.Parse(text)
	if err != nil {
		return fmt.Errorf("the policy of %s: %w", resource, err)
	}
	if decision := document.Decide(call); !decision.Allowed {
		return fmt.Errorf("%s may not %s %s: %s", caller, call.Action, resource, decision.Reason)
	}
	return nil
}

// conditions are the condition keys of a caller, for every policy.
func conditions(caller Identity) map[string]string {
	keys := map[string]string{
		"aws:principalarn":     caller.ARN,
		"aws:principalaccount": caller.Account,
	}
	if caller.RoleARN != "" {
		keys["aws:principalarn"] = caller.RoleARN
	}
	if caller.Service != "" {
		keys["aws:sourceaccount"] = caller.Account
		keys["aws:sourcearn"] = caller.ARN
	}
	return keys
}

// publishFailure publishes a failed call of a function in its role's name, as Lambda does.
func (f *Front) publishFailure(ctx context.Context, function, topic string, record json.RawMessage) error {
	account, name := strings.Split(function, ":")[4], strings.Split(function, ":")[6]
	if accountOf(topic) != account {
		conf, err := f.configuration(ctx, account, name)
		if err != nil {
			return err
		}
		if err := f.mayPublish(ctx, session(conf.Role, "", name), topic); err != nil {
			return err
		}
	}
	_, err := f.ask(ctx, accountOf(topic), "sns", url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {topic}, "Message": {string(record)},
	})
	return err
}
