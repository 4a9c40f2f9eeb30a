package slack

import (
	"context"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// origin is where somebody was when they did something in Slack, as the call says it.
type origin struct {
	team       string // the id of the workspace; none where the app is an organisation's
	enterprise string // the id of the Enterprise organisation, if it belongs to one
	user       string
}

func originOf(said slackapi.InteractionCallback) origin {
	return origin{team: said.Team.ID, enterprise: said.Enterprise.ID, user: said.User.ID}
}

// acting says by which account somebody acts, see [request.WithAccount].
func acting(ctx context.Context, user string) context.Context {
	return request.WithAccount(ctx, "slack:"+user)
}

// admit refuses what comes from elsewhere. It is the one rule for commands, clicks and modals: a
// call from the Runtime's own workspace is heard, and so is one from another workspace of the same
// Enterprise organisation, or from no workspace at all where the app is installed for the whole
// organisation. There the ids of accounts are the organisation's: the call's account is the one
// that the Runtime's own workspace knows by that id if it belongs to the same organisation. Who
// they are, and whether they belong to the workspace, is asked of everybody in the same way then,
// see [people.email].
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
			"this, so nothing was done. Whoever maintains the Runtime has to install the app in its "+
			"workspace, and not for a whole organisation to which your account does not belong.")
	}
	return request.Refuse(nil, UnknownPerson, "This workspace is not the one that the Runtime "+
		"belongs to, so nothing was done. Try it in that one.")
}
