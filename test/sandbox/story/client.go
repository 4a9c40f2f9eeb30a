package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// buildClient builds the command-line client to a path.
func buildClient(ctx context.Context, root, path string) error {
	c := exec.CommandContext(ctx, "go", "build", "-o", path, "./functions/sym") // #nosec G204 -- our own program, into our own folder
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("the client was not built: %w: %s", err, out)
	}
	return nil
}

// run runs the client as somebody, and shows what a terminal would.
func (s *story) run(ctx context.Context, name string, who sandbox.Person, arguments ...string) error {
	s.say("%s: sym %s", name, strings.Join(arguments, " "))
	c := exec.CommandContext(ctx, s.client, arguments...) // #nosec G204 -- the client that was built just now
	c.Env = append(os.Environ(), "AWS_PROFILE=")
	for name, value := range clientEnv(s.d, who) {
		c.Env = append(c.Env, name+"="+value)
	}
	out, err := c.CombinedOutput()
	var indented strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(string(out), "\n"), "\n") {
		fmt.Fprintf(&indented, "             %s\n", line)
	}
	s.text(indented.String())
	if err != nil {
		return fmt.Errorf("sym %s: %w", strings.Join(arguments, " "), err)
	}
	return nil
}

// clientEnv is what the client finds the sandbox by, and signs with.
func clientEnv(d sandbox.Deployment, who sandbox.Person) map[string]string {
	return map[string]string{
		"SYM_API":               d.APIEndpoint,
		"AWS_REGION":            front.Region,
		"AWS_DEFAULT_REGION":    front.Region,
		"AWS_ACCESS_KEY_ID":     who.Keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": who.Keys.SecretAccessKey,
		"AWS_SESSION_TOKEN":     who.Keys.SessionToken,
	}
}
