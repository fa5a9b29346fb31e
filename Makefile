SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A new pip installs in less than half the time that the one which comes with Python 3.11 takes.
PIP_VERSION := 26.3
SUPPORTED := (3, 11), (3, 12), (3, 13)

# The first Python that runs and is supported; `make setup PYTHON=/path/to/python` picks another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ($(SUPPORTED)))' 2>/dev/null \
	&& { echo $$python; exit; }; done; echo none)

# Airflow writes its configuration to its home at the first import: keep that in the tree, and out of the user's home.
export AIRFLOW_HOME := $(CURDIR)/build/airflow
export AIRFLOW__CORE__LOAD_EXAMPLES := False

DAG ?=
KEEP ?=
PYTEST_ARGS ?=
BEYOND_UNITS := tests/simulation tests/integration tests/e2e tests/ui

.PHONY: help setup demo test test-unit test-simulation test-integration test-e2e test-search test-crowds test-ui screenshots test-clients test-matrix parity bench bench-emulator bench-fan-out bench-sweeps bench-ui bench-ui-live lint format constraints wheel clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtualenv .venv with everything in it (other targets do it when needed)
	@echo "Ready: $(BIN)/airflow-spot, $(BIN)/pytest, $(BIN)/airflow"

$(READY): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ($(SUPPORTED)))' 2>/dev/null || { \
	    echo "This takes Python 3.11, 3.12 or 3.13; found: $(PYTHON)." >&2; \
	    echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$(PYTHON) cannot make a virtualenv. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; }
	@echo "Installing into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	    --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## Run an example DAG on a local SageMaker and a local Airflow (DAG=... another; KEEP=1 leaves both up)
	@exec $(BIN)/airflow-spot demo $(if $(DAG),--dag $(DAG)) $(if $(KEEP),--keep)

# Coverage costs as much again as the tests themselves, so it is measured where it is held: of the domain, by its unit tests.
test: $(READY) ## Run the tests (but test-search, test-crowds, test-ui and test-clients), and hold the domain's coverage at 100 %
	@mkdir -p build
	$(BIN)/pytest -n 2 --dist loadfile tests/unit --cov=airflow_spot_provider/training --cov-report= $(PYTEST_ARGS)
	@echo "Coverage of airflow_spot_provider/training, statements and branches:"
	@$(BIN)/coverage report --include='airflow_spot_provider/training/*' --fail-under=100
	$(BIN)/pytest -n 2 --dist loadfile -m "not search and not ui and not crowd" $(BEYOND_UNITS) $(PYTEST_ARGS)

test-unit: $(READY) ## Run the unit tests (no server but moto's, on loopback)
	$(BIN)/pytest tests/unit $(PYTEST_ARGS)

test-simulation: $(READY) ## Run triggers, watcher and kills on a virtual clock, from so many seeds (SEEDS=200)
	$(BIN)/pytest -n 2 tests/simulation $(PYTEST_ARGS)

test-integration: $(READY) ## Run the tests against the emulator over HTTP
	$(BIN)/pytest tests/integration $(PYTEST_ARGS)

test-e2e: $(READY) ## Run the tests on a real scheduler, triggerer and API server
	$(BIN)/pytest tests/e2e $(PYTEST_ARGS)

test-search: $(READY) ## Run searches on a real Airflow: fan-outs, tuning, and sweeps whose scheduler is killed
	$(BIN)/pytest -n 2 --dist loadfile tests/e2e -m search $(PYTEST_ARGS)

test-crowds: $(READY) ## Kill crowds of deferred tasks on a real Airflow, and hand them to another triggerer (CROWD=200)
	$(BIN)/pytest tests/e2e -m crowd $(PYTEST_ARGS)

test-ui: $(READY) ## Run the pages in a browser on a real Airflow, and their queries on a real PostgreSQL
	$(BIN)/pytest -m ui $(PYTEST_ARGS)

screenshots: $(READY) ## Take the pictures of docs/images from the running pages
	@rm -rf build/screenshots
	$(BIN)/pytest tests/ui -m screenshots $(PYTEST_ARGS)
	@cp -v build/screenshots/*.png docs/images/

# One virtualenv for each client, with the versions in tests/clients/<client>.txt and nothing of ours.
CLIENTS := boto3 awscli sagemaker-v2 sagemaker-v3

test-clients: $(READY) $(CLIENTS:%=build/clients/%/.ready) ## Run unchanged clients of SageMaker on the emulator
	$(BIN)/pytest tests/clients $(PYTEST_ARGS)

build/clients/%/.ready: tests/clients/%.txt | $(READY)
	@echo "Installing the client $* into build/clients/$*"
	@rm -rf build/clients/$*
	@$(BIN)/python -m venv --without-pip build/clients/$*
	@$(BIN)/python -m pip --python build/clients/$*/bin/python install --quiet --disable-pip-version-check --no-compile \
	    --requirement $<
	@touch $@

MATRIX_ARGS ?= --write
test-matrix: $(READY) ## Install the wheel beside each supported Airflow, and try it there (MATRIX_ARGS="--airflow 3.0.6 --python 3.11")
	$(BIN)/python -m tests.matrix $(MATRIX_ARGS)

PARITY_ARGS ?=
parity: $(READY) ## Compare the table of answers with a real AWS account's (PARITY_ARGS=--yes makes the calls)
	@$(BIN)/python tests/parity/record.py $(PARITY_ARGS)

BENCH_ARGS ?=
bench: $(READY) ## Measure thousands of waiting jobs: the stock trigger, ours, and one that does nothing (half an hour)
	$(BIN)/python -m benchmarks.watching $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.watching.triggerer
	$(BIN)/python -m benchmarks.watching --report

bench-emulator: $(READY) ## Measure the emulator with a thousand simulated jobs, and with weeks of a stepped clock
	$(BIN)/python benchmarks/emulator.py

bench-fan-out: $(READY) ## Measure a fan-out of a hundred mapped trainings on one Airflow
	$(BIN)/python -m benchmarks.fan_out

bench-sweeps: $(READY) ## Measure sweeps beside random search and Optuna run directly
	$(BIN)/python -m benchmarks.sweeps

bench-ui: $(READY) ## Measure the pages at the server, with ten thousand results in a PostgreSQL of its own
	$(BIN)/python -m benchmarks.ui

bench-ui-live: $(READY) ## Measure the pages in a browser: how late they show a transition, what they weigh
	$(BIN)/python -m benchmarks.ui_live

lint: $(READY) ## Check style, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# Every further Python of PYTHONS keeps the pins of those before it, and adds what only it needs.
PYTHONS ?= $(PYTHON)
constraints: ## Write constraints.txt anew from the newest versions that fit together; then run the tests
	@mkdir -p build && : > build/constraints.txt
	@for python in $(PYTHONS); do \
	    echo "Resolving for $$($$python --version)"; \
	    rm -rf build/constraints && $$python -m venv build/constraints \
	    && build/constraints/bin/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION) \
	    && build/constraints/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	        --constraint build/constraints.txt '.[dev]' \
	    && build/constraints/bin/python -m pip list --format=freeze --disable-pip-version-check \
	        | grep -viE '^(airflow-spot-provider|pip|setuptools|wheel)==' > build/pins.txt \
	    && cat build/pins.txt >> build/constraints.txt || exit 1; \
	done
	@LC_ALL=C sort -fu build/constraints.txt > constraints.txt
	@rm -rf build/constraints build/constraints.txt build/pins.txt
	@echo "$$(wc -l < constraints.txt) versions in constraints.txt"

wheel: $(READY) ## Build the wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## Remove the virtualenv, caches and everything built
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
