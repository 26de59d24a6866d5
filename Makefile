# Everything a developer does with this project. `make` alone lists it.
# Needs make and Python 3.11 or newer; PYTHON=python3.12 chooses one, VENV=path another virtual environment.
# STOMPSERVER_PURE=1 leaves the core interpreted, STOMPSERVER_PURE=0 ends where it cannot be compiled.
# ARGS goes to the command that is run: make run ARGS="-p 61614 -d", make test ARGS="-k ack -x".

PYTHON ?= python3
VENV ?= .venv
# What `make run` starts: the package as pip installs it, compiled where that can be done. It is apart from $(VENV), where
# an editable install is the source as it stands, because a compiled file would be run in place of the source.
RUN ?= .venv-run
ARGS ?=
# Test files run side by side in this many processes: most of their time is waiting for servers and clients.
JOBS ?= 4

BIN := $(VENV)/bin
PIP_QUIETLY := -m pip --disable-pip-version-check --quiet
PIP := $(BIN)/python $(PIP_QUIETLY)
RUN_PIP := $(RUN)/bin/python $(PIP_QUIETLY)
RUN_STAMP := $(RUN)/.stamp-run-$(STOMPSERVER_PURE)
RUN_TEST_STAMP := $(RUN)/.stamp-test-$(STOMPSERVER_PURE)
NODE := tests/interop/node
NODE_STAMP := $(NODE)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help run test test-compiled compile-check test-long lint format types imports test-peers bench bench-peers bench-page bench-guard wheel docs coverage node clean

help:
	@echo "make run        install the server into $(RUN), compiled if possible, and start it (ARGS: its options)"
	@echo "make test       all tests but the long ones, of the source as it stands (ARGS: for pytest)"
	@echo "make test-compiled  the same of what make run starts, which must be compiled"
	@echo "make compile-check  whether mypyc takes the source, in some seconds"
	@echo "make test-long  the long ones"
	@echo "make test-peers  scenarios against RabbitMQ and ActiveMQ, if Debian's are installed (ARGS=--write: their page)"
	@echo "make node       install the Node clients that the tests in tests/interop use (needs npm)"
	@echo "make lint       ruff: rules and format          make format   let ruff fix what it can"
	@echo "make types      mypy --strict                   make imports  the direction of imports"
	@echo "make coverage   the tests again, with coverage  make bench    rates and latencies (ARGS: for bench)"
	@echo "make bench-peers  the same load for RabbitMQ, ActiveMQ, CoilMQ, nats-server, Redis, beanstalkd, which it installs"
	@echo "make bench-page   put the figures of bench-peers into README and docs"
	@echo "make bench-guard BASE=commit  is this tree slower than that commit?"
	@echo "make docs       write the generated pages       make wheel    build dist/*"
	@echo "make clean      remove all that was built, not $(VENV)"

# A stamp in the virtual environment per set of packages: made again when pyproject.toml changes.

$(BIN)/python $(RUN)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; say make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=) || { rm -rf $(@:/bin/python=); echo "make: Debian has venv in python3-venv" >&2; exit 1; }

$(VENV)/.stamp-install: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[speed]' || \
		{ echo "make: no uvloop for this Python; going on without" >&2; $(PIP) install --editable .; }
	@touch $@

$(VENV)/.stamp-test: pyproject.toml $(VENV)/.stamp-install
	$(PIP) install --editable '.[test]'
	$(PIP) install --editable '.[dbm]' || \
		echo "make: Berkeley DB for Python does not build (Debian: libdb-dev, python3-dev); going on without"
	$(PIP) install --editable '.[ldap]' || \
		echo "make: the LDAP library does not build (Debian: libldap-dev, libsasl2-dev, python3-dev); going on without"
	@touch $@

$(VENV)/.stamp-lint: pyproject.toml $(VENV)/.stamp-install
	$(PIP) install --editable '.[lint]'
	@touch $@

# pip hides what setup.py says, so why the core stays interpreted is said here again.
$(RUN_STAMP): pyproject.toml setup.py $(shell find src -name '*.py' -o -name '*.c') | $(RUN)/bin/python
	rm -rf build $(RUN)/wheel $(RUN)/.stamp-*
	$(RUN_PIP) wheel --no-deps --wheel-dir $(RUN)/wheel .
	$(RUN_PIP) install --force-reinstall --no-deps $(RUN)/wheel/*.whl
	$(RUN_PIP) install "$$(echo $(RUN)/wheel/*.whl)[speed]" || \
		{ echo "make: no uvloop for this Python; going on without" >&2; $(RUN_PIP) install $(RUN)/wheel/*.whl; }
	@$(RUN)/bin/stompserver --version | tee $(RUN)/version
	@[ -n "$(STOMPSERVER_PURE)" ] || grep -q compiled $(RUN)/version || \
		echo "make: a compiled core needs a C compiler and Python's headers (Debian: gcc, python3-dev)" >&2
	@touch $@

$(RUN_TEST_STAMP): $(RUN_STAMP)
	$(RUN_PIP) install "$$(echo $(RUN)/wheel/*.whl)[test]"
	$(RUN_PIP) install "$$(echo $(RUN)/wheel/*.whl)[dbm]" || \
		echo "make: Berkeley DB for Python does not build (Debian: libdb-dev, python3-dev); going on without"
	$(RUN_PIP) install "$$(echo $(RUN)/wheel/*.whl)[ldap]" || \
		echo "make: the LDAP library does not build (Debian: libldap-dev, libsasl2-dev, python3-dev); going on without"
	@touch $@

$(NODE_STAMP): $(NODE)/package-lock.json
	cd $(NODE) && npm ci --no-audit --no-fund
	@touch $@

run: $(RUN_STAMP)
	@echo 'make: stompserver and stompctl are found after: export PATH="$(abspath $(RUN))/bin:$$PATH"'
	$(RUN)/bin/stompserver $(ARGS)

node: $(NODE_STAMP)

test: $(VENV)/.stamp-test
	STOMPSERVER_TEST_CORE=interpreted $(BIN)/python -m pytest -m "not long" -n $(JOBS) --dist loadfile --max-worker-restart 0 $(ARGS)

test-compiled: $(RUN_TEST_STAMP)
	STOMPSERVER_TEST_CORE=compiled $(RUN)/bin/python -m pytest -m "not long" -n $(JOBS) --dist loadfile --max-worker-restart 0 $(ARGS)

# Translates to C and stops there. In a copy, so that no file of it comes to lie beside the source.
compile-check: $(VENV)/.stamp-lint
	@room=$$(mktemp -d) && trap 'rm -rf "$$room"' EXIT && cp -R setup.py src "$$room" && cd "$$room" && \
		$(abspath $(BIN))/python setup.py --quiet translate && echo "mypyc takes the core"

test-long: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

test-peers: $(VENV)/.stamp-test
	$(BIN)/python -m tests.peers.play $(ARGS)

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

$(VENV)/.stamp-bench: pyproject.toml $(VENV)/.stamp-install
	$(PIP) install --editable '.[bench]'
	@touch $@

RESULT := bench/results/local-peers

bench-peers: $(VENV)/.stamp-bench
	$(BIN)/python -m bench.peers
	@mkdir -p bench/results
	$(BIN)/python -m bench --peers --json $(RESULT).json $(ARGS); status=$$?; \
		test ! -f $(RESULT).json || $(BIN)/python -m bench.plot $(RESULT).json $(RESULT).svg; exit $$status

bench-page: $(VENV)/.stamp-bench
	$(BIN)/python -m bench.page $(RESULT).json $(wildcard bench/results/local-long.json)

bench-guard: $(VENV)/.stamp-bench
	@test -n "$(BASE)" || { echo "make: say against which commit: make bench-guard BASE=v2.0.0" >&2; exit 2; }
	$(BIN)/python -m bench.guard $(BASE) $(ARGS)

wheel: $(VENV)/.stamp-lint
	rm -rf build dist
	$(BIN)/python -m build

docs: $(VENV)/.stamp-install
	$(BIN)/python -m stompserver.config > docs/reference/options.md.new
	mv docs/reference/options.md.new docs/reference/options.md

clean:
	rm -rf $(RUN) build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache $(NODE)/node_modules $(VENV)/.stamp-*
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
