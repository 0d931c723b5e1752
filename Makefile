# Sidelight's everyday commands. `make` alone lists them.
#
#   make run ARGS="--port 9000"         another port
#   make setup PYTHON=/opt/python3.13   another Python
#   make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
#                                       PyTorch from there: this one is small and runs on the CPU only

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test fuzz lint format bench bench-full audit lock clean

TORCH_INDEX ?=
PYTHON ?=
ARGS ?=
TEST_PROCESSES ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PLAIN := pyproject.toml constraints.txt

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.dev $(VENV)/.browser $(VENV)/.ray ## make .venv with everything for running and testing

run: $(VENV)/.run ## serve the app on 127.0.0.1:8000
	@exec $(BIN)/python -m app serve $(ARGS)

test: setup ## run every test, the quick ones first
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

fuzz: setup ## send the API hundreds of odd requests to each operation; half an hour
	SPECIFICATION_EXAMPLES=300 $(BIN)/python -m pytest tests/test_specification.py $(ARGS)

lint: $(VENV)/.dev ## check style, types and the Dockerfile
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	@$(MAKE) --no-print-directory lint-javascript lint-dockerfile

format: $(VENV)/.dev node_modules/.package-lock.json ## put the code in order, as lint wants it
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	node_modules/.bin/biome check --write static

bench: before-bench ## measure in five minutes; say what got slower since the last time
	$(call measure,generation)
	$(call measure,serving,--rounds 2)
	$(call measure,train,--rounds 2)
	$(call measure,attention,--short)
	$(AFTER_BENCH)

bench-full: before-bench $(VENV)/.ray ## measure everything, with more rounds; half an hour
	$(call measure,generation,--full)
	$(call measure,serving,--full)
	$(call measure,start)
	$(call measure,train)
	$(call measure,attention)
	$(call measure,estimate)
	$(call measure,losses)
	$(call measure,lessons)
	$(call measure,soak,--seconds 180)
	$(call measure,gpu)
	@if ! $(BIN)/python -c "import ray" 2>/dev/null; then echo "bench: no Ray"; \
	else \
	  $(BIN)/python bench/ray_jobs.py --json $(RESULTS)/ray_jobs.json; \
	  $(BIN)/python bench/replicas.py --json $(RESULTS)/replicas.json; \
	fi
	$(AFTER_BENCH)

# What is pinned, not what happens to be installed; of PyTorch, which is not pinned, what is. Where a
# weakness does not concern Sidelight: IGNORED := --ignore-vuln ID, with the reason in a line above.
IGNORED :=
AUDIT_SERVICE ?= pypi

audit: $(VENV)/.run build/audit/.ready ## look up known weaknesses of everything that is pinned
	@{ cat constraints.txt; \
	  echo "torch==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("torch").split("+")[0])')"; \
	} > build/audit/pinned.txt
	build/audit/bin/pip-audit --strict -s $(AUDIT_SERVICE) --no-deps --disable-pip \
	  --progress-spinner off --requirement build/audit/pinned.txt $(IGNORED)
	@if command -v npm >/dev/null; then npm audit --package-lock-only; \
	else echo "audit: npm is missing; package-lock.json is not looked up."; fi

build/audit/.ready: | $(BIN)/python
	@$(BIN)/python -m venv build/audit
	@build/audit/bin/python -m pip --quiet --disable-pip-version-check install "pip-audit>=2.9"
	@touch $@

lock: $(VENV)/.dev ## write constraints.txt anew, from the newest releases
	@mkdir -p build
	$(PIP) install uv
	{ sed '/^$$/q' constraints.txt; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate \
	    --no-header --upgrade pyproject.toml | grep -vE '^(torch|triton|setuptools|nvidia-.*|cuda-.*)==' ; \
	} > build/constraints.txt
	mv build/constraints.txt constraints.txt

clean: ## remove what make has made
	rm -rf $(VENV) node_modules build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# ---------------------------------------------------------------------------------------------
# The benchmarks. Rows go to build/bench/NAME.json, earlier ones to build/bench/previous. What got
# slower is not what the next results are compared with, until build/bench/unaccepted is deleted.

RESULTS := build/bench

.PHONY: before-bench
before-bench: $(VENV)/.bench $(VENV)/.browser
	@mkdir -p $(RESULTS)/previous
	@if [ -e $(RESULTS)/unaccepted ]; then \
	  echo "bench: the last results were slower, or not all there: comparing with those before."; \
	  echo "       Delete $(RESULTS)/unaccepted to compare with them."; \
	elif ls $(RESULTS)/*.json >/dev/null 2>&1; then \
	  mv $(RESULTS)/*.json $(RESULTS)/previous/; \
	fi
	@touch $(RESULTS)/unaccepted

define measure
@echo "bench: $(1)"
@$(BIN)/python bench/$(1).py --json $(RESULTS)/$(1).json $(2)
endef

define AFTER_BENCH
@$(BIN)/python bench/compare.py $(RESULTS)/previous $(RESULTS)
@rm $(RESULTS)/unaccepted
endef

# ---------------------------------------------------------------------------------------------
# The environment. A stamp is newer than what it was made from, so a second call does nothing.

$(BIN)/python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for name in python3 python3.13 python3.12 python3.11 python; do \
	    if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        >/dev/null 2>&1; then python="$$name"; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "Sidelight needs Python 3.11 or newer with its venv module, and found none." >&2; \
	  echo "Install one (on Debian: apt-get install python3 python3-venv), or name it:" >&2; \
	  echo "  make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)."; \
	"$$python" -m venv $(VENV)

# PyTorch goes first, and alone, where it comes from an index of its own.
$(VENV)/.run: $(PLAIN) | $(BIN)/python
	@echo "Installing what Sidelight runs on; PyTorch is large, so the first time takes minutes."
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(PIP) install --index-url "$(TORCH_INDEX)" "$$(sed -nE 's/^ *"(torch[^"]*)".*/\1/p' pyproject.toml)"; \
	fi
	@$(PIP) install -c constraints.txt -e '.[shakespeare,client,onnx]'
	@$(BIN)/python -m model.kernels
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what tests and checks Sidelight."
	@$(PIP) install -c constraints.txt -e '.[shakespeare,dev]'
	@touch $@

# What the benchmarks measure against.
$(VENV)/.bench: $(VENV)/.dev
	@$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

# The browser tests want a Chromium: the machine's own, or else the one that Playwright downloads.
$(VENV)/.browser: | $(VENV)/.dev
	@if command -v chromium >/dev/null; then \
	  touch $@; \
	elif $(BIN)/python -m playwright install chromium; then \
	  touch $@; \
	else \
	  echo "No Chromium: install one, or the browser tests are skipped."; \
	fi

# Ray is not to be had for every machine. Where it is, an automatic check does not do without.
$(VENV)/.ray: $(VENV)/.dev
	@echo "Installing Ray, for the tests on a cluster."
	@if $(PIP) install -c constraints.txt --only-binary ray \
	    "$$(sed -nE 's/^ *"(ray\[[^"]*)".*/\1/p' pyproject.toml)" 2>$(VENV)/ray.txt; then \
	  touch $@; \
	elif [ -z "$${CI:-}" ] || grep -q "No matching distribution found for ray" $(VENV)/ray.txt; then \
	  echo "No Ray: $$(tail -n 1 $(VENV)/ray.txt)"; \
	  echo "The tests on a cluster are skipped."; \
	else \
	  cat $(VENV)/ray.txt >&2; \
	  exit 1; \
	fi

# ---------------------------------------------------------------------------------------------
# The checks that are not Python's.

.PHONY: lint-javascript lint-dockerfile

lint-javascript:
	@if command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory node_modules/.package-lock.json; \
	  echo "biome check static"; node_modules/.bin/biome check static; \
	  echo "tsc"; node_modules/.bin/tsc --project tsconfig.json; \
	elif [ -n "$${CI:-}" ]; then \
	  echo "lint: npm is missing, so static/ cannot be checked." >&2; \
	  exit 1; \
	else \
	  echo "lint: npm is missing; static/ is not checked."; \
	fi

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

lint-dockerfile:
	@if [ -x $(BIN)/hadolint ]; then \
	  echo "hadolint Dockerfile"; \
	  $(BIN)/hadolint Dockerfile; \
	else \
	  echo "lint: hadolint is missing; the Dockerfile is not checked."; \
	fi
