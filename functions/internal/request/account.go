package request

import "context"

// accountKey is where a context keeps the account of whoever acts.
type accountKey struct{}

// WithAccount says by which account a person acts: a user of Slack, or a principal of IAM, in a
// form that no other account ever has. An address may change while the account stays.
func WithAccount(ctx context.Context, account string) context.Context {
	return context.WithValue(ctx, accountKey{}, account)
}

func accountOf(ctx context.Context) string {
	account, _ := ctx.Value(accountKey{}).(string)
	return account
}

// Owns tells whether a request is the person's own: by their address, or by the account by which
// it was made, see [WithAccount]. The account counts where somebody ends their own access or
// withdraws their own request, and where the rules keep them from deciding about it themselves.
// It never lets anybody approve.
func (r Request) Owns(ctx context.Context, person string) bool {
	return person == r.Requester || r.Account != "" && r.Account == accountOf(ctx)
}
