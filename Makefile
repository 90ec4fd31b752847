# The two commands: `make demo` shows the main job, `make test` proves it. Both set up all that they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check histories format docs lock clean

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# a pip of its own settings would look elsewhere or leave hashes unchecked
# every process would compile all modules anew, where this is set
unexport PYTHONDONTWRITEBYTECODE
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet

# three processes with servers of their own, since much of the time is waiting; the slow files come early
SIDE_BY_SIDE := --numprocesses=3 --dist=loadfile --no-loadscope-reorder

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tocsin needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV) (once; about half a minute) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## play real Suricata alerts through the whole path, live
	@$(VENV)/bin/tocsin demo

test: $(READY)  ## run the tests against real servers
	@$(VENV)/bin/python -m pytest $(or $(ARGS),$(SIDE_BY_SIDE))

check: $(READY)  ## format, lint, types, import arrows, playbooks
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/tocsin check

histories: $(READY)  ## record what runs of this release look like, for later ones to replay
	@RECORD_HISTORIES=1 $(VENV)/bin/python -m pytest --quiet tests/workflow/test_language.py

format: $(READY)  ## put the code in its format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: $(READY)  ## write anew what is made of models and playbooks: the pages, their pictures, the schema for editors
	$(VENV)/bin/tocsin schema --output playbooks/playbook.schema.json
	$(VENV)/bin/tocsin schema --of policy --output playbooks/site/policy.schema.json
	$(VENV)/bin/tocsin manual --output docs/language.md
	$(VENV)/bin/tocsin pages

lock: $(READY)  ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet pyproject.toml --generate-hashes --universal --no-emit-index-url --no-annotate --no-header --python-version 3.11 -o requirements.lock
	uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --universal --no-emit-index-url --no-annotate --no-header --python-version 3.11 -o requirements-dev.lock

clean:  ## remove what the targets made here
	rm -rf $(VENV) .tocsin .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
