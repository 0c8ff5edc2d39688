# Two commands: `make run`, and in a second terminal `make demo`. Needs python3 (3.11 or newer).

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)
PIP := $(if $(UV),$(UV) pip install --quiet --python $(PY),$(PY) -m pip install --quiet --disable-pip-version-check)

.DEFAULT_GOAL := help
.PHONY: help run demo cluster migrate test fuzz faults check format bench bench-compare bench-chart \
  screenshots lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# `exec`: Ctrl-C reaches the server itself, once, and make has nothing to report.
run: $(VENV)/.installed ## Start the server in development mode, with its own PostgreSQL.
	@exec $(VENV)/bin/talktime serve --dev $(ARGS)

demo: $(VENV)/.installed ## Place a call between two demo accounts of the running server.
	@exec $(VENV)/bin/talktime demo $(ARGS)

cluster: $(VENV)/.installed-dev ## Kill and replace two nodes under a call, and show what the phones notice.
	@exec $(PY) -m tests.cluster $(ARGS)

migrate: $(VENV)/.installed ## Bring the database up to date.
	@exec $(VENV)/bin/talktime migrate $(ARGS)

# Whole files to each process, which has a PostgreSQL of its own.
test: $(VENV)/.installed-dev ## Run all tests; ARGS="tests/storage -k ledger" for some.
	@$(PY) -m pytest $(or $(ARGS),-n 2 --dist loadfile)

fuzz: $(VENV)/.installed-dev ## Try the whole API for longer; FUZZ_SEED=2 for other requests.
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} $(PY) -m pytest tests/server/test_schemathesis.py $(ARGS)

faults: $(VENV)/.installed-dev ## Kill, freeze, cut and fill; about an hour; ARGS=--quick: 10 min.
	@exec $(PY) -m tests.faults $(ARGS)

check: $(VENV)/.installed-dev ## Lint, formatting, types, and the rules of the layers.
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/architecture

format: $(VENV)/.installed-dev ## Format, and mend what ruff can mend.
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(VENV)/.installed-dev ## Measure; a table and bench.json; ARGS="--runs 5 --peers".
	@exec $(PY) -m tests.bench $(ARGS)

bench-compare: $(VENV)/.installed-dev ## Compare two results: OLD=a.json NEW=b.json.
	@test -n "$(OLD)" -a -n "$(NEW)" || { echo "make $@ OLD=a.json NEW=b.json"; exit 2; }
	@exec $(PY) -m tests.bench.compare "$(OLD)" "$(NEW)" $(ARGS)

bench-chart: $(VENV)/.installed-dev ## Draw the README's chart of bench.json, or of NEW=b.json.
	@exec $(PY) -m tests.bench.chart "$(or $(NEW),bench.json)" --to .github/pictures/bench.svg

screenshots: $(VENV)/.installed-dev ## A picture of every screen, in ./screenshots; needs Chromium.
	@exec $(PY) -m tests.browser.screenshots --readme .github/pictures $(ARGS)

lock: ## Refresh uv.lock.
	@$(or $(UV),$(VENV)/bin/uv) lock

clean: ## Remove what can be made again; ./data stays.
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found. On Debian: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version)."; \
	  echo "Name another one like this: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
ifeq ($(UV),)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
else
	@$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
endif

# No stamp without a complete install: an interrupted one is simply done again.
$(VENV)/.installed: pyproject.toml | $(PY)
	@echo "installing (about a minute, the first time only)…"
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(PY)
	@echo "installing with the development tools (about a minute, the first time only)…"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed
