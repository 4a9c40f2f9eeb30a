// Package flows reads the flows' configuration from Parameter Store, where Terraform writes it
// and where the Runtime can only read.
package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"sym-postgres-quickstart/functions/internal/leftout"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// ConfigurationUnavailable says that Parameter Store could not be read. It may work later.
type ConfigurationUnavailable struct {
	Path string
	Err  error
}

// Error says what could not be read, and why.
func (e *ConfigurationUnavailable) Error() string {
	return fmt.Sprintf("reading the flows under %s: %s", e.Path, e.Err)
}

// Unwrap is the failure behind.
func (e *ConfigurationUnavailable) Unwrap() error { return e.Err }

// Store reads flows. It implements [request.Flows].
type Store struct {
	client *ssm.Client
	path   string
	log    *slog.Logger
}

// New makes a reader of the flows under a path such as /sym/main/flows.
func New(client *ssm.Client, path string, log *slog.Logger) *Store {
	return &Store{client: client, path: strings.TrimRight(path, "/"), log: log}
}

// Flows reads all flows, by name. A flow whose configuration cannot be understood is left out
// and logged, so that one flow's fault does not stop the others.
//
// It reads them anew at every call: who has been taken off the list of approvers must not
// approve a moment later, on whichever instance.
func (s *Store) Flows(ctx context.Context) ([]request.Flow, error) {
	documents, err := s.read(ctx)
	if err != nil {
		return nil, &ConfigurationUnavailable{s.path, err}
	}
	flows, errs := assemble(documents)
	for _, err := range errs {
		s.log.WarnContext(ctx, "a part of the flows cannot be used", "path", s.path,
			"error", err.Error())
	}
	return flows, nil
}

// Problems says what [Store.Flows] leaves out.
func (s *Store) Problems(ctx context.Context) ([]string, error) {
	documents, err := s.read(ctx)
	if err != nil {
		return nil, &ConfigurationUnavailable{s.path, err}
	}
	_, errs := assemble(documents)
	return leftout.Of(s.path, errors.Join(errs...)), nil
}

// Check says what would be left out of documents that are yet to be written, by their names below
// the path of flows. It says nothing of the rules, see [rules.Draft].
func Check(documents map[string]string) []rules.Fault {
	var faults []rules.Fault
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		var err error
		if _, target, is := strings.Cut(name, "/targets/"); is {
			_, _, err = readTarget(target, documents[name])
		} else if d, reading := readFlow(name, documents[name]); reading != nil {
			err = reading
		} else {
			_, wrong := d.flow()
			err = errors.Join(wrong...)
		}
		for _, sentence := range leftout.Of("parameter", err) {
			place, message, _ := strings.Cut(sentence, ": ")
			faults = append(faults, rules.Fault{
				Target: name, Problem: rules.Problem{Place: place, Message: message},
			})
		}
	}
	return faults
}

func (s *Store) read(ctx context.Context) (map[string]string, error) {
	documents := map[string]string{} // by name below the path
	pages := ssm.NewGetParametersByPathPaginator(s.client, &ssm.GetParametersByPathInput{
		Path: &s.path, Recursive: aws.Bool(true), WithDecryption: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, parameter := range page.Parameters {
			name := strings.TrimPrefix(aws.ToString(parameter.Name), s.path+"/")
			documents[name] = aws.ToString(parameter.Value)
		}
	}
	return documents, nil
}

// flowDocument is a flow as Terraform writes it, at "<flow>".
type flowDocument struct {
	Name               string              `json:"name"`
	Label              string              `json:"label"`
	StateMachineARN    string              `json:"state_machine_arn"`
	LambdaConnectorARN string              `json:"lambda_connector_arn"`
	RequestChannel     string              `json:"request_channel"`
	TellApprovers      request.Telling     `json:"tell_approvers"`
	Connect            string              `json:"connect"`
	Groups             map[string][]string `json:"groups"`

	// These are the rules of targets that bring none of their own, as flows wrote them that
	// were applied before targets had rules.
	Approvers              []string `json:"approvers"`
	AllowSelfApproval      bool     `json:"allow_self_approval"`
	ApprovalTimeoutSeconds int64    `json:"approval_timeout_seconds"`
}

// targetDocument is a target as Terraform writes it, at "<flow>/targets/<target>".
type targetDocument struct {
	Name     string `json:"name"`
	Label    string `json:"label"`
	Type     string `json:"type"`
	Settings struct {
		ARN      string `json:"arn"`
		RoleName string `json:"role_name"`
	} `json:"settings"`
	DefaultDurationSeconds int64           `json:"default_duration_seconds"`
	MaxDurationSeconds     int64           `json:"max_duration_seconds"`
	Rules                  json.RawMessage `json:"rules"` // a [rules.Document]
}

// assemble puts flows together from the documents that describe them and their targets, and
// says what is wrong with those it left out.
func assemble(documents map[string]string) ([]request.Flow, []error) {
	var errs []error
	byName, read := map[string]*request.Flow{}, map[string]flowDocument{}
	names := slices.Sorted(maps.Keys(documents))
	for _, name := range names { // a flow sorts before its targets
		flowName, targetName, isTarget := strings.Cut(name, "/targets/")
		if !isTarget {
			d, err := readFlow(name, documents[name])
			if err != nil {
				errs = append(errs, err)
				continue
			}
			flow, wrong := d.flow()
			errs = append(errs, wrong...)
			byName[name], read[name] = &flow, d
			continue
		}
		flow, known := byName[flowName]
		if !known {
			errs = append(errs, fmt.Errorf("the target %q belongs to no flow", name))
			continue
		}
		target, own, err := readTarget(targetName, documents[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		target.Connect = read[flowName].Connect
		flow.Targets = append(flow.Targets, target)
		set, err := readRules(own, read[flowName])
		if err != nil {
			// The target stays, so that people are told what is wrong with it.
			flow.Problems[target.Name] = err
			errs = append(errs, fmt.Errorf("the rules of the target %q: %w", name, err))
			continue
		}
		flow.TargetRules[target.Name] = set
	}
	var flows []request.Flow
	for _, name := range names {
		if flow, ok := byName[name]; ok {
			flows = append(flows, *flow)
		}
	}
	return flows, errs
}

// readRules compiles a target's own rules, or, without any, those that it has from its flow.
func readRules(own json.RawMessage, flow flowDocument) (*rules.Rules, error) {
	if len(own) == 0 || string(own) == "null" {
		return rules.Compile(flow.rules())
	}
	var d rules.Document
	if err := json.Unmarshal(own, &d); err != nil {
		return nil, fmt.Errorf("they are not written as this Runtime reads them: %w", err)
	}
	return rules.Compile(d)
}

func readFlow(name, document string) (flowDocument, error) {
	var d flowDocument
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		return d, fmt.Errorf("the flow %q is not JSON of a flow: %w", name, err)
	}
	switch {
	case d.Name != name:
		return d, fmt.Errorf("the flow %q calls itself %q", name, d.Name)
	case d.StateMachineARN == "" || d.LambdaConnectorARN == "":
		return d, fmt.Errorf("the flow %q names no state_machine_arn or no "+
			"lambda_connector_arn", name)
	case d.ApprovalTimeoutSeconds <= 0:
		return d, fmt.Errorf("the flow %q has an approval_timeout_seconds of %d", name,
			d.ApprovalTimeoutSeconds)
	}
	return d, nil
}

// flow is the document without its targets, and what is left out of it.
func (d flowDocument) flow() (request.Flow, []error) {
	flow := request.Flow{
		Name:            d.Name,
		Label:           d.Label,
		StateMachineARN: d.StateMachineARN,
		LambdaConnector: d.LambdaConnectorARN,
		RequestChannel:  d.RequestChannel,
		TellApprovers:   d.TellApprovers,
		Groups:          map[string][]string{},
		TargetRules:     map[string]*rules.Rules{},
		Problems:        map[string]error{},
	}
	var errs []error
	for _, group := range slices.Sorted(maps.Keys(d.Groups)) {
		members, err := addresses(d.Groups[group])
		if err != nil {
			errs = append(errs, fmt.Errorf("the group %q of the flow %q: %w", group, d.Name, err))
		}
		flow.Groups[group] = members
	}
	if _, err := addresses(d.Approvers); err != nil {
		errs = append(errs, fmt.Errorf("the approvers of the flow %q: %w", d.Name, err))
	}
	return flow, errs
}

// rules are those of the flow's targets that bring none.
func (d flowDocument) rules() rules.Document {
	approvers, _ := addresses(d.Approvers) // see flow
	return rules.Document{
		Approvers: approvers, Approvals: 1, AllowSelfApproval: d.AllowSelfApproval,
		ApprovalTimeoutSeconds: d.ApprovalTimeoutSeconds,
	}
}

// addresses are those of a list that can be anybody's, and an error about the others: nobody asks or
// approves by them, since people are known by addresses in ASCII alone.
func addresses(list []string) ([]string, error) {
	var emails, wrong []string
	for _, entry := range list {
		email := request.Email(strings.TrimSpace(entry))
		switch {
		case email == "":
		case !request.IsEmail(email):
			wrong = append(wrong, fmt.Sprintf("%+q", entry))
		default:
			emails = append(emails, email)
		}
	}
	if len(wrong) > 0 {
		return emails, fmt.Errorf("no e-mail address in letters from A to Z is %s",
			strings.Join(wrong, ", "))
	}
	return emails, nil
}

func readTarget(name, document string) (request.Target, json.RawMessage, error) {
	var d targetDocument
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		return request.Target{}, nil, fmt.Errorf("the target %q is not JSON of a target: %w", name, err)
	}
	switch {
	case d.Name != name:
		return request.Target{}, nil, fmt.Errorf("the target %q calls itself %q", name, d.Name)
	case d.Settings.ARN == "" || d.Settings.RoleName == "":
		return request.Target{}, nil, fmt.Errorf("the target %q has no settings.arn or no "+
			"settings.role_name", name)
	case d.MaxDurationSeconds <= 0 || d.DefaultDurationSeconds <= 0 ||
		d.DefaultDurationSeconds > d.MaxDurationSeconds:
		return request.Target{}, nil, fmt.Errorf("the target %q has a default duration of %d seconds "+
			"and a maximum of %d", name, d.DefaultDurationSeconds, d.MaxDurationSeconds)
	}
	return request.Target{
		Name:            d.Name,
		Label:           d.Label,
		Type:            d.Type,
		FunctionARN:     d.Settings.ARN,
		RoleName:        d.Settings.RoleName,
		DefaultDuration: time.Duration(d.DefaultDurationSeconds) * time.Second,
		MaxDuration:     time.Duration(d.MaxDurationSeconds) * time.Second,
	}, d.Rules, nil
}
