package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestKindsOfJSON checks that JSON is taken by the names that clients give to it.
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
	d := newDesk(t)
	event := as("bob", "POST", "/requests/x/approve", "")
	event.Headers = map[string]string{"content-type": "text/plain"}
	status, body := d.call(t, event)
	assert.Equal(t, http.StatusNotFound, status, "no body has no type: %s", body)
}
