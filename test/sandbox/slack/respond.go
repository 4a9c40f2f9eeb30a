package slack

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// responding is what a response_url stands for.
type responding struct {
	user    string // who sees an ephemeral answer
	channel string
	message *Message // the one that was clicked in; nil for a command
	until   time.Time
	left    int
}

// responseURL makes the address at which the app may answer a command or a click
// for half an hour, five times. The lock is held.
func (s *Server) responseURL(user, channel string, message *Message) string {
	key := rand.Text()
	s.responses[key] = &responding{
		user: user, channel: channel, message: message,
		until: s.now().Add(respondFor), left: mostResponses,
	}
	return s.URL() + "/respond/" + key
}

// spoken is what the app says at a response_url, or as the answer to a command.
type spoken struct {
	Type     string          `json:"response_type"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks"`
	Thread   string          `json:"thread_ts"`
	Replace  bool            `json:"replace_original"`
	Delete   bool            `json:"delete_original"`
	original *Message
}

// respond takes what the app says at a response_url.
func (s *Server) respond(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault(w, respondMethod) {
		s.recordAPI(APICall{Method: respondMethod, Error: "fault"})
		return
	}
	code := ""
	to := s.responses[r.PathValue("key")]
	var said spoken
	switch {
	case to == nil || s.now().After(to.until):
		code = "expired_url"
	case to.left == 0:
		code = "used_url"
	case err != nil || json.Unmarshal(body, &said) != nil:
		code = "invalid_payload"
	default:
		to.left--
		said.original = to.message
		if refused := s.say(said, to.user, to.channel); refused != nil {
			code, _ = refused["error"].(string)
		}
	}
	s.recordAPI(APICall{Method: respondMethod, Args: args{"payload": string(body)}, Error: code})
	switch code {
	case "":
		answer(w, http.StatusOK, result{"ok": true})
	case "expired_url", "used_url":
		answer(w, http.StatusNotFound, refuse(code))
	default:
		answer(w, http.StatusInternalServerError, refuse(code))
	}
}

// say shows what the app answers: to all, or to the one person. The lock is held.
func (s *Server) say(said spoken, user, channel string) result {
	if said.Delete && said.original != nil {
		said.original.Deleted = true
		s.notify()
		return nil
	}
	a := args{"text": said.Text}
	if len(said.Blocks) > 0 && string(said.Blocks) != "null" {
		a["blocks"] = string(said.Blocks)
	}
	v, refused := content(a)
	if refused != nil {
		return refused
	}
	if said.Replace && said.original != nil {
		s.change(said.original, v)
		return nil
	}
	m := &Message{Version: v, Channel: channel, User: BotUser, For: user, Thread: said.Thread}
	if said.Type == "in_channel" {
		m.For = ""
	}
	if said.Thread == "" && said.original != nil {
		m.Thread = said.original.Thread
	}
	s.add(m)
	return nil
}
