# The tasks of this repository; bare `make` lists them. Each does its own set-up: a fresh
# clone needs Python 3.11 or newer with pip, and make. What is longer than two lines lives
# in scripts/, typed and linted like the rest.

PYTHON ?= python3
ENVIRONMENT := .venv
BIN := $(ENVIRONMENT)/bin
INSTALLED := $(ENVIRONMENT)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test patterns faults poolers check bench scale simulate coverage fmt lock chromium
.PHONY: prism readers clean

help:
	@echo "make demo    one onboarding through an outage, with console; ONCE=1 plays it and ends"
	@echo "make test    the whole test suite; ARGS=... is handed to pytest"
	@echo "make patterns  the 43 control-flow patterns, each in 200 orders of resumption"
	@echo "make faults  real faults on real processes; SCHEDULES=200 SEED=1 ARGS=... for more"
	@echo "make check   format, lint, types, import contracts, spelling, shape"
	@echo "make bench   newel beside DBOS, Absurd and pgbench on one server; ARGS=... is handed on"
	@echo "make simulate  seeds of a bad minute on all cores; SEEDS=100000, ARGS=\"--seed 7\""
	@echo "make scale   what runs all the time, with RUNS=100000 finished and WAITING=10000 waiting runs"
	@echo
	@echo "Helpers: .venv, chromium, prism, readers, coverage, fmt, lock, clean"

demo: $(INSTALLED)
	$(BIN)/newel demo $(if $(ONCE),--once) $(ARGS)

# Tests wait for servers and browsers: there are more of them than a small machine has cores.
test: $(INSTALLED) chromium poolers readers
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

patterns: $(INSTALLED)
	ORDERS=200 $(BIN)/python -m pytest -n 3 --dist worksteal tests/patterns $(ARGS)

check: $(INSTALLED)
	$(BIN)/python scripts/check.py

bench: $(INSTALLED)
	$(BIN)/python bench/run.py $(ARGS)

simulate: $(INSTALLED)
	$(BIN)/python -m newel.testing.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

SCHEDULES ?= 3
SEED ?= 1
faults: $(INSTALLED) poolers
	$(BIN)/python scripts/faults.py --schedules $(SCHEDULES) --seed $(SEED) $(ARGS)

# Only tests of poolers and of clocks need Debian packages; without them they say so.
poolers: $(INSTALLED)
	@$(BIN)/python scripts/faults.py --install

scale: $(INSTALLED)
	$(BIN)/python bench/scale/run.py $(if $(RUNS),--runs $(RUNS)) $(if $(WAITING),--waiting $(WAITING)) $(ARGS)

coverage: $(INSTALLED)
	$(BIN)/coverage erase && $(BIN)/coverage run -m pytest -n 2 $(ARGS)
	$(BIN)/coverage combine --quiet && $(BIN)/python scripts/covered.py

fmt: $(INSTALLED)
	$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet .

# Upgrades are a commit of their own; needs uv on the path or in the environment.
lock:
	$(PYTHON) scripts/lock.py

# Only the tests of pages need a browser; without one they say so and are skipped.
chromium: $(INSTALLED)
	@$(BIN)/python scripts/chromium.py

# A second judge of requests and answers, in node; without it its tests say so and are skipped.
prism:
	npm ci --prefix tests/contract/prism --ignore-scripts --no-audit --no-fund

# Only the test of what other programs read of our exports needs these; without them it says so.
readers: $(INSTALLED)
	@$(BIN)/python scripts/readers.py

.PHONY: .venv
.venv: $(INSTALLED)

$(INSTALLED): requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) scripts/environment.py $(ENVIRONMENT)
	@touch $@

clean:
	rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
