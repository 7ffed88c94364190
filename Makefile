# Chores. `make help` lists them.

PYTHON ?= python3
PORT ?= 8080
DATA ?= data
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test check format lint types imports profiles bench bench-matching bench-patients audit-dependencies image lock clean

help: ## list the words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

run: $(VENV)/server ## set up, start server and MongoDB with example data: make run PORT=8090 DATA=/some/folder
	@exec $(BIN)/python -m app serve --port $(PORT) --data "$(DATA)"

test: $(VENV)/development ## set up, run every test
	$(BIN)/pytest -n auto --dist worksteal -q

check: format lint types imports test ## what CI demands: format, lint, types, imports, test

format: $(VENV)/development ## is the layout as ruff wants it? (make format FIX=1 rewrites)
	$(BIN)/ruff format $(if $(FIX),,--check) .

lint: $(VENV)/development ## ruff's rules
	$(BIN)/ruff check $(if $(FIX),--fix) .

types: $(VENV)/development ## mypy, strict
	$(BIN)/mypy app

imports: $(VENV)/development ## imports go down the shelves
	$(BIN)/lint-imports

profiles: $(VENV)/development ## validate every example of every package
	$(BIN)/pytest -q tests/profiles

bench: $(VENV)/development ## measure the hot paths as ratios to the limit of this machine
	$(BIN)/python -m tests.bench

bench-matching: $(VENV)/development ## measure patient matching: precision, recall, false links
	$(BIN)/python -m tests.bench_matching

bench-patients: $(VENV)/development ## measure the patient index, loaded by its own loader: PATIENTS=10000,1000000
	$(BIN)/python -m tests.bench.patients $(if $(PATIENTS),--patients $(PATIENTS))

# Asks a public service; --strict, because what that does not know would otherwise pass.
audit-dependencies: $(VENV)/bin/python ## are vulnerabilities known in what is locked? asks PyPI (or AUDIT_SERVICE=osv)
	@test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit && $(VENV)/audit/bin/pip install -q --disable-pip-version-check 'pip-audit==2.10.1'; }
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip -s $(or $(AUDIT_SERVICE),pypi) -r requirements.lock

image: ## the container, named fhir-document-server
	docker build -t fhir-document-server .

lock: $(VENV)/development ## resolve the dependencies anew
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra embedded pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra embedded --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove the virtual environment
	rm -rf $(VENV)

# A file in the virtual environment stands for what is installed in it; a changed lock file installs anew.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "The module venv is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/server: requirements.lock | $(VENV)/bin/python
	@test $(VENV)/development -nt requirements.lock || { echo "Installing the server's dependencies ..."; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock; }
	@touch $@

$(VENV)/development: requirements-dev.lock | $(VENV)/bin/python
	@echo "Installing the dependencies for development ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/server
