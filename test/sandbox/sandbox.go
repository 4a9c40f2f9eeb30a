// Package sandbox is AWS on one machine, as far as this repository needs it: an
// endpoint that Terraform deploys the unmodified environments to, that runs
// their functions and state machines, keeps trust between their roles, and
// starts a real PostgreSQL server for each database. Slack has a stand-in beside
// it. The test suites and `make sandbox` use it.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sym-postgres-quickstart/test/sandbox/front"
	"sym-postgres-quickstart/test/sandbox/moto"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/slack"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// Sandbox is a running sandbox. Close stops all of it and removes its folder.
type Sandbox struct {
	*front.Front
	// Dir is the sandbox's own folder: code, logs, databases, working copies.
	Dir string
	// Admin are keys that may do everything in the main account.
	Admin aws.Credentials
	// Terraform is the path of the Terraform to use.
	Terraform string
	// Slack stands in for Slack. The functions find it by SLACK_API_URL; where they
	// are to be called it learns by [slack.Server.Connect].
	Slack *slack.Server

	moto      *moto.Server
	log       *os.File
	terraform map[string]string // What Terraform finds the provider by.
}

// Start starts a sandbox in a new folder.
func Start(ctx context.Context) (_ *Sandbox, err error) {
	s := &Sandbox{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the sandbox cannot start: %w", err), s.Close())
		}
	}()
	if s.Terraform, err = tools.Terraform(ctx); err != nil {
		return nil, err
	}
	if len(pgserver.Installed()) == 0 {
		return nil, errors.New("there is no PostgreSQL server on this machine: " +
			"go run ./test/sandbox/machine/prepare sandbox installs one, or says how")
	}
	if s.Dir, err = os.MkdirTemp("", "sym-sandbox-"); err != nil {
		return nil, err
	}
	// The databases run as another user where we are root, and live in here.
	// #nosec G302 -- as the comment says
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := tools.Provider(ctx, s.Terraform); err != nil {
		return nil, err
	}
	if s.terraform, err = tools.TerraformEnv(s.Dir); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(s.Dir, "sandbox.log")); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.moto, err = moto.Start(ctx, moto.Options{
		Dir: s.Dir, PublicPort: listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if err := runStateMachines(ctx, s.moto.URL()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	authority, err := front.NewAuthority(s.Dir)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if s.Slack, err = slack.Start(slack.Options{}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.Front, err = front.New(front.Options{
		Listener: listener, Moto: s.moto.URL(), Dir: s.Dir, Authority: authority,
		Environment: map[string]string{"SLACK_API_URL": s.Slack.APIURL()},
		Log:         slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.Admin = s.Administrator(front.Account)
	return s, nil
}

// runStateMachines tells moto to execute state machines instead of only
// keeping them.
func runStateMachines(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/moto-api/config",
		strings.NewReader(`{"stepfunctions":{"execute_state_machine":true}}`))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("moto does not run state machines: it answered %s", answer.Status)
	}
	return nil
}

// Close stops everything that the sandbox has started and removes its folder.
func (s *Sandbox) Close() error {
	var errs []error
	if s.Front != nil {
		errs = append(errs, s.Front.Close())
	}
	if s.Slack != nil {
		errs = append(errs, s.Slack.Close())
	}
	if s.moto != nil {
		errs = append(errs, s.moto.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.Dir != "" {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}

// Env is what a program needs in its environment to use the sandbox as AWS,
// with an administrator's keys.
func (s *Sandbox) Env() map[string]string {
	env := map[string]string{
		"AWS_ENDPOINT_URL":          s.URL(),
		"AWS_REGION":                front.Region,
		"AWS_DEFAULT_REGION":        front.Region,
		"AWS_ACCESS_KEY_ID":         s.Admin.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":     s.Admin.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED": "true",
	}
	maps.Copy(env, s.terraform)
	return env
}

// Environ is this process's environment without what it says of another AWS,
// and with [Sandbox.Env].
func (s *Sandbox) Environ() []string {
	list := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "AWS_") && !strings.HasPrefix(pair, "AWS_CA_BUNDLE=") ||
			strings.HasPrefix(pair, "TF_VAR_")
	})
	for name, value := range s.Env() {
		list = append(list, name+"="+value)
	}
	return list
}

// Config is the AWS SDK's configuration for the sandbox, with anybody's keys.
func (s *Sandbox) Config(keys aws.Credentials) aws.Config {
	return aws.Config{
		Region:       front.Region,
		BaseEndpoint: aws.String(s.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return keys, nil
		}),
	}
}

// Workspace copies an environment and the modules it uses into a folder of the
// sandbox, and answers the environment's folder.
func (s *Sandbox) Workspace(root, environment string) (string, error) {
	workspace, err := os.MkdirTemp(s.Dir, "terraform-")
	if err != nil {
		return "", err
	}
	environment = filepath.Join("environments", environment)
	return filepath.Join(workspace, environment), CopySource(root, workspace, "modules", environment)
}

// CopySource copies folders of Terraform's source from one root to another, so
// that Terraform leaves nothing in the source. What it left there of a real
// deployment, and that deployment's variables, stay behind.
func CopySource(from, to string, folders ...string) error {
	for _, folder := range folders {
		target := filepath.Join(to, folder)
		if err := os.CopyFS(target, os.DirFS(filepath.Join(from, folder))); err != nil {
			return fmt.Errorf("%s cannot be copied: %w", folder, err)
		}
		for _, pattern := range []string{".terraform", "terraform.tfstate*", "terraform.tfvars", "*.auto.tfvars"} {
			leftovers, err := filepath.Glob(filepath.Join(target, pattern))
			if err != nil {
				return err
			}
			for _, path := range leftovers {
				if err := os.RemoveAll(path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
