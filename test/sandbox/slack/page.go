package slack

import "net/http"

// routes is everything that the stand-in serves.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.api)
	mux.HandleFunc("POST /respond/{key}", s.respond)
	return mux
}
