package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// invite says how to use the sandbox for as long as it is up, and writes the
// files that this takes: for each person what the client and curl need, and the
// users' passwords for psql.
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
	for name, email := range map[string]string{"alice": asks, "bob": approves, "carol": "carol@example.com"} {
		person, err := box.Person(ctx, d, email)
		if err != nil {
			return err
		}
		if err := writeEnv(box, d, name, person); err != nil {
			return err
		}
	}
	if err := writeAdmin(box); err != nil {
		return err
	}
	n.chapter("Your turn, for as long as this runs")
	n.text(fmt.Sprintf(`In a browser, as if in Slack, and as whomever you choose:

  %[9]s

  1. As Alice, write /sym req below the messages, and ask for a minute.
  2. As Bob, click Approve in #access-requests.
  3. As Alice, read how to connect, and look into the database:

     . %[2]s/alice.env
     psql "host=%[5]s port=%[6]d dbname=%[7]s user=%[8]s sslmode=require" -c 'SELECT * FROM orders'

  4. A minute later it is over, in Slack and in the database.
  5. Ask for "Read and write": it takes Bob and Carol. Or break the glass: you
     have it at once, and one of them reviews it.

In a terminal, as Alice. To be Bob, source bob.env. Carol's carol.env is for
approving alone: the database has no user for her.

  . %[2]s/alice.env
  sym request readonly --reason "To see how it works" --duration 5m
  sym list
  sym help

By the API, with curl, which signs a query only where it is percent-encoded:

  curl -K %[2]s/bob.curl '%[1]s/requests?requester=alice%%40example.com'
  curl -K %[2]s/bob.curl -X POST %[1]s/requests/ID/approve

To deploy Terraform of your own here, as the administrator of this AWS:

  . %[2]s/admin.env
  terraform -chdir=YOUR_FOLDER init
  terraform -chdir=YOUR_FOLDER apply

This repository's environments need functions that are built for this machine,
not for Lambda: -var package_dir=%[2]s/dist

What the functions write is in %[2]s/logs.
Ctrl-C stops everything.
`, d.APIEndpoint, box.Dir, d.Flow, target, d.Database.Host, d.Database.Port, d.Database.Name, user,
		box.Slack.URL()))
	return nil
}

// writeEnv writes what the client and what curl need to act as somebody.
func writeEnv(box *sandbox.Sandbox, d sandbox.Deployment, name string, who sandbox.Person) error {
	vars := clientEnv(d, who)
	vars["AWS_ENDPOINT_URL"] = box.URL() // for the AWS CLI, which shall call no other AWS
	vars["PGPASSFILE"] = filepath.Join(box.Dir, "pgpass")
	env := envFile(vars, box.Dir)
	curl := fmt.Sprintf("silent\nshow-error\naws-sigv4 = \"aws:amz:%s:execute-api\"\nuser = \"%s:%s\"\n"+
		"header = \"X-Amz-Security-Token: %s\"\nheader = \"Content-Type: application/json\"\nwrite-out = \"\\n\"\n",
		front.Region, who.Keys.AccessKeyID, who.Keys.SecretAccessKey, who.Keys.SessionToken)
	for file, content := range map[string]string{name + ".env": env, name + ".curl": curl} {
		if err := os.WriteFile(filepath.Join(box.Dir, file), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeAdmin writes what Terraform and the AWS CLI need to use the sandbox as its administrator.
func writeAdmin(box *sandbox.Sandbox) error {
	env := envFile(box.Env(), filepath.Dir(box.Terraform))
	return os.WriteFile(filepath.Join(box.Dir, "admin.env"), []byte(env), 0o600)
}

// envFile is a file for a shell to read. Of another AWS it leaves nothing behind: a profile that is
// set, even to nothing, goes before keys in the environment for some programs.
func envFile(vars map[string]string, path string) string {
	var file strings.Builder
	for _, name := range []string{
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	} {
		if _, set := vars[name]; !set {
			fmt.Fprintf(&file, "unset %s\n", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&file, "export %s=%s\n", name, quoted(vars[name]))
	}
	fmt.Fprintf(&file, "export PATH=%s:\"$PATH\"\n", quoted(path))
	return file.String()
}

// quoted is a word for a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
