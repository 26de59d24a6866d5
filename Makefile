# Everything a developer does with this project. `make` alone lists it.
# Needs make and Python 3.11 or newer; PYTHON=python3.12 chooses one, VENV=path another virtual environment.
# ARGS goes to the command that is run: make run ARGS="-p 61614 -d", make test ARGS="-k ack -x".

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Test files run side by side in this many processes: most of their time is waiting for servers and clients.
JOBS ?= 4

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NODE := tests/interop/node
NODE_STAMP := $(NODE)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help run test test-long lint format types imports bench wheel docs coverage node clean

help:
	@echo "make run        install the server into $(VENV) and start it (ARGS: its options)"
	@echo "make test       all tests but the long ones (ARGS: for pytest)"
	@echo "make test-long  the long ones"
	@echo "make node       install the Node clients that the tests in tests/interop use (needs npm)"
	@echo "make lint       ruff: rules and format          make format   let ruff mend what it can"
	@echo "make types      mypy --strict                   make imports  the direction of imports"
	@echo "make coverage   the tests again, with coverage  make bench    rates and latencies (ARGS: for bench)"
	@echo "make docs       write the generated pages       make wheel    build dist/*.whl"
	@echo "make clean      remove all that was built, not $(VENV)"

# A stamp in the virtual environment per set of packages: made again when pyproject.toml changes.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; say make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: Debian has venv in python3-venv" >&2; exit 1; }

$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[speed]' || \
		{ echo "make: no uvloop for this Python; going on without" >&2; $(PIP) install --editable .; }
	@touch $@

$(VENV)/.stamp-test: pyproject.toml $(VENV)/.stamp-run
	$(PIP) install --editable '.[test]'
	$(PIP) install --editable '.[dbm]' || \
		echo "make: Berkeley DB for Python does not build (Debian: libdb-dev, python3-dev); going on without"
	@touch $@

$(VENV)/.stamp-lint: pyproject.toml $(VENV)/.stamp-run
	$(PIP) install --editable '.[lint]'
	@touch $@

$(NODE_STAMP): $(NODE)/package-lock.json
	cd $(NODE) && npm ci --no-audit --no-fund
	@touch $@

run: $(VENV)/.stamp-run
	$(BIN)/stompserver $(ARGS)

node: $(NODE_STAMP)

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m "not long" -n $(JOBS) --dist loadfile $(ARGS)

test-long: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m long $(ARGS)

coverage: $(VENV)/.stamp-test
	$(BIN)/python -m coverage erase
	-$(BIN)/python -m coverage run -m pytest -m "not long" $(ARGS)
	-$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --show-missing --skip-covered

lint: $(VENV)/.stamp-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.stamp-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.stamp-lint
	$(BIN)/mypy

imports: $(VENV)/.stamp-lint
	$(BIN)/lint-imports

bench: $(VENV)/.stamp-test
	$(BIN)/python -m bench $(ARGS)

wheel: $(VENV)/.stamp-lint
	rm -rf build dist
	$(BIN)/python -m build --wheel

docs: $(VENV)/.stamp-run
	$(BIN)/python -m stompserver.config > docs/reference/options.md.new
	mv docs/reference/options.md.new docs/reference/options.md

clean:
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache $(NODE)/node_modules $(VENV)/.stamp-*
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
