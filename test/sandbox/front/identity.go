package front

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Identity is who a call comes from, as AWS names it.
type Identity struct {
	Account string
	// ARN is the caller's own, a session's where it is one.
	ARN string
	// RoleARN is the role that the session is of; empty for others.
	RoleARN string
	// UserID is AWS's unique id of the caller, as GetCallerIdentity answers it.
	UserID string
	// Service is the service principal, such as "states.amazonaws.com", where
	// the caller is AWS itself.
	Service string
}

// principals are all names under which a policy may name the caller.
func (i Identity) principals() []string {
	names := []string{i.ARN, "arn:aws:iam::" + i.Account + ":root"}
	if i.RoleARN != "" {
		names = append(names, i.RoleARN)
	}
	return names
}

// keyring holds every access key that the sandbox has given out.
type keyring struct {
	mu   sync.RWMutex
	keys map[string]key
}

type key struct {
	aws.Credentials
	Identity
}

func newKeyring() *keyring { return &keyring{keys: map[string]key{}} }

// issue makes credentials for an identity. A lifetime of zero makes an access
// key that lasts, any other a session's that ends.
func (k *keyring) issue(who Identity, lifetime time.Duration) aws.Credentials {
	c := aws.Credentials{
		AccessKeyID:     "AKIA" + randomID(16),
		SecretAccessKey: randomHex(20),
		Source:          "sandbox",
	}
	if lifetime > 0 {
		c.AccessKeyID = "ASIA" + randomID(16)
		c.SessionToken = randomHex(64)
		c.CanExpire, c.Expires = true, time.Now().Add(lifetime).UTC().Truncate(time.Second)
	}
	k.add(c, who)
	return c
}

func (k *keyring) add(c aws.Credentials, who Identity) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.keys, func(_ string, old key) bool { return old.Expired() })
	k.keys[c.AccessKeyID] = key{c, who}
}

func (k *keyring) find(accessKeyID string) (key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found, ok := k.keys[accessKeyID]
	return found, ok
}

// root is the identity of an account's own administrator.
func root(account string) Identity {
	return Identity{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account}
}

// session is the identity that a session of a role has.
func session(roleARN, roleID, name string) Identity {
	account := accountOf(roleARN)
	role := roleARN[strings.LastIndex(roleARN, "/")+1:]
	return Identity{
		Account: account,
		ARN:     fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", account, role, name),
		RoleARN: roleARN,
		UserID:  roleID + ":" + name,
	}
}

func randomID(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base32.StdEncoding.EncodeToString(b)[:n]
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// accountOf is the account that an ARN is in.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}
