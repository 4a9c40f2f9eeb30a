package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
)

// shell runs a line after a file has been read, as somebody who works with another AWS.
func shell(t *testing.T, file, line string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", `. "$1"; eval "$2"`, "sh", file, line)
	c.Env = append(os.Environ(), "AWS_PROFILE=work", "AWS_DEFAULT_PROFILE=work",
		"AWS_SESSION_TOKEN=theirs", "AWS_ACCESS_KEY_ID=theirs", "AWS_REGION=eu-west-1")
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestEnvironmentsOfPeople checks that the file of a person leaves nothing of another AWS, and no
// variable that is empty: programs take an empty AWS_PROFILE for the name of a profile.
func TestEnvironmentsOfPeople(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "it's a folder")
	require.NoError(t, os.Mkdir(dir, 0o755))
	file := filepath.Join(dir, "alice.env")
	vars := clientEnv(sandbox.Deployment{APIEndpoint: "http://127.0.0.1:1"}, sandbox.Person{})
	vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = "AKIA", "it's secret"
	vars["AWS_SESSION_TOKEN"] = "token"
	require.NoError(t, os.WriteFile(file, []byte(envFile(vars, dir)), 0o600))
	out, err := shell(t, file, "env")
	require.NoError(t, err, out)
	assert.NotContains(t, out, "PROFILE")
	assert.NotContains(t, out, "theirs")
	assert.NotContains(t, out, "eu-west-1")
	assert.Contains(t, out, "AWS_SECRET_ACCESS_KEY=it's secret\n")
	assert.Contains(t, out, "\nPATH="+dir+":")
}

// TestOnesOwnTerraform deploys a configuration to the sandbox as somebody would by hand.
func TestOnesOwnTerraform(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, box.Close()) })
	require.NoError(t, writeAdmin(box))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), []byte(`
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

data "aws_caller_identity" "me" {}

resource "aws_ssm_parameter" "mine" {
  name  = "/mine"
  type  = "String"
  value = data.aws_caller_identity.me.account_id
}
`), 0o600))
	out, err := shell(t, filepath.Join(box.Dir, "admin.env"), strings.Join([]string{
		"cd '" + dir + "'", "terraform init -no-color", "terraform apply -auto-approve -no-color",
		"terraform show -no-color",
	}, " && "))
	require.NoError(t, err, out)
	assert.Contains(t, out, front.Account)
	assert.Contains(t, out, "1 added")
}
