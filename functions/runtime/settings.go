package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"sym-postgres-quickstart/functions/internal/audit"
	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/leftout"
	"sym-postgres-quickstart/functions/internal/slack"
	"sym-postgres-quickstart/functions/internal/trouble"
)

// settings is the environment that modules/sym-runtime gives the function.
type settings struct {
	orgSlug      string
	table        string
	connectorARN string
	externalID   string
	flowsPath    string
	account      string // the Runtime's own, which is the Runtime Connector's

	auditLogGroup string
	auditBucket   string // empty for none
	errorTopicARN string
	secretARN     string // of the shared secret
	slack         slack.Settings
}

func (s settings) slackIsOn() bool { return s.slack.Workspace != "" }

// sinks are where every record is delivered to, see build.
func (s settings) sinks() []string {
	names := []string{audit.LogName, trouble.AlertsName}
	if s.auditBucket != "" {
		names = append(names, audit.BucketName)
	}
	if s.slackIsOn() {
		names = append(names, new(slack.Sink).Name())
	}
	return names
}

// readSettings names everything that is missing at once.
func readSettings(getenv func(string) string) (settings, error) {
	var missing []string
	need := func(name string) string {
		value := strings.TrimSpace(getenv(name))
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	s := settings{
		orgSlug:       need("SYM_ORG_SLUG"),
		table:         need("SYM_REQUEST_TABLE"),
		connectorARN:  need("SYM_RUNTIME_CONNECTOR_ARN"),
		externalID:    need("SYM_EXTERNAL_ID"),
		flowsPath:     need("SYM_FLOWS_PATH"),
		auditLogGroup: need("SYM_AUDIT_LOG_GROUP"),
		auditBucket:   getenv("SYM_AUDIT_BUCKET"),
		errorTopicARN: need("SYM_ERROR_TOPIC_ARN"),
		secretARN:     need("SYM_SHARED_SECRET_ARN"),
		slack: slack.Settings{
			Workspace:    getenv("SYM_SLACK_WORKSPACE_ID"),
			ErrorChannel: getenv("SYM_ERROR_CHANNEL"),
			APIURL:       getenv("SLACK_API_URL"),
		},
	}
	if len(missing) > 0 {
		return settings{}, fmt.Errorf("its environment lacks %s, which modules/sym-runtime sets",
			strings.Join(missing, ", "))
	}
	connector, err := arn.Parse(s.connectorARN)
	if err != nil {
		return settings{}, fmt.Errorf("SYM_RUNTIME_CONNECTOR_ARN is %q, which is no ARN",
			s.connectorARN)
	}
	s.account = connector.AccountID
	return s, nil
}

// tables are the settings that list people, without what of them cannot be used.
type tables struct {
	callers    *identity.Callers
	slackUsers map[string]string
	problems   []string
}

func readTables(account string, roles identity.Roles, getenv func(string) string) tables {
	callers, wrongCallers := identity.New(account, getenv("SYM_CALLERS"), roles)
	users, wrongUsers := slack.ParseUsers(getenv("SYM_SLACK_USERS"))
	return tables{callers, users, slices.Concat(
		leftout.Of("SYM_CALLERS", wrongCallers), leftout.Of("SYM_SLACK_USERS", wrongUsers))}
}

// checkSettings is the step by which Terraform asks what the function would leave out of settings
// that are yet to be written.
const checkSettings = "check_settings"

// settingsProblems answers the step checkSettings.
type settingsProblems struct {
	Problems []string `json:"problems"`
}

func checkTables(payload json.RawMessage) (settingsProblems, error) {
	var in struct {
		Settings map[string]string `json:"settings"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return settingsProblems{}, unknownInvocation()
	}
	read := readTables("", nil, func(name string) string { return in.Settings[name] })
	return settingsProblems{append([]string{}, read.problems...)}, nil
}
