# `make` alone lists what there is to make. Arguments for the command behind a target go into ARGS:
#   make up ARGS=--fresh      make test ARGS='-k ledger'

BIN := .venv/bin
PYTHON ?=
export PYTHON
# Python's and pytest's compiled files are kept: compiling all tests anew takes longer than running the quick ones.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: install
install: ## bring what is missing into .venv; nothing outside this folder
	@sh scripts/bootstrap.sh

.PHONY: up
up: install ## start everything on this machine; Ctrl-C stops it
	@$(BIN)/meter up $(ARGS)

.PHONY: demo
demo: install ## start everything and replay a day of real usage
	@$(BIN)/meter up --demo $(ARGS)

# How many processes run tests side by side, each with servers of its own.
WORKERS ?= 2
.PHONY: test
test: install ## run all tests against private servers
	@$(BIN)/python -m pytest -p xdist.plugin -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: unit
unit: install ## run the tests that need no server
	@$(BIN)/python -m pytest -p xdist.plugin -n $(WORKERS) --dist worksteal tests/unit $(ARGS)

.PHONY: test-model
test-model: install ## hold settlement and quick decoding to their models for 10,000 examples; takes half an hour
	@METER_TEST_EXAMPLES=$${METER_TEST_EXAMPLES:-10000} $(BIN)/python -m pytest \
		tests/integration/test_settlement_against_model.py tests/unit/test_events_plain.py $(ARGS)

.PHONY: test-schema
test-schema: install ## ask both APIs for everything their OpenAPI documents allow and forbid; takes ten minutes
	@METER_TEST_SCHEMA_EXAMPLES=$${METER_TEST_SCHEMA_EXAMPLES:-100} $(BIN)/python -m pytest \
		tests/integration/test_schemathesis.py $(ARGS)

.PHONY: test-mutations
test-mutations: install ## break settlement in each way known and see a test turn red; takes an hour
	@$(BIN)/python -m tests.mutations $(ARGS)

.PHONY: faults
faults: install ## break every part under load 200 times and count every event after; takes 20 minutes
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: faults-cluster
faults-cluster: install ## break every node of a broker cluster under load in every way, twice; takes 20 minutes
	@$(BIN)/python -m tests.faults --stage cluster --faults 30 --events 300000 --rate 500 \
		--json-file bench/faults-cluster.json $(ARGS)

.PHONY: faults-standby
faults-standby: install ## kill and freeze a database under load and fail over to its standby, again and again; takes 4 minutes
	@$(BIN)/python -m tests.faults --stage standby --faults 12 --events 30000 --rate 200 \
		--json-file bench/faults-standby.json $(ARGS)

.PHONY: faults-disks
faults-disks: install ## fill the disks of the database under load, and kill workers meanwhile; takes 3 minutes
	@$(BIN)/python -m tests.faults --stage disks --faults 20 --events 30000 --rate 200 \
		--json-file bench/faults-disks.json $(ARGS)

MINUTES ?= 30
.PHONY: soak
soak: install ## load everything steadily for MINUTES=30; memory, open files and lag must not grow
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(ARGS)

.PHONY: bench
bench: install ## measure every line of the performance table; takes minutes and wants the machine for itself
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-quick
bench-quick: install ## the same with less of everything, in under a minute
	@$(BIN)/python -m bench --quick $(ARGS)

.PHONY: bench-techniques
bench-techniques: install ## compare ways to write a batch into the ledger, and to take messages
	@$(BIN)/python -m bench.techniques $(ARGS)

.PHONY: lint
lint: install ## look for mistakes and for code that is not formatted
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: types
types: install ## check the types
	@$(BIN)/mypy

.PHONY: imports
imports: install ## check that rooms know only rooms downstream of them
	@$(BIN)/lint-imports

.PHONY: contract-check
contract-check: install ## check that the published contract is what the code says
	@$(BIN)/python -m meter.contract --check
	@$(BIN)/python -m meter.api.openapi --check docs/openapi/api.json
	@$(BIN)/python -m meter.admin.openapi --check docs/openapi/admin.json

.PHONY: lock-check
lock-check: install ## check that the lock file has what pyproject.toml asks for
	@$(BIN)/python scripts/check_lock.py

.PHONY: format
format: install ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: lock
lock: install ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header -p 3.11 pyproject.toml -o requirements.lock

.PHONY: ci
ci: ## everything that is checked before a change lands
	@bash .ci/run

.PHONY: clean
clean: ## remove the environment and every cache in this folder
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
