# `make` alone says what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's settings: an index that is set there, or by the variables of either, holds for both.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$${UV_INDEX_URL-$${PIP_INDEX_URL-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}" $(BIN)/uv
# What is deployed; what develops it has the same versions.
LOCKS := shared/requirements.txt functions/send_invoice/requirements.txt functions/notify_customer/requirements.txt
# The resources of template.yaml that contain them.
RESOURCES := OrdersLayer SendInvoiceFunction NotifyCustomerFunction
SBOM := .local/sbom

export HOST PORT AWS_PORT DEBUG CASES
ROUNDS ?= 10

# Tests that share something costly name a group, and a group stays on one worker.
PARALLEL := -n auto --dist loadgroup
# What pyproject.toml declares: `make gate` alone runs the tests with these markers.
MARKERS := slow or gateway or browser or faults or build or races or setup

# Some systems set NAME for every process; only the one on the command line is meant.
TOKEN_NAME := $(if $(findstring command,$(origin NAME)),$(NAME))

.PHONY: help run token import test gate test-dynamodb-local faults storm fuzz load bench e2e check format openapi lock sbom clean

help:
	@echo "make run      serve the API on http://127.0.0.1:3000, with sample orders (HOST=, PORT=, AWS_PORT=, DEBUG=1)"
	@echo "make token    print a token for it: SUB=alice [ADMIN=1] [NAME=\"Ada Admin\"] [EXPIRES=3600]"
	@echo "make import   import the orders of a file into it, or into TABLE: FILE=orders.jsonl [TABLE=orders-prod]"
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
	@echo "make openapi  regenerate openapi.json and the schemas of the events"
	@echo "make lock     pin all packages anew, with hashes, as the requirements.in ask for them [UPGRADE=1]"
	@echo "make sbom     list the packages that are deployed, as CycloneDX, in .local/sbom [BUILT=.aws-sam/build]"
	@echo "make clean    remove what the above made"

run: $(VENV)/running
	@$(BIN)/python -m local

# Nothing but the token on standard output, so that it can be used as $$(make token SUB=alice).
token: $(VENV)/running
	@$(if $(SUB),,$(error say for whom: make token SUB=alice [ADMIN=1] [NAME="Ada Admin"] [EXPIRES=3600]))
	@$(BIN)/python -m local token --sub "$$SUB" $(if $(ADMIN),--admin) $(if $(TOKEN_NAME),--name "$$NAME") $(if $(EXPIRES),--expires "$$EXPIRES")

# FILE and TABLE are exported, because they are on the command line. Without TABLE, the local gateway is found by its state.
import: $(VENV)/running
	@$(if $(FILE),,$(error name the file: make import FILE=orders.jsonl [TABLE=orders-prod]))
	@$(BIN)/python -m $(if $(TABLE),importer "$$FILE" --table "$$TABLE",local import "$$FILE")

# Whatever the shell has in mind for `make run`, these tests are moto's.
test: $(VENV)/ready
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) -m "not ($(MARKERS))" $(ARGS)

# One after the other, whatever -j says. 69 means left out, and run.py has said why: Java, Maven and Maven Central are not
# the gate's to ask for.
gate: $(VENV)/ready
	$(MAKE) check
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) --hypothesis-profile=gate --cov --cov-report=term $(ARGS)
	$(MAKE) e2e
	if python3.13 -c '' 2>/dev/null; then $(MAKE) sbom; else echo "Left out: make sbom, because it needs Python 3.13, as Lambda has." >&2; fi
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
	@PYTHONPATH=shared:functions:.:tests $(BIN)/python -m bench --rounds $(ROUNDS)

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml .github/deploy-role.yaml docs/events/consumer.yaml
	$(BIN)/python -m openapi --check
	$(BIN)/openapi-spec-validator openapi.json

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(VENV)/ready
	$(BIN)/python -m openapi

# For all systems and processors at once. Lambda has one Python, developers have several. An index of one's own, or a folder
# of wheels, is named in no lock.
lock: $(VENV)/ready
	@for lock in $(LOCKS) requirements-run.txt requirements-dev.txt requirements-uv.txt; do \
	  case $$lock in requirements-*) python=3.11 ;; *) python=3.13 ;; esac; \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-python-downloads $(if $(UPGRADE),--upgrade) \
	    --python-version $$python --output-file $$lock $${lock%.txt}.in || exit; \
	done

# From what is built: BUILT is a folder of built resources, such as .aws-sam/build after `sam build`. Without it, they are
# built first. PYTHONPATH shows the resource's packages only to the interpreter that is inspected (-I ignores it).
# The output has no date and no serial number, so that the same build gives the same bytes.
sbom: $(VENV)/ready
	@rm -rf $(SBOM) && mkdir -p $(SBOM)
	@for resource in $(RESOURCES); do \
	  built="$(or $(BUILT),.local/build)/$$resource" && \
	  $(if $(BUILT),,rm -rf "$$built" && $(BIN)/python bundle/build.py --architecture arm64 $$resource "$$built" &&) \
	  PYTHONWARNINGS=ignore PYTHONPATH="$$built/python:$$built" $(BIN)/python -I -W ignore -m cyclonedx_py environment -S \
	    --pyproject pyproject.toml --output-reproducible --validate \
	    --output-file "$(SBOM)/$$resource.cdx.json" $(BIN)/python || exit; \
	done

clean:
	rm -rf $(VENV) .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# The virtual environment is set up in two steps: what running needs, then what development adds. Both install exactly what
# the locks list, by hash, and resolve nothing, so that no new release of any package can break them.
$(VENV)/running: requirements-uv.txt requirements-run.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name yours: make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1). Python 3.11 or newer is needed; name one: make PYTHON=python3.13 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@{ $(SET_UP_ELSEWHERE) || { \
	  echo "Setting up $(VENV), once: about 100 MB to download …" && \
	  $(PYTHON) -m venv --clear $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r $< && \
	  $(call sync,--compile-bytecode requirements-run.txt); } || { $(SET_UP_FAILED); }; } >&2

$(VENV)/ready: requirements-dev.txt $(VENV)/running
	@{ $(SET_UP_ELSEWHERE) || { \
	  echo "Adding to $(VENV) what tests and checks need, once: about 100 MB to download …" && \
	  $(call sync,$<); } || { $(SET_UP_FAILED); }; } >&2

# Waits while another make sets up, and succeeds if that one did what was to do here. The lock is held for as long as this
# shell has the file open.
SET_UP_ELSEWHERE = { exec 9<Makefile && $(PYTHON) -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' && [ -e $@ ] && [ -z "$$(find $^ -newer $@)" ]; }

# Shows uv's progress without its list of packages. Whether it succeeded is told by the stamp, because a pipe has the exit
# status of its last command. What runs is compiled: each function has a process of its own, and all would compile at once.
sync = rm -f $@ && { $(UV) pip sync --python $(BIN)/python --require-hashes --no-build $(1) 2>&1 && touch $@; } | sed '/^ [-+~] /d' && [ -e $@ ]

SET_UP_FAILED = echo "$(VENV) could not be set up; the reason is above. An index of your own is taken from pip's settings or UV_DEFAULT_INDEX. Then run make again." && exit 1
