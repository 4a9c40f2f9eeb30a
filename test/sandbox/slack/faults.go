package slack

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// faults are what a test has put in the way of the app's calls.
type faults struct {
	down    bool
	failing map[string]*failing
	limited map[string]time.Time
}

type failing struct {
	code string
	left int
}

// Down makes Slack answer 503 to everything that the app calls, until it is up
// again.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.down = down
	s.notify()
}

// Fail makes the next n calls of a method fail with an error of Slack's; n below
// zero is all of them, and zero none any more. The method "response_url" is an
// answer to a command or a click.
func (s *Server) Fail(method, code string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.failing == nil {
		s.faults.failing = map[string]*failing{}
	}
	s.faults.failing[method] = &failing{code: code, left: n}
}

// RateLimit makes a method answer that it is called too often, for as long as it
// says in Retry-After, in whole seconds.
func (s *Server) RateLimit(method string, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.limited == nil {
		s.faults.limited = map[string]time.Time{}
	}
	s.faults.limited[method] = s.now().Add(retryAfter)
}

// fault answers a call that a test wants to fail, and tells whether it has. The
// lock is held.
func (s *Server) fault(w http.ResponseWriter, method string) bool {
	if s.faults.down {
		http.Error(w, "upstream connect error or disconnect/reset before headers",
			http.StatusServiceUnavailable)
		return true
	}
	if left := s.faults.limited[method].Sub(s.now()); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(left.Seconds()))))
		answer(w, http.StatusTooManyRequests, refuse("ratelimited"))
		return true
	}
	f := s.faults.failing[method]
	if f == nil || f.left == 0 {
		return false
	}
	if f.left > 0 {
		f.left--
	}
	status := http.StatusOK
	if method == respondMethod {
		status = http.StatusNotFound
	}
	answer(w, status, refuse(f.code))
	return true
}
