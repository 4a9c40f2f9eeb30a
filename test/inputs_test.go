package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/stretchr/testify/require"
)

// A run of Terraform's tests costs more than a second, because it starts the AWS provider. Most
// runs only have variables refuse a value, which needs no provider. These are run in a copy of the
// module that has nothing but its variables and what they are checked by.

// apart moves such runs from the tests of a module to the tests of the copy, which it makes
// beside the module. It returns the folders that have tests, the module's own last.
func apart(t *testing.T, dir string) (tested []string) {
	t.Helper()
	copied := dir + "-inputs"
	require.NoError(t, os.MkdirAll(filepath.Join(copied, "tests"), 0o755))
	moved, left := 0, 0
	tests, err := filepath.Glob(filepath.Join(dir, "tests", "*.tftest.hcl"))
	require.NoError(t, err)
	for _, path := range tests {
		var runs, others int
		rewrite(t, path, filepath.Join(copied, "tests", filepath.Base(path)), func(block *hclwrite.Block) bool {
			if refusesInputs(block) {
				runs++
				return true
			}
			return block.Type() == "variables"
		})
		rewrite(t, path, path, func(block *hclwrite.Block) bool {
			if refusesInputs(block) {
				return false
			}
			if block.Type() == "run" {
				others++
			}
			return true
		})
		if others == 0 {
			require.NoError(t, os.Remove(path))
		}
		moved, left = moved+runs, left+others
	}
	if moved > 0 {
		onlyInputs(t, dir, copied)
		tested = append(tested, copied)
	}
	if left > 0 {
		tested = append(tested, dir)
	}
	return tested
}

// refusesInputs reports whether a block of a test is a run in which only variables fail.
func refusesInputs(block *hclwrite.Block) bool {
	failures := block.Body().GetAttribute("expect_failures")
	if block.Type() != "run" || failures == nil {
		return false
	}
	for _, failing := range failures.Expr().Variables() {
		if !strings.HasPrefix(strings.TrimSpace(string(failing.BuildTokens(nil).Bytes())), "var.") {
			return false
		}
	}
	return true
}

// rewrite copies the blocks of a file that are to be kept.
func rewrite(t *testing.T, from, to string, keep func(*hclwrite.Block) bool) {
	t.Helper()
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	file, problems := hclwrite.ParseConfig(text, from, hcl.InitialPos)
	require.False(t, problems.HasErrors(), "%s", problems)
	for _, block := range file.Body().Blocks() {
		if !keep(block) {
			file.Body().RemoveBlock(block)
		}
	}
	require.NoError(t, os.WriteFile(to, file.Bytes(), 0o600))
}

// onlyInputs copies the variables of a module, and the locals that follow from nothing else.
func onlyInputs(t *testing.T, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "*.tf"))
	require.NoError(t, err)
	locals := localsOfInputs(t, files)
	for _, path := range files {
		rewrite(t, path, filepath.Join(to, filepath.Base(path)), func(block *hclwrite.Block) bool {
			for name := range block.Body().Attributes() {
				if block.Type() == "locals" && !slices.Contains(locals, name) {
					block.Body().RemoveAttribute(name)
				}
			}
			return block.Type() == "variable" || block.Type() == "locals"
		})
	}
}

// localsOfInputs names the locals that depend on variables and on each other alone.
func localsOfInputs(t *testing.T, files []string) (names []string) {
	t.Helper()
	needs := map[string][]hcl.Traversal{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		file, problems := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
		require.False(t, problems.HasErrors(), "%s", problems)
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			for name, attribute := range block.Body.Attributes {
				if block.Type == "locals" {
					needs[name] = attribute.Expr.Variables()
				}
			}
		}
	}
	known := func(need hcl.Traversal) bool {
		if need.RootName() != "local" {
			return need.RootName() == "var" || need.RootName() == "path"
		}
		of, ok := need[1].(hcl.TraverseAttr)
		return ok && slices.Contains(names, of.Name)
	}
	for before := -1; before < len(names); {
		before = len(names)
		for name, all := range needs {
			if !slices.Contains(names, name) && !slices.ContainsFunc(all, func(need hcl.Traversal) bool { return !known(need) }) {
				names = append(names, name)
			}
		}
	}
	return names
}
