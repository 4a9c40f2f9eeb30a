package slack

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// UnknownPerson says that a Slack account is nobody who may use the Runtime.
const UnknownPerson request.Code = "unknown_slack_user"

// looksLikeUser is what Slack's user ids look like.
var looksLikeUser = regexp.MustCompile(`^[UW][A-Z0-9]{2,32}$`)

// people matches Slack's accounts with people, both ways, by their e-mail addresses. A table in
// Terraform goes before what Slack says.
type people struct {
	client    *client
	workspace string
	now       func() time.Time
	byID      map[string]string // the table
	byEmail   map[string]string // the same the other way

	mu     sync.Mutex
	emails map[string]known // by user id
	users  map[string]known // by e-mail address
	orgs   map[string]known // the ids of Enterprise organisations by user id
}

// known is what Slack said, and until when it is believed.
type known struct {
	value string
	until time.Time
}

// remember is how long an answer of Slack's is believed. Who loses their account in Slack can
// click nothing any more; who gets another address is somebody else this much later.
const remember = 2 * time.Minute

func newPeople(s Settings, p Parts) *people {
	all := &people{
		workspace: s.Workspace, now: p.Now,
		byID: map[string]string{}, byEmail: map[string]string{},
		emails: map[string]known{}, users: map[string]known{},
		orgs: map[string]known{},
	}
	for id, email := range s.Users {
		email = request.Email(email)
		all.byID[id] = email
		if email == "" {
			continue
		}
		if other, taken := all.byEmail[email]; !taken || id < other {
			all.byEmail[email] = id
		}
	}
	return all
}

// email is who a Slack account belongs to, or why it belongs to nobody here.
func (p *people) email(ctx context.Context, user string) (string, error) {
	if !looksLikeUser.MatchString(user) {
		return "", stranger("", "The call does not say who you are in Slack.")
	}
	switch email, ok := p.byID[user]; {
	case ok && email == "":
		return "", stranger(user, "The entry for your Slack account in the table slack_users cannot be used.")
	case ok:
		return email, nil
	}
	if email, ok := p.recall(p.emails, user); ok {
		return email, nil
	}
	info, err := p.info(ctx, user)
	if err != nil {
		return "", err
	}
	email, err := p.match(info)
	if err != nil {
		return "", err
	}
	p.keep(p.emails, user, email)
	return email, nil
}

// info asks Slack about an account.
func (p *people) info(ctx context.Context, user string) (*slackapi.User, error) {
	var info *slackapi.User
	err := p.client.do(ctx, "users.info", func(api *slackapi.Client) (err error) {
		info, err = api.GetUserInfoContext(ctx, user)
		return err
	})
	switch {
	case codeIs(err, "user_not_found", "users_not_found", "user_not_visible"):
		return nil, stranger(user, "Slack does not know your account in this workspace.")
	case err == nil && info.ID != user:
		err = errors.New("users.info answered with another user")
	}
	return info, err
}

// match refuses the accounts that nobody vouches for, and returns the others' address.
func (p *people) match(u *slackapi.User) (string, error) {
	email := request.Email(u.Profile.Email)
	switch {
	case u.IsBot || u.IsWorkflowBot || u.IsConnectorBot || u.ID == "USLACKBOT":
		return "", stranger(u.ID, "A bot cannot ask for access or decide about it.")
	case u.Deleted:
		return "", stranger(u.ID, "Your Slack account has been deactivated.")
	case u.IsStranger || !p.member(u):
		return "", stranger(u.ID, "Your Slack account belongs to another workspace.")
	case u.IsRestricted || u.IsUltraRestricted:
		return "", stranger(u.ID, "Your Slack account is a guest's.")
	case u.IsInvitedUser:
		return "", stranger(u.ID, "Your Slack account is invited, and has not joined yet.")
	case email == "":
		return "", stranger(u.ID, "Your Slack account shows no e-mail address.")
	case !u.IsEmailConfirmed:
		return "", stranger(u.ID, "The e-mail address of your Slack account is not confirmed.")
	case !request.IsEmail(email):
		return "", stranger(u.ID, "The e-mail address of your Slack account has characters other than "+
			"ASCII's in it, or is none: %s.", shorten(u.Profile.Email, 80))
	}
	return email, nil
}

// member tells whether an account is one of the workspace's own. In an Enterprise organisation
// it may belong to several.
func (p *people) member(u *slackapi.User) bool {
	return u.TeamID == p.workspace || slices.Contains(u.Enterprise.Teams, p.workspace)
}

// stranger is the refusal of an account that cannot be matched to a person. It says how that can be
// changed, with the id that the maintainer needs.
func stranger(user, format string, args ...any) error {
	id := ""
	if looksLikeUser.MatchString(user) {
		id = " Your Slack user ID is " + user + "."
	}
	return request.Refuse(nil, UnknownPerson, "%s We cannot match this account to a person. Ask the "+
		"Runtime's maintainer to add you to slack_users in Terraform, with your e-mail address.%s",
		fmt.Sprintf(format, args...), id)
}

// user is the Slack account of a person; empty where they have none that could be theirs.
func (p *people) user(ctx context.Context, email string) (string, error) {
	if id, ok := p.byEmail[email]; ok {
		return id, nil
	}
	if !request.IsEmail(email) {
		return "", nil
	}
	if id, ok := p.recall(p.users, email); ok {
		return id, nil
	}
	var info *slackapi.User
	err := p.client.do(ctx, "users.lookupByEmail", func(api *slackapi.Client) (err error) {
		info, err = api.GetUserByEmailContext(ctx, email)
		return err
	})
	if err != nil && !codeIs(err, "users_not_found", "user_not_found", "user_not_visible") {
		return "", err
	}
	id := ""
	if err == nil {
		id = p.account(info, email)
	}
	p.keep(p.users, email, id)
	return id, nil
}

// account is the id of an account if it is a person's, by the same measure as at a click.
func (p *people) account(u *slackapi.User, email string) string {
	if _, elsewhere := p.byID[u.ID]; elsewhere {
		return "" // the table says whose it is, and it is not theirs
	}
	if matched, err := p.match(u); err != nil || matched != email {
		return ""
	}
	return u.ID
}

func (p *people) recall(from map[string]known, key string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := from[key]
	return k.value, ok && p.now().Before(k.until)
}

func (p *people) keep(in map[string]known, key, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for k, old := range in {
		if !now.Before(old.until) {
			delete(in, k)
		}
	}
	in[key] = known{value, now.Add(remember)}
}

// refusal is the sentence of a refusal; empty if the error is none.
func refusal(err error) string {
	if refused, ok := errors.AsType[*request.Error](err); ok {
		return refused.Message
	}
	return ""
}

// listPeople puts several addresses into a sentence, with a word before the last.
func listPeople(emails []string, last string) string {
	switch n := len(emails); {
	case n == 0:
		return "nobody"
	case n == 1:
		return emails[0]
	case n > 5:
		return fmt.Sprintf("%s and %d more", strings.Join(emails[:4], ", "), n-4)
	default:
		return strings.Join(emails[:n-1], ", ") + " " + last + " " + emails[n-1]
	}
}
