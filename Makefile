# Everything a person or CI runs here. `make` alone lists the targets.

# The processor that the functions are built for: arm64 or amd64. Terraform's
# variable `architecture` (arm64 or x86_64) has to say the same.
ARCH ?= arm64

# The checkers, pinned with their sums in a module of their own, so that the
# product does not depend on what they depend on.
TOOL := go tool -modfile=.tools/go.mod

# What a target needs of this machine is found or installed, else named at once.
PREPARE   := go run ./test/sandbox/machine/prepare

TERRAFORM = $$(go run ./test/sandbox/tools/install terraform)
MODULES   := $(sort $(dir $(wildcard modules/*/main.tf modules/postgres-flow/connector/main.tf)))
SCRIPTS   := .ci/run

.DEFAULT_GOAL := help
.PHONY: help build client sandbox test bench lint fmt docs clean

help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

build: ## Build the functions into functions/dist (ARCH=arm64 or amd64).
	go run ./functions/build -arch $(ARCH)

client: ## Build the command-line client into .build/sym.
	@mkdir -p .build
	go build -trimpath -o .build/ ./functions/sym

sandbox: ## Deploy to an AWS on this machine, and see one request from start to finish.
	@$(PREPARE) sandbox ./test/sandbox/story
	@mkdir -p .build && go build -o .build/story ./test/sandbox/story
	@exec .build/story

# For a quick run, POSTGRES_VERSIONS=15,18 leaves the other versions of PostgreSQL out.
test: ## Run every suite: functions, sandbox, and the deployed whole.
	@go run ./test/suites

bench: ## Measure the Postgres function beside what pgx alone needs (BENCH_JSON=file).
	@$(PREPARE) bench ./functions/bench
	@go run ./functions/bench

lint: ## Check form and faults of Go, Terraform and shell.
	@$(PREPARE) lint -modfile=.tools/go.mod tool
	@echo "gofmt"; bad=$$(gofmt -l .); test -z "$$bad" || { echo "not in form: $$bad" >&2; exit 1; }
	@echo "go vet"; go vet ./...
	@echo "go mod tidy"; go mod tidy -diff
	@echo "staticcheck"; $(TOOL) staticcheck ./...
	@echo "terraform fmt"; $(TERRAFORM) fmt -check -diff -recursive
	@echo "tflint"; $(TOOL) tflint --recursive --config "$(CURDIR)/.tflint.hcl"
	@echo "terraform-docs"; for m in $(MODULES); do \
		$(TOOL) terraform-docs -c .terraform-docs.yml --output-check "$$m" >/dev/null || exit 1; done
	@echo "shellcheck"; shellcheck $(SCRIPTS)
	@echo "Clean."

fmt: ## Bring Go and Terraform into form.
	gofmt -w .
	$(TERRAFORM) fmt -recursive

docs: ## Write the inputs and outputs into each module's README.
	@for m in $(MODULES); do $(TOOL) terraform-docs -c .terraform-docs.yml "$$m" || exit 1; done

clean: ## Remove what was built.
	rm -rf .build functions/dist
