# `make` alone says what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is deployed; what develops it has the same versions.
LOCKS := shared/requirements.txt functions/send_invoice/requirements.txt functions/notify_customer/requirements.txt
SBOM := .local/sbom

export HOST PORT AWS_PORT CASES
ROUNDS ?= 10

# Tests that share something costly name a group, and a group stays on one worker.
PARALLEL := -n auto --dist loadgroup
# What pyproject.toml declares: `make gate` alone runs the tests with these markers.
MARKERS := slow or gateway or faults or build or races

# Some systems set NAME for every process; only the one on the command line is meant.
TOKEN_NAME := $(if $(findstring command,$(origin NAME)),$(NAME))

.PHONY: help run token import test gate test-dynamodb-local faults storm fuzz load bench e2e check format openapi lock sbom clean

help:
	@echo "make run      serve the API on http://127.0.0.1:3000, with sample orders (HOST=, PORT=, AWS_PORT=)"
	@echo "make token    print a token for it: SUB=alice [ADMIN=1] [NAME=\"Ada Admin\"] [EXPIRES=3600]"
	@echo "make import   bring the orders of a file into it, or into TABLE: FILE=orders.jsonl [TABLE=orders-prod]"
	@echo "make test     run the tests that prove the service's behaviour, in less than two minutes"
	@echo "make gate     run everything: checks, all tests with coverage, end-to-end tests, bills of materials, DynamoDB Local"
	@echo "make test-dynamodb-local"
	@echo "              run the integration tests and races on DynamoDB Local; needs Java 17 and Maven, too"
	@echo "make fuzz     call the API with what openapi.json allows and forbids, for some minutes [CASES=500 for each route]"
	@echo "make faults   let every call of AWS fail in every way, and repeat what it was for"
	@echo "make storm    let two customers and an admin do anything while AWS fails [EXAMPLES=200 stories]"
	@echo "make load     call the API by 32 clients at once, then look for all that was acknowledged [SECONDS=60] [CLIENTS=32]"
	@echo "make e2e      run the end-to-end tests against BASE_URL, or against a local gateway that it starts"
	@echo "make bench    measure what starts, requests and large orders cost, into docs/performance.md [ROUNDS=10]"
	@echo "make check    formatter, linter, types, templates, validity of OpenAPI, drift of it and of schemas"
	@echo "make format   let the formatter and the linter mend what they can"
	@echo "make openapi  write openapi.json and the events' schemas anew"
	@echo "make lock     pin all packages anew, with hashes, as the requirements.in ask for them [UPGRADE=1]"
	@echo "make sbom     write what is deployed, package by package, as CycloneDX into .local/sbom"
	@echo "make clean    remove what the above made"

run: $(VENV)/ready
	@$(BIN)/python -m local

# Nothing but the token on standard output, so that it can be used as $$(make token SUB=alice).
token: $(VENV)/ready
	@$(if $(SUB),,$(error say for whom: make token SUB=alice [ADMIN=1] [NAME="Ada Admin"] [EXPIRES=3600]))
	@$(BIN)/python -m local token --sub "$$SUB" $(if $(ADMIN),--admin) $(if $(TOKEN_NAME),--name "$$NAME") $(if $(EXPIRES),--expires "$$EXPIRES")

# FILE and TABLE are exported, because they are on the command line. Without FILE, it says what to type.
import: $(VENV)/ready
	@$(BIN)/python -m importer $(if $(FILE),"$$FILE") $(if $(TABLE),--table "$$TABLE")

# Whatever the shell has in mind for `make run`, these tests are moto's.
test: $(VENV)/ready
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) -m "not ($(MARKERS))" $(ARGS)

# One after the other, whatever -j says. 69 means left out, and run.py has said why: Java, Maven and Maven Central are not
# the gate's to ask for.
gate: $(VENV)/ready
	$(MAKE) check
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) --hypothesis-profile=gate --cov --cov-report=term $(ARGS)
	$(MAKE) e2e
	$(MAKE) sbom
	$(BIN)/python tests/dynamodb_local/run.py || [ $$? -eq 69 ]

test-dynamodb-local: $(VENV)/ready
	@$(BIN)/python tests/dynamodb_local/run.py $(ARGS)

fuzz: export CASES := $(or $(CASES),500)
fuzz: $(VENV)/ready
	$(BIN)/pytest -n auto -rP tests/gateway/test_openapi.py $(ARGS)

faults: $(VENV)/ready
	$(BIN)/pytest -n auto --show-capture=no tests/integration/test_faults.py $(ARGS)

storm: export EXAMPLES := $(or $(EXAMPLES),200)
storm: $(VENV)/ready
	$(BIN)/pytest --show-capture=no tests/integration/test_state_machine.py $(ARGS)

# By another name: some shells count in SECONDS.
load: export LOAD_SECONDS := $(or $(SECONDS),60)
load: export CLIENTS := $(or $(CLIENTS),32)
load: $(VENV)/ready
	$(BIN)/pytest -rP --show-capture=stdout tests/gateway/test_load.py $(ARGS)

e2e: $(VENV)/ready
	LOCAL_GATEWAY=1 $(BIN)/pytest tests/e2e $(ARGS)

bench: $(VENV)/ready
	@PYTHONPATH=shared:functions:packaging:.:tests $(BIN)/python -m bench --rounds $(ROUNDS)

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml .github/deploy-role.yaml docs/events/consumer.yaml
	$(BIN)/python -m local openapi --check
	$(BIN)/openapi-spec-validator openapi.json

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(VENV)/ready
	$(BIN)/python -m local openapi

# For all systems and processors at once. Lambda has one Python, developers have several. An index of one's own, or a folder
# of wheels, is named in no lock.
lock: $(VENV)/ready
	@for lock in $(LOCKS) requirements-dev.txt; do \
	  case $$lock in requirements-dev.txt) python=3.11 ;; *) python=3.13 ;; esac; \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-python-downloads $(if $(UPGRADE),--upgrade) \
	    --python-version $$python --output-file $$lock $${lock%.txt}.in || exit; \
	done

# The same commit gives the same bytes: no date, no serial number.
sbom: $(VENV)/ready
	@mkdir -p $(SBOM)
	@for lock in $(LOCKS); do \
	  name=$${lock%/requirements.txt}; \
	  PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --validate \
	    --output-file $(SBOM)/$${name#functions/}.cdx.json $$lock || exit; \
	done

clean:
	rm -rf $(VENV) .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# A second make, in another terminal, waits for the first: the lock is held for as long as this shell has the file open.
$(VENV)/ready: requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name yours: make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1). Python 3.11 or newer is needed; name one: make PYTHON=python3.13 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV), once: a minute or so …" >&2
	@exec 9<$< && $(PYTHON) -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' && { [ $@ -nt $< ] || { \
	  $(PYTHON) -m venv --clear $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< && \
	  touch $@; }; } >&2
