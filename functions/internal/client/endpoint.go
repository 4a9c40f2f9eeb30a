package client

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// ParseEndpoint reads the address of an API.
func ParseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not the address of an API: write it as `terraform output "+
			"api_endpoint` does, with https:// before it", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the address of the API, %q, has more than a host and a path in it: "+
			"leave out names, passwords and what follows ? or #", u.Redacted())
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		// The token of temporary credentials is sent along, and so is every reason.
		return nil, fmt.Errorf("the address of the API, %q, is not encrypted: write https://", text)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// regional is the host name of an API in API Gateway; it contains the region.
// https://docs.aws.amazon.com/general/latest/gr/apigateway.html
var regional = regexp.MustCompile(
	`(?:^|\.)execute-api\.([a-z]+(?:-[a-z]+)+-[0-9]+)\.(?:amazonaws\.com|api\.aws|vpce\.)`)

// RegionOf is the region that an API's host name contains; empty where it contains none.
func RegionOf(endpoint *url.URL) string {
	if match := regional.FindStringSubmatch(endpoint.Hostname()); match != nil {
		return match[1]
	}
	return ""
}
