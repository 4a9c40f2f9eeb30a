package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The outputs of the environments that say where the API is.
const (
	endpointOutput = "api_endpoint"
	regionOutput   = "region"
)

// Place is where an API is.
type Place struct {
	Address string
	Region  string // empty where it is not said
}

// FromTerraform asks Terraform for the place of the API that the folder has deployed.
func FromTerraform(ctx context.Context, dir string) (Place, error) {
	outputs, err := terraformOutputs(ctx, dir)
	if err != nil {
		return Place{}, err
	}
	var place Place
	output, found := outputs[endpointOutput]
	switch {
	case len(outputs) == 0:
		return Place{}, fmt.Errorf("the folder %s has no outputs yet: run `terraform apply` in it, "+
			"or name another with --dir", dir)
	case !found:
		return Place{}, fmt.Errorf("the folder %s has no output %q: name the folder of an "+
			"environment with --dir, or give the address with --api", dir, endpointOutput)
	case json.Unmarshal(output.Value, &place.Address) != nil || place.Address == "":
		return Place{}, fmt.Errorf("the output %q of the folder %s is not an address",
			endpointOutput, dir)
	}
	if output, found := outputs[regionOutput]; found {
		_ = json.Unmarshal(output.Value, &place.Region) // what is no text is no region
	}
	return place, nil
}

// terraformOutput is one of what `terraform output -json` prints.
type terraformOutput struct {
	Value json.RawMessage `json:"value"`
}

func terraformOutputs(ctx context.Context, dir string) (map[string]terraformOutput, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s: name the one that you ran `terraform apply` "+
			"in", dir)
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		return nil, fmt.Errorf("terraform is not on your PATH, so that %s cannot be asked where the "+
			"API is: install it, or give the address with --api or SYM_API", dir)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "terraform", "output", "-json", "-no-color")
	command.Dir, command.Stdout, command.Stderr = dir, &stdout, &stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("`terraform output` failed in the folder %s (%w), so that it is not known where "+
			"the API is. If the folder is new on this machine, run `terraform init` in it. Terraform "+
			"says: %s", dir, err, firstError(stderr.String()))
	}
	var outputs map[string]terraformOutput
	if err := json.Unmarshal(stdout.Bytes(), &outputs); err != nil {
		return nil, fmt.Errorf("`terraform output -json` in %s did not print JSON: %w", dir, err)
	}
	return outputs, nil
}

// HasTerraform tells whether a folder looks as if Terraform were used in it.
func HasTerraform(dir string) bool {
	for _, pattern := range []string{"*.tf", "*.tf.json", "terraform.tfstate", ".terraform"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// firstError is the sentence of Terraform's first error, without its frame.
func firstError(text string) string {
	var lines []string
	if i := strings.Index(text, "Error:"); i >= 0 {
		text = text[i:] // warnings stand before it
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(line, "│╷╵ \t"))
		if line == "" && len(lines) > 0 && lines[0] != "" && len(lines) > 1 {
			break
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, " ")
}

// ErrNoEndpoint says that nothing tells where the API is.
var ErrNoEndpoint = errors.New("it is not known where the API is: give its address with --api or " +
	"SYM_API, or the folder that Terraform deployed it from with --dir or SYM_DIR")
