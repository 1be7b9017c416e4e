# Everything runs in a virtual environment of its own, from locked dependencies.
PYTHON ?= python3
# The versions that were tried; the newest one that is installed must pass, too (test-pythons).
PYTHONS := 3.11 3.12 3.13 3.14
VENV := .venv
BIN := $(VENV)/bin
# What the operator and the demo run, and what tests need besides.
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
CLI := $(BIN)/execution-options
SOURCES := operator tests benchmarks examples
# Arguments for pytest, for example: make test PYTEST="-k merge"
PYTEST ?=
# Another cluster than the embedded one, for example: make demo CLUSTER="--kubeconfig ~/.kube/config"
CLUSTER ?=
# How long to fuzz, and where to begin.
MINUTES ?= 30
SEED ?= $(shell date +%s)

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines test-engines-all test-full test-pythons fuzz lint format unit e2e manifests lock bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the operator on a real control plane and show what it does
	$(BIN)/python examples/demo/demo.py $(CLUSTER)

test: lint unit e2e ## everything that must pass: lint, types, layers, unit and end-to-end tests

lint: $(DEV) ## style, types, layers, generated files
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(DEV) ## tests that need no cluster
	$(BIN)/pytest -n auto -m "not e2e" $(PYTEST)

e2e: $(DEV) ## tests against a real API server (the first time builds one: some minutes)
	$(BIN)/pytest -n auto -m "e2e and not engines" $(CLUSTER) $(PYTEST)

test-engines: $(DEV) ## tests with programs of others, such as engines (the first time builds them: some minutes)
	$(BIN)/pytest -m "engines and not clients" $(PYTEST)

test-engines-all: $(DEV) ## the same, with Airflow, Dagster and Prefect (which install hundreds of packages)
	$(BIN)/pytest -m engines $(PYTEST)

test-full: $(DEV) ## tests of parallelism limits with thousands of pods (some ten minutes)
	$(BIN)/pytest -m "e2e and not engines" --full-size -s tests/parallelism/e2e -k "wait_for_each_other or served_in_turn or proxy or killed" $(CLUSTER) $(PYTEST)

test-pythons: $(DEV) ## that the lock holds for each Python, and the unit tests on the newest that is installed
	PYTHONPATH=tests $(BIN)/python -m support.pythons $(PYTHONS)

fuzz: $(DEV) ## write what anybody may write for 30 minutes (MINUTES, SEED), and see that the operator bears it
	$(BIN)/pytest -s tests/fuzz/e2e --fuzz-minutes $(MINUTES) --fuzz-seed $(SEED) $(CLUSTER) $(PYTEST)

format: $(DEV) ## format the sources
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

manifests: $(DEV) ## write what is generated: crds/, docs/reference.md, parts of charts/, deploy/
	$(BIN)/python -m execution_options.install.generate

lock: $(DEV) ## lock the newest dependencies that pyproject.toml allows
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  -c requirements-dev.lock pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  -c requirements-dev.lock --group demo -o requirements-demo.lock
	echo setuptools | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate -c requirements-dev.lock - -o requirements-build.lock

bench: $(DEV) ## run the benchmarks (nothing else should run on the machine)
	$(BIN)/python -m benchmarks

clean: ## remove what make made (not the built control plane, which is cached outside)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache operator/*.egg-info
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock requirements-demo.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; here = "%d.%d" % sys.version_info[:2]; sys.exit(here not in "$(PYTHONS)".split() and \
	  "This is Python " + here + "; $(firstword $(PYTHONS)) to $(lastword $(PYTHONS)) were tried: make PYTHON=python3.13")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes $(patsubst %,-r %,$(filter %.lock,$^))
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(READY) requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
