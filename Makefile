# Everything runs in a virtual environment of its own, from locked dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLI := $(BIN)/execution-options
SOURCES := operator tests benchmarks examples
# Arguments for pytest, for example: make test PYTEST="-k merge"
PYTEST ?=
# Another cluster than the embedded one, for example: make demo CLUSTER="--kubeconfig ~/.kube/config"
CLUSTER ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines test-full lint format unit e2e manifests lock bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the operator on a real control plane and show what it does
	$(BIN)/python examples/demo/demo.py $(CLUSTER)

test: lint unit e2e ## everything that must pass: lint, types, layers, unit and end-to-end tests

lint: $(READY) ## style, types, layers, generated files
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY) ## tests that need no cluster
	$(BIN)/pytest -n auto -m "not e2e" $(PYTEST)

e2e: $(READY) ## tests against a real API server (the first time builds one: some minutes)
	$(BIN)/pytest -n auto -m "e2e and not engines" $(CLUSTER) $(PYTEST)

test-engines: $(READY) ## tests with programs of others, such as engines (the first time builds them: some minutes)
	$(BIN)/pytest -m engines $(PYTEST)

test-full: $(READY) ## tests of parallelism limits with thousands of pods (some ten minutes)
	$(BIN)/pytest -m "e2e and not engines" --full-size -s tests/parallelism/e2e -k "wait_for_each_other or served_in_turn or proxy or killed" $(CLUSTER) $(PYTEST)

format: $(READY) ## format the sources
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

manifests: $(READY) ## write what is generated: crds/, docs/reference.md, parts of charts/, deploy/
	$(BIN)/python -m execution_options.install.generate

lock: $(READY) ## lock the newest dependencies that pyproject.toml allows
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  -c requirements-dev.lock pyproject.toml -o requirements.lock
	echo setuptools | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate -c requirements-dev.lock - -o requirements-build.lock

bench: $(READY) ## run the benchmarks (nothing else should run on the machine)
	$(BIN)/python -m benchmarks

clean: ## remove what make made (not the built control plane, which is cached outside)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache operator/*.egg-info
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
