# `make` alone lists the targets. `make setup` needs only Python >= 3.11 and make.

.DEFAULT_GOAL := help
.PHONY: help setup format check fast test audit clients run demo bench soak limits lock

PYTHON ?= $(shell for candidate in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v "$$candidate"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
RUN_STAMP := $(VENV)/.ready-to-run
TEST_WORKERS ?= 2

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install the locked packages into it

$(STAMP): requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; set PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" tools/install.py $(VENV) requirements-dev.lock
	@touch $(STAMP) $(RUN_STAMP)

# What running needs is a part of what developing needs, in the same versions.
$(RUN_STAMP): requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; set PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" tools/install.py $(VENV) requirements.lock
	@touch $(RUN_STAMP)

format: $(STAMP) ## Format the code and sort its imports
	$(BIN)/ruff check --quiet --select I --fix .
	$(BIN)/ruff format .

check: $(STAMP) ## Lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m storage.checksums

fast: $(STAMP) ## Unit and contract tests alone, in under a minute
	$(BIN)/python -m pytest -n $(TEST_WORKERS) tests/unit tests/contract

test: check ## check, then the tests, with how much of the code they run
	$(BIN)/python -m slipcover --json --out .coverage -m pytest -n $(TEST_WORKERS)
	$(BIN)/python -m tests.support.coverage .coverage

audit: $(STAMP) ## The long matrices: every e-mail in a browser, more rounds of kills, more examples
	GUILDWIRE_ROUNDS=5 GUILDWIRE_EXAMPLES=500 GUILDWIRE_TEST_TIMES=10 \
		$(BIN)/python -m pytest -n $(TEST_WORKERS) -m "audit or sized" -o faulthandler_timeout=1800
	$(BIN)/python -m tests.support.previous_commit

CLIENTS ?=
clients: $(STAMP) ## Generate clients from both documents, compile them and book with them; needs a network (CLIENTS=…)
	$(BIN)/python -m tests.clients $(CLIENTS)

run: $(RUN_STAMP) ## Run the server with the embedded database and demo data in var/
	$(BIN)/python -m server run

demo: $(RUN_STAMP) ## Play one booking with three live clients, then check every invariant
	$(BIN)/python -m server demo

bench: $(STAMP) ## Run the workloads and print their table
	$(BIN)/python -m bench

SOAK ?= --rounds 20
soak: $(STAMP) ## Kill, freeze and cut off a real server under load; prove after each round that nothing was lost (SOAK=…)
	$(BIN)/python -m tests.soak $(SOAK)

limits: $(STAMP) ## Print every named bound of the code
	@$(BIN)/python -m tests.support.limits

lock: ## Resolve the .in files into the hashed lock files (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--custom-compile-command "make lock" requirements-dev.in -o requirements-dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--custom-compile-command "make lock" -c requirements-dev.lock requirements.in -o requirements.lock
