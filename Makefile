# Two commands set everything up: `make demo` and `make test`. They need Python 3.11 to 3.13 and make, nothing else.
.DEFAULT_GOAL := help
.PHONY: help env env-ui env-dev demo test real ui bench lint fmt types lock clean

PYTHON ?= python3
DATA ?= ../shared/data
BOOT := .make/boot
UV := $(BOOT)/bin/uv
UV_VERSION := 0.13.9
RUN := .venv/bin

# uv keeps its managed interpreters to itself here: the Python that make was given is the one that is used.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# Empty is unset: a container that forbids bytecode makes each of a run's processes compile its libraries anew, for seconds.
export PYTHONDONTWRITEBYTECODE :=
export DAGSTER_DISABLE_TELEMETRY := yes
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

# A virtual environment of its own for uv, so that nothing is needed on the machine and nothing is left on it.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Delever needs Python 3.11 to 3.13; this is $$($(PYTHON) --version). Try: make demo PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(PYTHON) -m venv $(BOOT)
	@$(BOOT)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

env: $(UV) ## the pipeline's environment from the lock file
	@$(UV) sync --frozen --quiet --no-dev --inexact --python $(PYTHON)

env-ui: $(UV)
	@$(UV) sync --frozen --quiet --no-dev --inexact --extra ui --python $(PYTHON)

env-dev: $(UV)
	@$(UV) sync --frozen --quiet --inexact --extra ui --python $(PYTHON)

demo: env ## the whole pipeline on a synthetic sample, into ./data
	@$(RUN)/delever run --profile demo

test: env-dev ## the whole test suite
	@$(RUN)/pytest -n 2 --dist loadgroup

real: env ## the whole pipeline on real files: make real DATA=DIR, into ./data/real
	@DELEVER_HOME=$${DELEVER_HOME:-data/real} $(RUN)/delever run --profile files --landing $(DATA)

ui: env-ui ## Dagster's pages on http://127.0.0.1:3000
	@$(RUN)/delever ui

bench: env-dev ## speed against peers, into bench/RESULTS.md; ONLY=replay for one section
	@$(RUN)/python -m bench $(ONLY)

lint: env-dev ## style of Python, SQL and YAML
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/sqlfluff lint dbt/models dbt/tests dagster_project/replay/sql

fmt: env-dev
	@$(RUN)/ruff check --fix .
	@$(RUN)/ruff format .

types: env-dev ## static types
	@$(RUN)/mypy

lock: $(UV)
	@$(UV) lock

clean: ## remove what a demo and the environments left
	rm -rf data .venv .make dbt/target dbt/logs
