package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// settings is the environment that modules/sym-runtime gives the function.
type settings struct {
	orgSlug      string
	table        string
	connectorARN string
	externalID   string
	flowsPath    string
	callers      string
	account      string // the Runtime's own, which is the Runtime Connector's
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
		orgSlug:      need("SYM_ORG_SLUG"),
		table:        need("SYM_REQUEST_TABLE"),
		connectorARN: need("SYM_RUNTIME_CONNECTOR_ARN"),
		externalID:   need("SYM_EXTERNAL_ID"),
		flowsPath:    need("SYM_FLOWS_PATH"),
		callers:      getenv("SYM_CALLERS"),
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
