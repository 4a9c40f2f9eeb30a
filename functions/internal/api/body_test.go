package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestKindsOfJSON checks that JSON is taken by the names that clients give to it, and nothing else is.
func TestKindsOfJSON(t *testing.T) {
	for _, kind := range []string{
		"application/json", "Application/JSON; charset=UTF-8", `application/json;charset="utf-8"`,
	} {
		d := newDesk(t)
		event := as("alice", "POST", "/requests", `{"flow":"postgres","target":"readonly","reason":"x"}`)
		event.Headers = map[string]string{"content-type": kind}
		status, body := d.call(t, event)
		assert.Equal(t, http.StatusCreated, status, body)
	}
	for _, kind := range []string{
		"application/x-www-form-urlencoded", "text/plain; charset=utf-8",
		"application/json; charset=utf-16", ";", "",
	} {
		d := newDesk(t)
		event := as("alice", "POST", "/requests", `{"flow":"postgres","target":"readonly","reason":"x"}`)
		event.Headers = map[string]string{"content-type": kind}
		status, body := d.call(t, event)
		assert.Equal(t, http.StatusUnsupportedMediaType, status, "%q: %s", kind, body)
		assert.Contains(t, body, "unsupported_media_type")
	}
	d := newDesk(t)
	event := as("bob", "POST", "/requests/x/approve", "")
	event.Headers = map[string]string{"content-type": "text/plain"}
	status, body := d.call(t, event)
	assert.Equal(t, http.StatusNotFound, status, "no body has no type: %s", body)
}
