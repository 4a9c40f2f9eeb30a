package main

import (
	"encoding/json"
	"strings"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// report tells a hop of the chain, or what the Postgres function answered.
func report(n *narrator, d sandbox.Deployment, event any) {
	switch e := event.(type) {
	case front.Assumption:
		with := "no external id is asked for"
		if e.ExternalID != "" {
			with = "with the external id " + e.ExternalID[:8] + "…"
		}
		if e.Refused != "" {
			n.say("%s was refused %s: %s", short(e.Caller.ARN), short(e.RoleARN), e.Refused)
			return
		}
		if e.SessionName == "shared-secret" {
			with += ", to read Slack's secret"
		}
		n.say("%s assumed %s (%s)", short(e.Caller.ARN), short(e.RoleARN), with)
	case front.Invocation:
		if e.FunctionARN != d.PostgresFunction {
			return
		}
		var order struct {
			Type  string
			Event struct{ Type string }
		}
		_ = json.Unmarshal(e.Payload, &order)
		if order.Type == "event" {
			order.Type = order.Event.Type
		}
		caller := e.Caller.Service
		if caller == "" {
			caller = short(e.Caller.ARN)
		}
		n.say("%s invoked %s: %s\n%s", caller, short(e.FunctionARN), order.Type, e.Answer)
	}
}

// short is the last name in an ARN: a role's, a function's, or the role of a
// session.
func short(arn string) string {
	resource := arn[strings.LastIndex(arn, ":")+1:]
	parts := strings.Split(resource, "/")
	if strings.HasPrefix(resource, "assumed-role/") {
		return parts[1]
	}
	return parts[len(parts)-1]
}
