package client_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/client"
)

func TestParseEndpoint(t *testing.T) {
	const regional = "https://a1.execute-api.eu-west-1.amazonaws.com"
	for text, want := range map[string]string{
		regional:                          regional,
		" " + regional + "/ ":             regional,
		"https://access.example.com/v1//": "https://access.example.com/v1",
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080",
		"http://localhost:8080":           "http://localhost:8080",
		"http://[::1]:8080":               "http://[::1]:8080",
	} {
		endpoint, err := client.ParseEndpoint(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, endpoint.String())
	}
	for _, text := range []string{
		"", "a1", "a1.execute-api.eu-west-1.amazonaws.com", "https://", "ftp://example.com",
		"http://example.com", "http://127.0.0.1.example.com", "http://localhost.example.com",
		"https://a:b@example.com", "https://example.com?x=1", "https://example.com#x",
		"https://exa mple.com", "https://example.com/%zz",
	} {
		_, err := client.ParseEndpoint(text)
		assert.Error(t, err, text)
	}
	_, err := client.ParseEndpoint("https://alice:secret@example.com")
	assert.NotContains(t, err.Error(), "secret")
}

func TestRegionOf(t *testing.T) {
	for host, want := range map[string]string{
		"a1.execute-api.eu-west-1.amazonaws.com":                 "eu-west-1",
		"a1.execute-api.us-gov-west-1.amazonaws.com":             "us-gov-west-1",
		"a1.execute-api.cn-north-1.amazonaws.com.cn":             "cn-north-1",
		"a1.execute-api.eu-west-1.api.aws":                       "eu-west-1",
		"a1-vpce-0123.execute-api.us-east-1.amazonaws.com":       "us-east-1",
		"access.example.com":                                     "",
		"127.0.0.1":                                              "",
		"a1.execute-api.eu-west-1.example.com":                   "",
		"execute-api.eu-west-1.amazonaws.com.example.com":        "eu-west-1", // of the signature only
		"notexecute-api.eu-west-1.amazonaws.com":                 "",
		"a1.lambda-url.eu-west-1.on.aws":                         "",
		"vpce-0123-abc.execute-api.eu-west-1.vpce.amazonaws.com": "eu-west-1",
	} {
		endpoint, err := client.ParseEndpoint("https://" + host)
		require.NoError(t, err)
		assert.Equal(t, want, client.RegionOf(endpoint), host)
	}
}
