# Airside. `make demo` and `make test` do all the set-up they need; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
CACHE := .cache
PYTHON ?= python3
HARNESSES := codex claude-code opencode
GATEWAY_SOURCES := $(shell find gateway -path gateway/target -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.lock' -o -name '*.pyi' -o -name '*.profdata' \) -print 2>/dev/null) gateway/profile/compiler

.PHONY: help setup system harnesses gateway ui demo test faults fuzz check fmt lint types imports rust contracts conformance lock bench bench-peers profile docs clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: system $(CACHE)/python.stamp $(CACHE)/gateway.stamp ui harnesses  ## Make .venv/bin/airside, with everything it needs
	@echo "ready: $(BIN)/airside"

system:  ## Install the Debian packages that are missing, as root; say which, otherwise
	@tools/system-packages

$(CACHE)/python.stamp: requirements-dev.txt pyproject.toml
	@tools/python-environment $(PYTHON) $(VENV)
	@mkdir -p $(CACHE) && touch $@

$(CACHE)/gateway.stamp: $(GATEWAY_SOURCES) $(CACHE)/python.stamp tools/build-gateway
	@tools/build-gateway $(VENV)
	@mkdir -p $(CACHE) && touch $@

gateway: $(CACHE)/gateway.stamp  ## Build the gateway into the environment, if its sources changed

ui: airside/web/static/index.html  ## Build the UI into the package

airside/web/static/index.html: web/index.html
	@mkdir -p $(@D) && cp $< $@

harnesses: $(CACHE)/python.stamp $(CACHE)/gateway.stamp  ## Install the pinned harness CLIs beside the program
	@for name in $(HARNESSES); do $(BIN)/airside harness install "$$name" --shared || tools/say-missing "$$name"; done
	@$(BIN)/python tests/conformance/gemini_cli.py || tools/say-missing gemini-cli

demo: setup  ## A real coding agent repairs a repository on simulated models; see what it did and cost
	@$(BIN)/airside demo $(ARGS)

test: setup  ## Run every test
	@tools/test $(BIN)

fuzz:  ## Fuzz what reads strangers' bytes, a minute each; needs cargo-fuzz
	@tools/fuzz $(ARGS)

faults: setup  ## Let everything go wrong around the gateway, scenario by scenario, in the long profile
	@$(BIN)/pytest tests/gateway/test_gateway_faults.py -m fault --capture=no --quiet --numprocesses 0

check: fmt lint types imports rust  ## Format, lint, types, import contracts, clippy, Cargo edges

fmt: $(CACHE)/python.stamp  ## Check the formatting (FIX=1 mends it)
	@$(BIN)/ruff format $(if $(FIX),,--check) .
	@cd gateway && cargo fmt --all $(if $(FIX),,--check)

lint: $(CACHE)/python.stamp  ## Lint the Python code
	@$(BIN)/ruff check $(if $(FIX),--fix,) .

types: $(CACHE)/python.stamp $(CACHE)/gateway.stamp  ## Check the types
	@$(BIN)/mypy

imports: $(CACHE)/python.stamp  ## Check that imports point down the tree
	@$(BIN)/lint-imports --no-cache

rust:  ## Lint the gateway
	@cd gateway && cargo clippy --workspace --all-targets --quiet -- -D warnings

contracts: $(CACHE)/python.stamp $(CACHE)/gateway.stamp  ## Write the JSON Schemas and the OpenAPI description anew
	@$(BIN)/python tools/write-contracts contracts

docs: $(CACHE)/python.stamp $(CACHE)/gateway.stamp  ## Write the reference of the command line anew
	@$(BIN)/python tools/write-cli-reference docs/reference/cli.md

conformance: setup  ## Run every client against every family and write the matrix anew
	@$(BIN)/python tools/write-conformance

lock:  ## Lock the Python dependencies anew, by hash and without addresses
	@tools/lock-python $(VENV)

bench: setup  ## Measure the gateway beside nginx, nothing, and the peers that are installed, in one run
	@cd benches/tools && cargo build --release --quiet
	@$(BIN)/python benches/run.py $(ARGS)

profile: setup  ## Make the profile anew that leads the gateway's build; needs llvm-profdata (docs/decisions/0017)
	@cd benches/tools && cargo build --release --quiet
	@tools/profile-gateway $(VENV)

bench-peers:  ## Install the gateways that `make bench` measures beside ours, as far as they can be had
	@tools/install-bench-peers $(CACHE)/bench-peers

clean:  ## Remove what was built; data directories are left alone
	@rm -rf $(VENV) $(CACHE) gateway/target airside/web/static
