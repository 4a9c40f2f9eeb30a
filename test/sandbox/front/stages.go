package front

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

var stagePath = regexp.MustCompile(`^/v2/apis/([^/]+)/stages(?:/[^/]+)?$`)

// refuseStage refuses a stage with settings for a route that does not exist, as
// API Gateway does, and tells whether it did. moto takes them.
// See https://github.com/terraform-aws-modules/terraform-aws-apigateway-v2/pull/80.
func (a *apis) refuseStage(w http.ResponseWriter, r *http.Request, c call) bool {
	match := stagePath.FindStringSubmatch(r.URL.Path)
	if match == nil || r.Method != http.MethodPost && r.Method != http.MethodPatch {
		return false
	}
	var stage struct {
		RouteSettings map[string]any `json:"routeSettings"`
	}
	if json.Unmarshal(c.body, &stage) != nil || len(stage.RouteSettings) == 0 {
		return false
	}
	var answer struct {
		Items []route `json:"items"`
	}
	err := a.front.askJSON(r.Context(), c.caller.Account, "apigateway", http.MethodGet,
		"/v2/apis/"+match[1]+"/routes", "", nil, &answer)
	if err != nil {
		return false // moto says what is wrong
	}
	for _, key := range slices.Sorted(maps.Keys(stage.RouteSettings)) {
		if !slices.ContainsFunc(answer.Items, func(r route) bool { return r.RouteKey == key }) {
			c.fail(w, http.StatusNotFound, "NotFoundException",
				fmt.Sprintf("Unable to find Route by key %s within the provided RouteSettings", key))
			return true
		}
	}
	return false
}
