# Needs Python 3.11 or newer and make; everything else goes into .venv. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# An environment that happens to be active must not leak into ours.
unexport VIRTUAL_ENV PYTHONHOME

PYTHON ?= python3
# More options for pip-compile, for instance LOCK_OPTIONS='--upgrade' or '--upgrade-package flask'.
LOCK_OPTIONS ?=

BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
  --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options $(LOCK_OPTIONS)

# Stamps: each is newer than what it was made from, so a repeated run installs nothing.
VENV := .venv/.stamp-created
RUN := .venv/.stamp-run-time
DEV := .venv/.stamp-development
VALIDATOR := .venv/.stamp-validator

.PHONY: help demo serve test check deep bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

demo: $(RUN)  ## show the advice for example patients, in this terminal
	@MMCDS_AUTH=off $(PY) -m cds_service demo

serve: $(RUN)  ## run the service on this machine, without authentication
	@MMCDS_AUTH=off $(PY) -m cds_service serve

test: $(DEV)  ## install what is missing, then make check
	@$(MAKE) check

check:  ## format, lint, types, import contracts, tests
	@test -e $(DEV) || { echo "nothing installed yet: run 'make test'" >&2; exit 1; }
	@echo "==> ruff format --check"
	@$(PY) -m ruff format --check
	@echo "==> ruff check"
	@$(PY) -m ruff check
	@echo "==> mypy"
	@$(PY) -m mypy
	@echo "==> lint-imports"
	@$(BIN)/lint-imports
	@echo "==> pytest"
	@$(PY) -m pytest

deep: $(DEV) $(VALIDATOR)  ## every test, the long ones too (needs Node)
	@echo "==> pytest, long tests included"
	@HYPOTHESIS_PROFILE=deep $(PY) -m pytest -m "deep or not deep"

bench: $(DEV)  ## measure speed
	@MMCDS_AUTH=off $(PY) -m tests.bench

lock: $(DEV)  ## pin the dependencies of pyproject.toml again, with hashes
	@echo "==> pinning run-time packages"
	@$(COMPILE) --output-file deploy/requirements.txt pyproject.toml
	@echo "==> pinning development packages"
	@$(COMPILE) --extra dev --constraint deploy/requirements.txt --output-file deploy/requirements-dev.txt pyproject.toml

clean:  ## remove .venv, caches and build output
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find cds_service cards fhir_mapping tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian ships python3 without ensurepip; its python3-venv package adds it.
$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mmcds needs Python 3.11 or newer as $(PYTHON); or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	  echo "==> installing the Debian package python3-venv"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv; \
	fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot create a virtual environment; as root: apt-get install python3-venv" >&2; exit 1; }
	@echo "==> creating .venv"
	@$(PYTHON) -m venv --clear .venv
	@touch $@

# demo and serve run from the checkout, so the run time needs neither build backend nor installed package.
$(RUN): deploy/requirements.txt $(VENV)
	@echo "==> installing run-time packages"
	@$(PIP) install --require-hashes -r deploy/requirements.txt
	@touch $@

# The development pins contain the run-time pins, so this serves demo and serve as well.
$(DEV): deploy/requirements-dev.txt pyproject.toml $(VENV)
	@echo "==> installing development packages"
	@$(PIP) install --require-hashes -r deploy/requirements-dev.txt
	@echo "==> installing mmcds from this checkout"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(RUN) $@

# The long tests alone need Node: their second FHIR validator is two npm packages, pinned with hashes and no addresses.
$(VALIDATOR): tests/validator/package.json tests/validator/package-lock.json $(VENV)
	@command -v npm >/dev/null || { echo "make deep needs Node 20.19 or newer with npm" >&2; exit 1; }
	@echo "==> installing the second FHIR validator"
	@rm -rf .venv/validator $@
	@mkdir .venv/validator
	@cp tests/validator/package.json tests/validator/package-lock.json .venv/validator/
	@npm ci --prefix .venv/validator --engine-strict --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
