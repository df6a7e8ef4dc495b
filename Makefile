# Every target makes what it needs, .venv/ first. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The Python that .venv/ is made of: 3.11 to 3.13; looked for when not given.
PYTHON ?=
# Options for `pybots demo`.
ARGS ?=
# Options for pytest in `make test` and `make acceptance`.
PYTEST_ARGS ?=
# Processes that tests run in; 0: pytest's own.
PROCESSES ?= 2

BIN := .venv/bin
MADE := .venv/.made

.PHONY: help
help: ## What there is to make
	@echo "Pybots tests every CPython commit against the projects that depend on it."
	@echo
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-16s %s\n' "$$name" "$$what"; done
	@echo
	@echo '  make demo ARGS="--help" shows what the demonstration can do; PYTHON=python3.13 chooses the Python.'

.PHONY: demo
demo: $(MADE) ## Start a farm here: builds a real CPython, runs ten projects' suites, serves the page
	@$(BIN)/pybots demo $(ARGS)

.PHONY: test
test: $(MADE) system-packages lint ## Lint, types, and every test that needs neither network nor a real CPython
	@$(BIN)/pytest -m "not acceptance" -n $(PROCESSES) --dist loadfile $(PYTEST_ARGS)

.PHONY: acceptance
acceptance: $(MADE) system-packages ## What needs a real CPython, the network, or long
	@$(BIN)/pytest -m acceptance -n $(PROCESSES) --dist loadfile --timeout=3600 $(PYTEST_ARGS)

.PHONY: lint
lint: $(MADE) ## Style and types
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'run: $(BIN)/ruff format' >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

.PHONY: system-packages
system-packages: ## Look for the programs that tests need; as root on Debian, install what is missing
	@.ci/system-packages

.PHONY: environment
environment: $(MADE) ## Only .venv/

# `pip` and not `uv`: pip is what the machine's owner has told about proxies, certificates and mirrors.
$(MADE): requirements/dev.txt requirements/wheelhouse.txt pyproject.toml .ci/find-python
	@python=$$(.ci/find-python $(PYTHON)); \
	echo "Making .venv/ with $$("$$python" --version); this takes a minute, once."; \
	"$$python" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
		--only-binary :all: --dest .venv/wheelhouse -r requirements/wheelhouse.txt
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: lock
lock: ## Renew the locks from pyproject.toml and requirements/wheelhouse.in (LOCK_ARGS=--upgrade for newer versions)
	@test -x $(BIN)/uv || { echo 'make environment first: the locks are made with its uv' >&2; exit 2; }
	@$(LOCK) $(LOCK_ARGS) --extra master --extra postgresql --group dev --output-file requirements/dev.txt pyproject.toml
	@$(LOCK) $(LOCK_ARGS) --constraint requirements/dev.txt --output-file requirements/wheelhouse.txt \
		requirements/wheelhouse.in

.PHONY: clean
clean: ## Take away what was made here, .venv/ too, but no farm
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
	@find master workers tests -name __pycache__ -type d -prune -exec rm -rf {} +
