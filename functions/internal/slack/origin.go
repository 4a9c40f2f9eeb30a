package slack

import (
	"context"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// origin is the account and the place in Slack that a call comes from.
type origin struct {
	team       string // the id of the workspace; empty if the app is installed for an organisation
	enterprise string // the id of the Enterprise organisation, if there is one
	user       string
}

func originOf(said slackapi.InteractionCallback) origin {
	return origin{team: said.Team.ID, enterprise: said.Enterprise.ID, user: said.User.ID}
}

// acting adds the Slack account that somebody acts with, see [request.WithAccount].
func acting(ctx context.Context, user string) context.Context {
	return request.WithAccount(ctx, "slack:"+user)
}

// admit refuses calls from elsewhere. One rule covers commands, clicks and modals: it accepts calls
// from the Runtime's own workspace, from other workspaces of the same Enterprise organisation, and
// from no workspace at all if the app is installed for the whole organisation. User ids are unique
// in an organisation: if the account that the Runtime's workspace knows by this id belongs to the
// call's organisation, it is the caller's account. Identity and membership are checked afterwards,
// in the same way for everybody, see [people.email].
func (p *people) admit(ctx context.Context, o origin) error {
	switch {
	case o.team == p.workspace:
		return nil
	case o.enterprise == "" || !looksLikeUser.MatchString(o.user):
		return elsewhere(o)
	}
	org, ok := p.recall(p.orgs, o.user)
	if !ok {
		info, err := p.info(ctx, o.user)
		if err != nil {
			return err
		}
		org = info.Enterprise.EnterpriseID
		p.keep(p.orgs, o.user, org)
		if email, err := p.match(info); err == nil {
			p.keep(p.emails, o.user, email)
		}
	}
	if org != o.enterprise {
		return elsewhere(o)
	}
	return nil
}

// elsewhere is the refusal of a call that does not belong here.
func elsewhere(o origin) error {
	if o.team == "" {
		return request.Refuse(nil, UnknownPerson, "Slack does not say in which workspace you did "+
			"this, so nothing was done. Ask the Runtime's maintainer to install the app in the "+
			"Runtime's workspace: it is installed for an organisation that your account does not "+
			"belong to.")
	}
	return request.Refuse(nil, UnknownPerson, "This workspace is not the one that the Runtime "+
		"belongs to, so nothing was done. Try again in the Runtime's workspace.")
}
