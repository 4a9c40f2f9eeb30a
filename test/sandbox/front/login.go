package front

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// checkLoginToken decides, as RDS would, whether a token lets a user log in: it
// is a presigned call of rds-db:connect for that user, signed by a key that the
// sandbox gave out, and not older than fifteen minutes.
// See https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html.
func (f *Front) checkLoginToken(user, token string) error {
	err := f.decideLogin(user, token)
	if err != nil {
		f.Log.Warn("refused a database login", "user", user, "reason", err)
	}
	return err
}

func (f *Front) decideLogin(user, token string) error {
	address, err := url.Parse("https://" + strings.TrimPrefix(token, "https://"))
	if err != nil {
		return fmt.Errorf("the password is not a token")
	}
	query := address.Query()
	if query.Get("Action") != "connect" || query.Get("DBUser") != user {
		return fmt.Errorf("the token is not for %s", user)
	}
	if !f.databases.listensOn(address.Host) {
		return fmt.Errorf("the token is for %s, which is no database here", address.Host)
	}
	r := &http.Request{Method: http.MethodGet, URL: address, Host: address.Host, Header: http.Header{}}
	signed, caller, err := f.authenticate(r, nil)
	if err != nil {
		return err
	}
	if signed.service != "rds-db" {
		return fmt.Errorf("the token of %s is signed for %s", caller.ARN, signed.service)
	}
	return nil
}
