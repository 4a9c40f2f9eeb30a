package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/request"
)

// listParameters are the query parameters of GET /requests.
var listParameters = []string{
	"flow", "held_at", "limit", "next", "requester", "review", "state", "target",
}

// checkQuery refuses parameters that are not known, given twice, or empty: a filter that is
// mistyped, or a script's variable that holds nothing, must not list everything.
func checkQuery(event events.APIGatewayV2HTTPRequest, known []string) error {
	for name, value := range event.QueryStringParameters {
		switch {
		case len(known) == 0:
			return refuse(unknownParameter, "The query has a parameter %.64q, and this call takes "+
				"none.", name)
		case !slices.Contains(known, name):
			return refuse(unknownParameter, "The query has a parameter %.64q that is not known "+
				"here. The parameters are %s.", name, strings.Join(known, ", "))
		case value == "" && name != "next": // a script's loop begins with an empty one
			return refuse(invalidParameter, "The parameter %q is empty. Leave it out, or say what "+
				"it shall be.", name)
		}
	}
	// API Gateway joins what is given twice with a comma, in which one may stand anyway.
	sent, err := url.ParseQuery(event.RawQueryString)
	if err != nil {
		return refuse(invalidParameter, "The query cannot be read. Encode what is no letter or "+
			"digit in it, as %%20 for a space.")
	}
	for name, values := range sent {
		if len(values) > 1 {
			return refuse(invalidParameter, "The parameter %.64q is given %d times. Give it once.",
				name, len(values))
		}
	}
	return nil
}

// query reads which requests a call wants listed.
func (a *API) query(c call) (request.Query, error) {
	q := request.Query{
		State: request.State(c.query["state"]), Flow: c.query["flow"], Target: c.query["target"],
		Next: c.query["next"],
	}
	switch requester := c.query["requester"]; {
	case requester == "me":
		q.Requester = c.person
	case requester != "" && !request.IsEmail(requester):
		return q, refuse(invalidParameter, "The requester %.64q is not an e-mail address. Write "+
			"one in letters from A to Z, or \"me\" for your own requests.", requester)
	default:
		q.Requester = request.Email(requester)
	}
	switch review := c.query["review"]; review {
	case "":
	case "pending":
		q.Review = true
	default:
		return q, refuse(invalidParameter, "The parameter \"review\" can be \"pending\" and "+
			"nothing else, and is %.64q.", review)
	}
	if limit, given := c.query["limit"]; given {
		n, err := strconv.Atoi(limit)
		if err != nil || n == 0 {
			n = -1 // zero would mean the default; the service refuses what is below
		}
		q.Limit = n
	}
	if at, given := c.query["held_at"]; given {
		var err error
		if q.HeldAt, err = a.moment(at); err != nil {
			return q, err
		}
	}
	return q, nil
}

// moment reads a moment that has been.
func (a *API) moment(text string) (time.Time, error) {
	// A plus sign that was not encoded has arrived as a space.
	at, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	switch {
	case err != nil:
		return at, refuse(request.InvalidTime, "The time %.64q is not written as RFC 3339 has it, "+
			"such as 2026-03-03T14:00:00Z or 2026-03-03T14:00:00%%2B01:00.", text)
	case at.After(a.Service.Now().Add(time.Minute)): // clocks differ a little
		return at, refuse(request.InvalidTime, "The time %.64q is yet to come, and who will hold "+
			"access then is not known.", text)
	}
	return at, nil
}
