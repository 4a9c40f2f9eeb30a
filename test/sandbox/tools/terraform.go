// Package tools finds the programs that the sandbox needs, and installs those
// that can be installed.
package tools

import (
	"context"
	"fmt"

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
