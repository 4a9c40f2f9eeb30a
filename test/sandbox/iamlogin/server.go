// Package iamlogin lets a PostgreSQL server check IAM tokens.
//
// RDS checks a token in an authentication module of its own. A server of ours
// has none, but can ask an LDAP server whether a password is right: this package
// is that LDAP server, as small as a simple bind allows (RFC 4511, section 4.2),
// and hands every user and token to a function that decides.
package iamlogin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Check decides whether a user may log in with a token to the database at the
// server's side. An error refuses the login.
type Check func(user, token string) error

// Server is a running LDAP server. It knows one operation, the simple bind.
type Server struct {
	listener net.Listener
	check    Check
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	running  sync.WaitGroup
}

// LDAP's numbers, of RFC 4511.
const (
	bindRequest  = 0
	bindResponse = 1
	simple       = 0

	success            = 0
	protocolError      = 2
	invalidCredentials = 49
)

// prefix stands before every user's name, since PostgreSQL asks for one.
const prefix = "user="

// maxMessage bounds what is read from a client; tokens are below 4 KiB.
const maxMessage = 64 << 10

// Start starts a server on a free port of this machine.
func Start(check Check) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, check: check, open: map[net.Conn]struct{}{}}
	s.running.Go(s.accept)
	return s, nil
}

// HBA is the authentication method, for a line of pg_hba.conf, that makes
// PostgreSQL ask this server.
func (s *Server) HBA() string {
	return fmt.Sprintf("ldap ldapserver=127.0.0.1 ldapport=%d ldapprefix=%q",
		s.listener.Addr().(*net.TCPAddr).Port, prefix)
}

// Close stops the server and ends every connection.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.running.Go(func() {
			s.serve(c)
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
			_ = c.Close()
		})
	}
}

func (s *Server) serve(c net.Conn) {
	for {
		message, err := ber.ReadPacket(io.LimitReader(c, maxMessage))
		if err != nil || len(message.Children) < 2 {
			return
		}
		id, _ := message.Children[0].Value.(int64)
		operation := message.Children[1]
		if operation.ClassType != ber.ClassApplication || operation.Tag != bindRequest {
			return // An unbind, or what a login does not need.
		}
		code, text := success, ""
		user, token, err := credentials(operation)
		if err != nil {
			code, text = protocolError, err.Error()
		} else if err := s.check(user, token); err != nil {
			code, text = invalidCredentials, err.Error()
		}
		if _, err := c.Write(response(id, code, text)); err != nil {
			return
		}
	}
}

func credentials(bind *ber.Packet) (user, token string, err error) {
	if len(bind.Children) != 3 || bind.Children[2].Tag != simple {
		return "", "", errors.New("only a simple bind is known here")
	}
	name, _ := bind.Children[1].Value.(string)
	user, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", "", errors.New("the bind has no name")
	}
	return user, bind.Children[2].Data.String(), nil
}

func response(id int64, code int, text string) []byte {
	message := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	answer := ber.Encode(ber.ClassApplication, ber.TypeConstructed, bindResponse, nil, "")
	answer.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
	answer.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	answer.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, ""))
	message.AppendChild(answer)
	return message.Bytes()
}
