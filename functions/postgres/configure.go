package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/email"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/ledger"
	"sym-postgres-quickstart/functions/internal/leftout"
)

// defaultMaxDuration is the longest that access is given where PG_MAX_DURATION is not set.
const defaultMaxDuration = 24 * time.Hour

// newHandler reads the configuration. Where there is no way to the database, every invocation says
// why, which tells more than a process that exits.
func newHandler(getenv func(string) string, log *slog.Logger) lambda.Handler {
	h, err := configure(getenv, log)
	if err != nil {
		return broken{ConfigurationInvalid{err.Error()}}
	}
	leftout.Log(context.Background(), log, h.problems)
	return h
}

// broken answers every event with the same error.
type broken struct{ err error }

func (b broken) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if answer, err, checked := check(ctx, payload); checked {
		return answer, err
	}
	return nil, b.err
}

// configure reads the environment. Its error is that there is no way to the database. Whatever else
// is wrong is left out, see handler: taking roles back needs none of it.
func configure(getenv func(string) string, log *slog.Logger) (*handler, error) {
	h := &handler{max: defaultMaxDuration, log: log}
	h.leaveOut(leftout.Of("PG_ROLES", h.readRoles(getenv("PG_ROLES"))))
	for _, err := range []error{
		h.readMaxDuration(getenv("PG_MAX_DURATION")), h.readUsernameFrom(getenv("PG_USERNAME_FROM")),
	} {
		h.leaveOut(leftout.Of("", err))
		h.grants = errors.Join(h.grants, err)
	}
	usernames := h.readUsernames(getenv("PG_USERNAMES"))
	h.leaveOut(leftout.Of("PG_USERNAMES", usernames))
	if h.users.Table == nil {
		h.grants = errors.Join(h.grants, usernames)
	}
	if h.grants != nil {
		h.grants = ConfigurationInvalid{"Nothing is granted until the function's settings are corrected " +
			"in Terraform: " + strings.ReplaceAll(h.grants.Error(), "\n", "; ")}
	}
	options, err := ledgerOptions(getenv)
	h.leaveOut(leftout.Of("", err))
	config, err := database.FromEnvironment(getenv)
	if err != nil {
		return nil, err
	}
	connector, err := database.NewConnector(config)
	if err != nil {
		return nil, err
	}
	if config.Authorities != "" {
		// They can be parsed, or there would be no connector.
		authorities, _ := database.ParseAuthorities(config.Authorities)
		h.leaveOut(leftout.Of("PG_CERTIFICATE_AUTHORITIES", database.Expired(authorities, time.Now())))
	}
	options.Readers, err = readersOf(getenv, config, log)
	if options.Readers == nil && err != nil {
		return nil, err
	}
	h.leaveOut(leftout.Of("", err))
	slices.Sort(h.problems)
	h.ledger = ledger.New(database.NewSession(connector.Connect), log, options)
	return h, nil
}

func (h *handler) leaveOut(problems []string) { h.problems = append(h.problems, problems...) }

func (h *handler) readRoles(text string) error {
	var errs []error
	for role := range strings.SplitSeq(text, ",") {
		if role = strings.TrimSpace(role); role == "" {
			continue
		}
		if err := event.CheckName("role", role); err != nil {
			errs = append(errs, err)
			continue
		}
		h.roles = append(h.roles, role)
	}
	return errors.Join(errs...)
}

func (h *handler) readMaxDuration(text string) error {
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || seconds <= 0 {
		return fmt.Errorf("PG_MAX_DURATION is %q, but it has to be a number of seconds above zero", text)
	}
	h.max = time.Duration(seconds) * time.Second
	return nil
}

func (h *handler) readUsernameFrom(text string) error {
	switch text {
	case "", event.FromLocalPart, event.FromEmail:
		h.users.From = text
		return nil
	}
	return fmt.Errorf("PG_USERNAME_FROM is %q, but it has to be %s or %s", text, event.FromLocalPart,
		event.FromEmail)
}

// readUsernames reads the table of database users. Whoever has an entry that cannot be used is
// barred: without it they might become somebody else's user. Where the whole cannot be read there
// is no table.
func (h *handler) readUsernames(text string) error {
	if text == "" {
		return nil
	}
	var table map[string]any
	if err := json.Unmarshal([]byte(text), &table); err != nil || table == nil {
		return errors.New("the table of database users is not a JSON object of e-mail addresses and users")
	}
	h.users.Table, h.users.Barred = map[string]string{}, map[string]bool{}
	var errs []error
	for _, address := range slices.Sorted(maps.Keys(table)) {
		user, isText := table[address].(string)
		folded := email.Fold(strings.TrimSpace(address))
		other, twice := h.users.Table[folded]
		var err error
		switch {
		case !isText:
			err = fmt.Errorf("the database user of %q is no text", address)
		case twice && other != user:
			err = fmt.Errorf("%q has two database users, %q and %q", folded, other, user)
		default:
			err = event.CheckName("user", user)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the entry for %q: %w", address, err))
			h.users.Barred[folded] = true
			continue
		}
		h.users.Table[folded] = user
	}
	return errors.Join(errs...)
}

// ledgerOptions reads PG_END_SESSIONS (on or off, on where it is not set), PG_UNKNOWN_USERS
// (existing or create, existing where it is not set) and PG_ON_END (report or revoke, report
// where it is not set). What is none of these counts as not set, and is an error.
func ledgerOptions(getenv func(string) string) (options ledger.Options, err error) {
	var errs []error
	switch value := getenv("PG_END_SESSIONS"); value {
	case "", "on":
	case "off":
		options.KeepSessions = true
	default:
		errs = append(errs, fmt.Errorf("PG_END_SESSIONS is %q, but it has to be on or off", value))
	}
	switch value := ledger.OnEnd(getenv("PG_ON_END")); value {
	case "", ledger.Report, ledger.TakeBack:
		options.OnEnd = value
	default:
		errs = append(errs, fmt.Errorf("PG_ON_END is %q, but it has to be %s or %s",
			value, ledger.Report, ledger.TakeBack))
	}
	switch value := getenv("PG_UNKNOWN_USERS"); value {
	case "", "existing":
	case "create":
		options.MakeUsers = true
	default:
		errs = append(errs, fmt.Errorf(
			"PG_UNKNOWN_USERS is %q, but it has to be existing or create", value))
	}
	return options, errors.Join(errs...)
}

// typeCheckSettings is the event by which Terraform asks what the function would leave out of
// settings that are yet to be written, and checkAlias the alias by which it does. By that the
// function answers this and nothing else: whoever plans may ask, and must not grant.
const (
	typeCheckSettings = "check_settings"
	checkAlias        = "check"
)

// settingsProblems answers the event.
type settingsProblems struct {
	Problems []string `json:"problems"`
}

// check answers the event typeCheckSettings, and refuses others by the alias.
func check(ctx context.Context, payload []byte) (answer []byte, err error, checked bool) {
	var in struct {
		Type     string            `json:"type"`
		Settings map[string]string `json:"settings"`
	}
	reading := json.Unmarshal(payload, &in)
	if reading == nil && in.Type == typeCheckSettings {
		getenv := func(name string) string { return in.Settings[name] }
		found := settingsProblems{Problems: []string{}}
		if h, err := configure(getenv, slog.New(slog.DiscardHandler)); err != nil {
			found.Problems = append(found.Problems, err.Error())
		} else {
			found.Problems = append(found.Problems, h.problems...)
		}
		answer, err = json.Marshal(found)
		return answer, err, true
	}
	invocation, ok := lambdacontext.FromContext(ctx)
	if ok && strings.HasSuffix(invocation.InvokedFunctionArn, ":"+checkAlias) {
		refusal := event.Refuse(event.MalformedEvent, "By the alias %s the function answers the event %s "+
			"and nothing else.", checkAlias, typeCheckSettings)
		answer, err = json.Marshal(refusal.Answer())
		return answer, err, true
	}
	return nil, nil, false
}
