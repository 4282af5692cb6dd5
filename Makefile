# `make demo` and `make test` do everything on a machine with python3 (3.11 or newer), make and a package index.

PYTHON := .venv/bin/python
AZURITE := .azurite/node_modules/.bin/azurite-blob

# What the caller has active must not leak in.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

.PHONY: help demo test test-stack azurite test-matrix test-all bench lint docs setup constraints clean

help:
	@echo "make demo         run the daily export against a local awork, with real Airflow"
	@echo "make test         check style and types, then run all tests"
	@echo "make test-stack   drive a whole running Airflow (airflow standalone) through its REST API"
	@echo "make test-matrix  run the tests that know Airflow on Airflow 3.1 and 3.2, and a few on Python 3.13"
	@echo "make test-all     run all tests above, and every test that needs no emulator on each Airflow"
	@echo "make bench        measure speed and memory (FULL=1: all latencies, a million entries)"
	@echo "make lint         check style and types"
	@echo "make docs         write docs/columns.md from the model"
	@echo "make constraints  pin the newest versions of all packages"
	@echo "make clean        remove everything that these commands made"

demo: setup
	@$(PYTHON) demo/run.py

test: lint azurite
	@$(PYTHON) -m pytest -n 3 --dist worksteal

# Ten minutes in all, whatever happens; everything that the tests start ends with them.
test-stack: setup
	@timeout --kill-after=30 600 $(PYTHON) -m pytest stack_tests

# The Azure emulator is a Node program; without it the Azure tests are skipped and say so.
azurite: $(AZURITE)
$(AZURITE):
	@if command -v npm >/dev/null; then \
		echo "Installing azurite into .azurite" && npm install --prefix .azurite --no-audit --no-fund --silent azurite@3.37.0; \
	else \
		echo "npm is not there, so the Azure tests are skipped"; \
	fi

test-matrix: setup
	@scripts/test_matrix

test-all: test test-stack
	@ALL=1 scripts/test_matrix

bench: setup
	@bash -c 'source scripts/use_index_of_pip && use_index_of_pip $(PYTHON) && \
		$(PYTHON) -m uv pip install --quiet --python $(PYTHON) --constraint constraints.txt --group bench'
	@$(PYTHON) -m benchmarks $(if $(FULL),--full)
	@$(PYTHON) -m benchmarks.triggerer

lint: setup
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m mypy

setup:
	@scripts/setup

docs: setup
	@$(PYTHON) scripts/write_columns.py

constraints: setup
	@scripts/pin_constraints

clean:
	rm -rf .azurite .venv .venv-matrix .hypothesis .mypy_cache .pytest_cache .ruff_cache build demo-output dist
