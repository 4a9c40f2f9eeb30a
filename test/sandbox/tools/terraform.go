// Package tools finds the programs that the sandbox needs, and installs those
// that can be installed.
package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-version"
	install "github.com/hashicorp/hc-install"
	"github.com/hashicorp/hc-install/fs"
	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
	"github.com/hashicorp/hc-install/src"
)

// terraformVersion is installed where no Terraform of 1.11 or later is found.
const terraformVersion = "1.11.4"

// Terraform answers the path of a Terraform that is new enough. It installs one
// of its own into the user's cache if there is none.
func Terraform(ctx context.Context) (string, error) {
	dir, unlock, err := cache("terraform-" + terraformVersion)
	if err != nil {
		return "", err
	}
	defer unlock()
	constraint := version.MustConstraints(version.NewConstraint(">= 1.11.0"))
	path, err := install.NewInstaller().Ensure(ctx, []src.Source{
		&fs.Version{Product: product.Terraform, Constraints: constraint, ExtraPaths: []string{dir}},
		&releases.ExactVersion{
			Product: product.Terraform, Version: version.Must(version.NewVersion(terraformVersion)),
			InstallDir: dir,
		},
	})
	if err != nil {
		return "", fmt.Errorf("Terraform 1.11 or later is not on this machine and could not be "+
			"installed (%w): install it from https://developer.hashicorp.com/terraform/install", err)
	}
	return path, nil
}

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

// TerraformConfig writes a configuration for Terraform's command line that
// takes the AWS provider from a folder of this machine where one has it, and
// answers its path. It answers "" where Terraform's own settings do: where no
// folder has it, or where the user has a configuration of their own.
func TerraformConfig(dir string) (string, error) {
	if own := os.Getenv("TF_CLI_CONFIG_FILE"); own != "" {
		if _, err := os.Stat(own); err == nil {
			return "", nil
		}
	}
	for _, mirror := range mirrors() {
		provider := filepath.Join(mirror, "registry.terraform.io/hashicorp/aws")
		if _, err := os.Stat(provider); err != nil {
			continue
		}
		path := filepath.Join(dir, "terraform.rc")
		text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n"+
			"  filesystem_mirror {\n    path    = %q\n    include = [\"registry.terraform.io/hashicorp/aws\"]\n  }\n"+
			"  direct {\n    exclude = [\"registry.terraform.io/hashicorp/aws\"]\n  }\n}\n", mirror)
		return path, os.WriteFile(path, []byte(text), 0o644)
	}
	return "", nil
}
