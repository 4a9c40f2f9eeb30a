package trouble

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"sym-postgres-quickstart/functions/internal/request"
)

// read turns a message of the error topic into sentences. Messages with the same key say the same;
// those with the same group, if it is not empty, say it of different requests.
func read(m events.SNSEntity) (t request.Trouble, key, group string) {
	home := accountOf(m.TopicArn)
	var alarm alarm
	if json.Unmarshal([]byte(m.Message), &alarm) == nil && alarm.AlarmName != "" {
		return alarm.trouble(home), strings.Join([]string{
			"alarm", alarm.AWSAccountID, alarm.AlarmName, alarm.NewStateValue, alarm.StateChangeTime}, "\n"), ""
	}
	var failed failedCall
	if json.Unmarshal([]byte(m.Message), &failed) == nil && failed.RequestContext.FunctionARN != "" {
		same := []string{"call", failed.RequestContext.FunctionARN, failed.what(),
			failed.RequestContext.Condition, failed.ResponsePayload.Type}
		if failed.ResponsePayload.Type == sweepIncomplete {
			// The message names people, and naming others makes it another message. Times, counts
			// and process ids do not: they change with every sweep.
			same = append(same, numbers.ReplaceAllString(failed.ResponsePayload.Message, "#"))
		}
		return failed.trouble(home), strings.Join(same, "\n"), ""
	}
	what := m.Message
	if m.Subject != "" && strings.HasPrefix(strings.TrimSpace(m.Message), "{") {
		what = m.Subject + ": " + m.Message // JSON of an unknown kind
	}
	return request.Trouble{What: what}, "text\n" + m.Subject + "\n" + m.Message, m.Subject
}

// sweepIncomplete is the error of a sweep that ran to its end and could not end everything. Its
// message says who has what, why, and what to do.
const sweepIncomplete = "SweepIncomplete"

var numbers = regexp.MustCompile(`\b[0-9]+\b`)

// alarm is the message that CloudWatch publishes when an alarm changes its state.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
type alarm struct {
	AlarmName, AlarmDescription, NewStateValue, NewStateReason, StateChangeTime string

	AWSAccountID string `json:"AWSAccountId"`
}

func (a alarm) trouble(home string) request.Trouble {
	name := strconv.Quote(a.AlarmName) + elsewhere(a.AWSAccountID, home)
	if a.NewStateValue != "ALARM" {
		return request.Trouble{What: fmt.Sprintf("The alarm %s is now %s: %s", name,
			a.NewStateValue, sentence(a.NewStateReason))}
	}
	return request.Trouble{
		What: strings.TrimSpace(fmt.Sprintf("The alarm %s is on. %s", name,
			sentence(a.AlarmDescription))),
		Do: "See CloudWatch for when it began, and read the function's log. CloudWatch's reason: " +
			sentence(a.NewStateReason),
	}
}

// failedCall is the message that Lambda publishes to a function's on-failure destination.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
type failedCall struct {
	Timestamp      string `json:"timestamp"`
	RequestContext struct {
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
	} `json:"requestContext"`
	RequestPayload struct {
		Type string `json:"type"` // of the Postgres function's events
		Step string `json:"step"` // of the Runtime's
	} `json:"requestPayload"`
	ResponsePayload struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	} `json:"responsePayload"`
}

// what describes the failed work.
func (f failedCall) what() string {
	switch {
	case f.RequestPayload.Type == "sweep":
		return "The sweep of expired access"
	case f.RequestPayload.Step != "":
		return "The step " + f.RequestPayload.Step
	default:
		return "A call"
	}
}

func (f failedCall) trouble(home string) request.Trouble {
	name := f.RequestContext.FunctionARN
	if parts := strings.Split(name, ":"); len(parts) > 6 {
		name = parts[6] + elsewhere(accountOf(name), home)
	}
	why := "it did not run in time (" + f.RequestContext.Condition + ")."
	if f.ResponsePayload.Message != "" || f.ResponsePayload.Type != "" {
		why = sentence(strings.TrimPrefix(f.ResponsePayload.Type+": "+f.ResponsePayload.Message, ": "))
	}
	t := request.Trouble{
		What: fmt.Sprintf("%s failed in the function %s: %s", f.what(), name, why),
		Do:   "Read the function's log.",
	}
	if f.Timestamp != "" {
		t.What = fmt.Sprintf("%s failed in the function %s at %s: %s", f.what(), name, f.Timestamp, why)
	}
	switch {
	case f.ResponsePayload.Type == sweepIncomplete:
		t.Do = "Do what the message says. The sweep tries again by itself, and whatever it could " +
			"end has ended."
	case f.RequestPayload.Type == "sweep":
		t.Do = "Make sure that the database and the function can be reached. The sweep runs again by " +
			"itself; until it succeeds, only the workflows take access away."
	}
	return t
}

// elsewhere names an account, if it is another one than the topic's: what is to be looked at is
// there.
func elsewhere(account, home string) string {
	if account == "" || account == home {
		return ""
	}
	return " in the account " + account
}

// accountOf is the account of an ARN, and empty for anything else.
func accountOf(name string) string {
	parsed, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	return parsed.AccountID
}

// sentence ends a text with a full stop.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
