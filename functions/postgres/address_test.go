package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// address is where a database is reached: a forwarder in front of one server or another,
// as a name that fails over, or a network that swallows what is sent.
type address struct {
	net.Listener
	mutex     sync.Mutex
	to        string
	swallowed bool
	open      []net.Conn
}

func newAddress(t *testing.T, to string) *address {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a := &address{Listener: listener, to: to}
	t.Cleanup(func() { listener.Close(); a.moveTo("") })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go a.forward(client)
		}
	}()
	return a
}

func (a *address) forward(client net.Conn) {
	a.mutex.Lock()
	to := a.to
	a.mutex.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		client.Close()
		return
	}
	a.mutex.Lock()
	a.open = append(a.open, client, server)
	a.mutex.Unlock()
	go func() { _, _ = io.Copy(server, client) }()
	// What the server says is what may be swallowed; it hears no end then, either.
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		a.mutex.Lock()
		swallowed := a.swallowed
		a.mutex.Unlock()
		if swallowed {
			continue
		}
		if _, writeErr := client.Write(buffer[:n]); err != nil || writeErr != nil {
			client.Close()
			server.Close()
			return
		}
	}
}

// moveTo ends every connection and sends the next ones elsewhere.
func (a *address) moveTo(to string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.to, a.swallowed = to, false
	for _, conn := range a.open {
		conn.Close()
	}
	a.open = nil
}

func (a *address) swallow(yes bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.swallowed = yes
}

func (a *address) port() string {
	return strconv.Itoa(a.Addr().(*net.TCPAddr).Port)
}

// certify makes a root of its own and a certificate for localhost, in files.
func certify(t *testing.T) (root, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path,
			pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true,
		BasicConstraintsValid: true, Subject: pkix.Name{CommonName: uuid.NewString()},
		DNSNames:  []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(signer)
	require.NoError(t, err)
	root = write("cert.pem", "CERTIFICATE", der)
	return root, root, write("key.pem", "PRIVATE KEY", secret)
}
