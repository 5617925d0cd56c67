# Everything here sets itself up in .venv from requirements.lock. Needed beforehand: make, and Python 3.11 or later.

SHELL := /bin/sh
VENV := .venv
READY := $(VENV)/.ready
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
PACKAGES := schemas pipeline sinks agents ratestream deploy
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input

.PHONY: help demo stream-demo broker test test-long lint format accuracy bench bench-stream bench-sink bench-questions
.PHONY: simulate chaos chaos-sink verify lock clean
.DELETE_ON_ERROR:

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## rate real homes and a made-up cloud, and show their statements
	@$(VENV)/bin/ratestream demo $(ARGS)

stream-demo: $(READY) ## start a Kafka, and rate real homes with two workers
	@$(VENV)/bin/python -m deploy.broker run -- $(VENV)/bin/ratestream stream-demo

broker: $(READY) ## a Kafka for development, until Ctrl-C
	@$(VENV)/bin/python -m deploy.broker run

# Tests on Kafka wait more than they work, so they run beside the others.
ON_KAFKA := tests/stream tests/chaos tests/chaos_sink

test: lint ## every check: lint, format, types, tests (ARGS='-k tier' chooses tests)
	@echo '== pytest'
	@$(if $(ARGS),$(VENV)/bin/python -m pytest -q $(ARGS), \
	told=$$(mktemp); \
	$(VENV)/bin/python -m pytest -q -p no:cacheprovider $(ON_KAFKA) > "$$told" 2>&1 & \
	on_kafka=$$!; trap 'kill $$on_kafka; wait' INT TERM; \
	$(VENV)/bin/python -m pytest -q $(addprefix --ignore=,$(ON_KAFKA)); code=$$?; \
	wait $$on_kafka || code=$$?; echo '== pytest, on Kafka'; cat "$$told"; rm -f "$$told"; exit $$code)

test-long: $(READY) ## each law of prices and statements for 10,000 examples, in an hour or two (RATESTREAM_TEST_EXAMPLES=COUNT for fewer)
	@RATESTREAM_TEST_PROFILE=long $(VENV)/bin/python -m pytest -q tests/property $(ARGS)

lint: $(READY) ## lint, format and types only
	@echo '== ruff check'
	@$(VENV)/bin/python -m ruff check --output-format concise .
	@echo '== ruff format'
	@$(VENV)/bin/python -m ruff format --check .
	@echo '== mypy'
	@$(VENV)/bin/python -m mypy

accuracy: $(READY) ## work published bills out and count the right ones (RATESTREAM_CASES=PATH chooses other bills)
	@$(VENV)/bin/python -m tests.accuracy

bench: $(READY) ## measure how many records a second one core rates
	@$(VENV)/bin/python -m tests.bench.local_throughput $(ARGS)

bench-stream: $(READY) ## measure the stream: records a second, delays, restore, closing (ARGS='--quick')
	@$(VENV)/bin/python -m tests.bench.stream $(ARGS)

bench-sink: $(READY) ## measure how many charges a second the sink stores (ARGS='--quick')
	@$(VENV)/bin/python -m tests.bench.sink $(ARGS)

bench-questions: $(READY) ## measure the reports over 20 million charges (ARGS='--charges 1000000' for fewer)
	@$(VENV)/bin/python -m tests.bench.questions $(ARGS)

simulate: $(READY) ## a million schedules of crashes of a partition's task, in one thread from one seed, for some hours
	@$(VENV)/bin/python -m tests.simulation --schedules 1000000 $(ARGS)

chaos: $(READY) ## kill workers and the broker under load, 500 times and more, and compare every charge (ARGS='--kills 30' for less)
	@$(VENV)/bin/python -m tests.chaos $(or $(ARGS),--full)

chaos-sink: $(READY) ## kill sinks 500 times and cut them off from ClickHouse, in half an hour
	@$(VENV)/bin/python -m tests.chaos_sink $(or $(ARGS),--full)

verify: $(READY) ## work out the bills of an export again, independently (ARGS='--tariffs PATH --accounts PATH --export DIR USAGE')
	@$(VENV)/bin/python -m tests.oracle $(ARGS)

format: $(READY) ## put the code into its one format
	@$(VENV)/bin/python -m ruff check --fix-only .
	@$(VENV)/bin/python -m ruff format .

# Sets $$python. Each one is run to see whether it is usable: a name on the PATH may be a launcher with nothing behind it.
define FIND_PYTHON
for python in $(PYTHONS); do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	python=; \
done; \
if [ -z "$$python" ]; then \
	echo 'No Python 3.11 or later that can make virtual environments among: $(PYTHONS).' >&2; \
	echo 'Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3 ...' >&2; \
	exit 1; \
fi
endef

# A checkout that was moved or copied, or whose Python is gone, gets a new environment.
ifneq ($(shell test -x $(VENV)/bin/python && cat $(READY) 2>/dev/null),$(shell pwd -P))
.PHONY: $(READY)
endif

$(READY): requirements.lock pyproject.toml
	@$(FIND_PYTHON); \
	echo "== setting up $(VENV) with $$("$$python" --version); this happens once"; \
	"$$python" -m venv --clear $(VENV)
	@$(PIP) install --only-binary :all: --require-hashes -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@pwd -P > $@

lock: ## renew requirements.lock after a change of pyproject.toml (ARGS=--upgrade takes the newest versions)
	@$(FIND_PYTHON); "$$python" -m venv --clear build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@UV_CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--fork-strategy fewest --all-extras --generate-hashes --output-file requirements.lock $(ARGS) pyproject.toml

clean: ## remove the environment, builds and caches
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +
