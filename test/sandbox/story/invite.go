package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// invite says how to use the sandbox for as long as it is up, and writes the
// files that this takes: a curl configuration for each person, and the users'
// passwords for psql.
func invite(ctx context.Context, n *narrator, box *sandbox.Sandbox, d sandbox.Deployment) error {
	passwords, err := box.UserPasswords(ctx, d.Database)
	if err != nil {
		return err
	}
	var logins strings.Builder
	for name, password := range passwords {
		fmt.Fprintf(&logins, "%s:%d:%s:%s:%s\n", d.Database.Host, d.Database.Port, d.Database.Name, name, password)
	}
	pgpass := filepath.Join(box.Dir, "pgpass")
	if err := os.WriteFile(pgpass, []byte(logins.String()), 0o600); err != nil {
		return err
	}
	for name, email := range map[string]string{"alice": asks, "bob": approves} {
		person, err := box.Person(ctx, d, email)
		if err != nil {
			return err
		}
		if err := writeCurl(box, name, person); err != nil {
			return err
		}
	}
	n.chapter("Your turn")
	n.text(fmt.Sprintf(`The API is %[1]s. Ask as alice, approve as bob:

  curl -K %[2]s/alice.curl %[1]s/requests \
    -d '{"flow": %[3]q, "target": %[4]q, "duration": 300, "reason": "To see how it works"}'
  curl -K %[2]s/bob.curl -X POST %[1]s/requests/ID/approve
  curl -K %[2]s/alice.curl %[1]s/requests/ID
  curl -K %[2]s/alice.curl -X POST %[1]s/requests/ID/revoke

Look into the database as alice:

  PGPASSFILE=%[2]s/pgpass psql "host=%[5]s port=%[6]d dbname=%[7]s user=%[8]s \
    sslmode=verify-full sslrootcert=%[9]s"

What the functions write is in %[2]s/logs.
Ctrl-C stops everything.
`, d.APIEndpoint, box.Dir, d.Flow, target, d.Database.Host, d.Database.Port, d.Database.Name, user,
		box.Authority.File))
	return nil
}

// writeCurl writes what curl needs to call the API as somebody.
func writeCurl(box *sandbox.Sandbox, name string, who sandbox.Person) error {
	text := fmt.Sprintf("silent\nshow-error\naws-sigv4 = \"aws:amz:%s:execute-api\"\nuser = \"%s:%s\"\n"+
		"header = \"X-Amz-Security-Token: %s\"\nheader = \"Content-Type: application/json\"\nwrite-out = \"\\n\"\n",
		front.Region, who.Keys.AccessKeyID, who.Keys.SecretAccessKey, who.Keys.SessionToken)
	return os.WriteFile(filepath.Join(box.Dir, name+".curl"), []byte(text), 0o600)
}
