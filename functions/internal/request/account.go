package request

import "context"

// accountKey is the context key of the acting person's account.
type accountKey struct{}

// WithAccount adds the account that a person acts with: a Slack user or an IAM principal, by an
// identifier that is never reused. It stays the same when the person's address changes.
func WithAccount(ctx context.Context, account string) context.Context {
	return context.WithValue(ctx, accountKey{}, account)
}

func accountOf(ctx context.Context) string {
	account, _ := ctx.Value(accountKey{}).(string)
	return account
}

// Owns tells whether a request is the person's own: it was made with their address or with their
// account, see [WithAccount]. The account lets people end their own access and withdraw their own
// requests, and stops them from approving their own requests under another address. It never lets
// anybody approve.
func (r Request) Owns(ctx context.Context, person string) bool {
	return person == r.Requester || r.Account != "" && r.Account == accountOf(ctx)
}
