package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"sym-postgres-quickstart/test/sandbox/machine"
)

// providerVersion is the AWS provider's version that the environments lock.
const providerVersion = "5.100.0"

// provider is the AWS provider's folder below one that has providers.
var provider = filepath.Join("registry.terraform.io", "hashicorp", "aws")

// mirrors are the folders in which providers are looked for before the registry
// is asked; Terraform itself looks into some of them.
func mirrors() []string {
	var found []string
	if dir := os.Getenv("TF_PLUGIN_CACHE_DIR"); dir != "" {
		found = append(found, dir)
	}
	if home, err := os.UserHomeDir(); err == nil {
		found = append(found, filepath.Join(home, ".terraform.d/plugins"))
	}
	found = append(found, "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins")
	optional, _ := filepath.Glob("/opt/*/registry.terraform.io")
	for _, dir := range optional {
		found = append(found, filepath.Dir(dir))
	}
	return found
}

// mirror answers the folder of this machine that has the AWS provider, or "".
func mirror() string {
	for _, dir := range mirrors() {
		if _, err := os.Stat(filepath.Join(dir, provider)); err == nil {
			return dir
		}
	}
	return ""
}

// configured answers whether the user has a configuration of their own for Terraform.
func configured() bool {
	own := os.Getenv("TF_CLI_CONFIG_FILE")
	if own == "" {
		return false
	}
	_, err := os.Stat(own) // #nosec G703 -- the caller's own configuration
	return err == nil
}

// Provider sees to it that every `terraform init` to come finds the AWS provider on this machine,
// and answers where. Where no folder has it, it is downloaded once into the user's cache.
func Provider(ctx context.Context, terraform string) (string, error) {
	if configured() {
		return "as " + os.Getenv("TF_CLI_CONFIG_FILE") + " says", nil
	}
	if dir := mirror(); dir != "" {
		return dir, nil
	}
	dir, unlock, err := cache("providers")
	if err != nil {
		return "", err
	}
	defer unlock()
	here := filepath.Join(dir, provider, providerVersion, runtime.GOOS+"_"+runtime.GOARCH)
	if _, err := os.Stat(here); err == nil {
		return dir, nil
	}
	fmt.Fprintf(os.Stderr, "Downloading Terraform's AWS provider %s into %s, about 150 MB\n", providerVersion, dir)
	scratch, err := os.MkdirTemp("", "provider-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	text := "terraform {\n  required_providers {\n    aws = {\n      source = \"hashicorp/aws\"\n" +
		"      version = \"" + providerVersion + "\"\n    }\n  }\n}\n"
	if err := os.WriteFile(filepath.Join(scratch, "main.tf"), []byte(text), 0o600); err != nil {
		return "", err
	}
	c := exec.CommandContext(ctx, terraform, "init", "-input=false", "-no-color")
	c.Dir, c.Env = scratch, append(os.Environ(), "TF_PLUGIN_CACHE_DIR="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the AWS provider of Terraform is not on this machine and could not be downloaded "+
			"(%w): %.500s", err, strings.TrimSpace(string(out)))
	}
	return dir, nil
}

// TerraformEnv answers what Terraform needs in its environment to take the AWS provider from this
// machine: from a folder that has it, by a configuration that is written into dir, or from the
// user's cache, see [Provider]. It is empty where the user has a configuration of their own.
func TerraformEnv(dir string) (map[string]string, error) {
	if configured() {
		return nil, nil
	}
	from := mirror()
	if from == "" {
		cached, err := machine.Cache("providers")
		if err != nil {
			return nil, err
		}
		return map[string]string{"TF_PLUGIN_CACHE_DIR": cached}, os.MkdirAll(cached, 0o755) // #nosec G301 -- nothing secret
	}
	path := filepath.Join(dir, "terraform.rc")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n"+
		"  filesystem_mirror {\n    path    = %q\n    include = [\"registry.terraform.io/hashicorp/aws\"]\n  }\n"+
		"  direct {\n    exclude = [\"registry.terraform.io/hashicorp/aws\"]\n  }\n}\n", from)
	return map[string]string{"TF_CLI_CONFIG_FILE": path}, os.WriteFile(path, []byte(text), 0o600)
}
