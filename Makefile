# `make` without a target lists the commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's settings: an index from those settings, or from the variables of pip or uv, is used for both.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$${UV_INDEX_URL-$${PIP_INDEX_URL-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}" $(BIN)/uv
# The locks of deployed packages. Development uses the same versions.
LOCKS := shared/requirements.txt functions/send_invoice/requirements.txt functions/notify_customer/requirements.txt
# The resources of template.yaml that contain these packages.
RESOURCES := OrdersLayer SendInvoiceFunction NotifyCustomerFunction
SBOM := .local/sbom

export HOST PORT AWS_PORT DEBUG CASES
ROUNDS ?= 10

# Tests that share an expensive fixture are in a group, and each group runs on one worker.
PARALLEL := -n auto --dist loadgroup
# Declared in pyproject.toml: only `make gate` runs the tests with these markers.
MARKERS := slow or gateway or browser or faults or build or races or validators or setup

# More examples of property-based tests.
GATE := --hypothesis-profile=gate

# Some systems set NAME for every process; only NAME on the command line is used.
TOKEN_NAME := $(if $(findstring command,$(origin NAME)),$(NAME))

.PHONY: help run preview sheets messages token import backfill restored test gate test-dynamodb-local validate deploy-check faults storm fuzz load load-test bench e2e check format openapi lock sbom clean

help:
	@echo "make run      serve the API on http://127.0.0.1:3000, with sample orders (HOST=, PORT=, AWS_PORT=, DEBUG=1)"
	@echo "make preview  render each kind of mail and PDF in each language with the folder shop/, as a page [LANGUAGE=de] [KIND=invoice]"
	@echo "make token    print a token for it: SUB=alice [ADMIN=1] [NAME=\"Ada Admin\"] [EXPIRES=3600]"
	@echo "make import   import orders from a file into it, or into TABLE: FILE=orders.jsonl [TABLE=orders-prod]"
	@echo "              or the orders that a shop system exported [FORMAT=shopify|woocommerce|magento]"
	@echo "make backfill list orders of version 0.2 in the indexes of later versions: TABLE=orders-prod"
	@echo "make restored compare a restored table with the archive: TABLE=orders-restored BUCKET=… [OLD=orders-prod] [FIX=1]"
	@echo "make test     run the tests that prove the service's behaviour, in less than two minutes [COVERAGE=1]"
	@echo "make gate     run everything: checks, all tests, coverage, bills of materials, a deployment, DynamoDB Local, validators"
	@echo "make test-dynamodb-local"
	@echo "              run the integration tests and races on DynamoDB Local; needs Java 17 and Maven"
	@echo "make validate check e-invoices with the official validators; needs Java 17 and Maven [EXAMPLES=20]"
	@echo "make deploy-check"
	@echo "              deploy the packaged stack to an emulated AWS, use, update, roll back and delete it; needs Python 3.13"
	@echo "make fuzz     call the API with valid and invalid requests by openapi.json, for some minutes [CASES=500 for each route]"
	@echo "make faults   make every AWS call fail in every way, and repeat the request"
	@echo "make storm    make random requests of two customers and an admin while AWS fails [EXAMPLES=200]"
	@echo "make load     call the API with 32 clients at once, then check all acknowledged writes [SECONDS=60] [CLIENTS=32]"
	@echo "make load-test"
	@echo "              load a deployed stack, check all acknowledged writes, print what Lambda reports: STACK=orders-dev [USERS=10]"
	@echo "make e2e      run the end-to-end tests against BASE_URL, or against a local gateway"
	@echo "make bench    measure cold starts, requests and large orders, and update docs/performance.md [ROUNDS=10]"
	@echo "make check    check format, lint, types, templates, the folder shop/, catalogues, and that openapi.json and the schemas are valid and up to date"
	@echo "make messages bring new messages of mails and PDFs into the catalogues of all languages, and report what to translate"
	@echo "make sheets   render docs/sheets again, after mails or PDFs look different; needs Chromium"
	@echo "make format   format the code, and fix lint findings where possible"
	@echo "make openapi  regenerate openapi.json and the schemas of the events"
	@echo "make lock     pin all packages in the requirements .in files again, with hashes [UPGRADE=1]"
	@echo "make sbom     write a CycloneDX bill of materials of the deployed packages to .local/sbom [BUILT=.aws-sam/build]"
	@echo "make clean    remove all generated files"

run: $(VENV)/running
	@$(BIN)/python -m local

# Some systems set LANGUAGE for every process; only LANGUAGE on the command line is used.
preview: $(VENV)/running
	@PYTHONPATH=shared:functions:. $(BIN)/python -m local.preview $(if $(findstring command,$(origin LANGUAGE)),--language "$(LANGUAGE)") $(if $(KIND),--kind "$(KIND)")

sheets: $(VENV)/ready
	@PYTHONPATH=shared:functions:. $(BIN)/python -m local.sheets

# Only the token is on standard output, so that it can be used as $$(make token SUB=alice).
token: $(VENV)/running
	@$(if $(SUB),,$(error name the user: make token SUB=alice [ADMIN=1] [NAME="Ada Admin"] [EXPIRES=3600]))
	@$(BIN)/python -m local token --sub "$$SUB" $(if $(ADMIN),--admin) $(if $(TOKEN_NAME),--name "$$NAME") $(if $(EXPIRES),--expires "$$EXPIRES")

# FILE, FORMAT and TABLE are exported, because they are on the command line. Without TABLE, the running local gateway is used.
import: $(VENV)/running
	@$(if $(FILE),,$(error name the file: make import FILE=orders.jsonl [FORMAT=shopify|woocommerce|magento] [TABLE=orders-prod]))
	@$(BIN)/python -m $(if $(TABLE),importer "$$FILE" --table "$$TABLE",local import "$$FILE") $(if $(FORMAT),--format "$$FORMAT")

backfill: $(VENV)/running
	@$(if $(TABLE),,$(error name the table: make backfill TABLE=orders-prod))
	@$(BIN)/python -m importer.backfill --table "$$TABLE"

restored: $(VENV)/running
	@$(if $(and $(TABLE),$(BUCKET)),,$(error name table and archive: make restored TABLE=orders-restored BUCKET=… [OLD=orders-prod] [FIX=1]))
	@$(BIN)/python -m importer.restored --table "$$TABLE" --bucket "$$BUCKET" $(if $(OLD),--old "$$OLD") $(if $(FIX),--fix)

# The gate's recipes run one after the other, even with -j.
.NOTPARALLEL:

# These tests use moto, even if the shell names a DynamoDB Local. With COVERAGE, property-based tests also try more examples.
test: $(VENV)/ready
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) -m "not ($(MARKERS))" $(if $(COVERAGE),$(GATE) --cov --cov-report=term) $(ARGS)

# Coverage is that of `make test`: the other tests are slow, and are there for what coverage does not show. Status 69 means
# left out, because the gate does not require Python 3.13, Java, Maven and Maven Central. run.py prints the reason.
gate: COVERAGE = 1
gate: check test
	env -u AWS_ENDPOINT_URL_DYNAMODB $(BIN)/pytest $(PARALLEL) -m "$(MARKERS)" $(GATE) $(ARGS)
	$(MAKE) e2e
	if python3.13 -c '' 2>/dev/null; then $(MAKE) sbom; else echo "Left out: make sbom, because it needs Python 3.13, as Lambda has." >&2; fi
	PYTHONPATH=tests:. $(BIN)/python -m deploy.run || [ $$? -eq 69 ]
	PYTHONPATH=tests $(BIN)/python -m dynamodb_local.run || [ $$? -eq 69 ]
	PYTHONPATH=tests $(BIN)/python -m validators.run || [ $$? -eq 69 ]

test-dynamodb-local: $(VENV)/ready
	@PYTHONPATH=tests $(BIN)/python -m dynamodb_local.run $(ARGS)

validate: export EXAMPLES := $(or $(EXAMPLES),20)
validate: $(VENV)/ready
	@PYTHONPATH=tests $(BIN)/python -m validators.run $(ARGS)

deploy-check: $(VENV)/ready
	@PYTHONPATH=tests:. $(BIN)/python -m deploy.run

fuzz: export CASES := $(or $(CASES),500)
fuzz: $(VENV)/ready
	$(BIN)/pytest -n auto -rP tests/gateway/test_openapi.py $(ARGS)

faults: $(VENV)/ready
	$(BIN)/pytest -n auto --show-capture=no tests/integration/test_faults.py $(ARGS)

storm: export EXAMPLES := $(or $(EXAMPLES),200)
storm: $(VENV)/ready
	$(BIN)/pytest --show-capture=no tests/integration/test_state_machine.py $(ARGS)

# Another name, because some shells set SECONDS.
load: export LOAD_SECONDS := $(or $(SECONDS),60)
load: export CLIENTS := $(or $(CLIENTS),32)
load: $(VENV)/ready
	$(BIN)/pytest -rP --show-capture=stdout tests/gateway/test_load.py $(ARGS)

load-test: export STACK := $(STACK)
load-test: export USERS := $(or $(USERS),10)
load-test: export LOAD_SECONDS := $(or $(SECONDS),60)
load-test: $(VENV)/ready
	@PYTHONPATH=tests $(BIN)/python tests/load/run.py

e2e: $(VENV)/ready
	LOCAL_GATEWAY=1 $(BIN)/pytest tests/e2e $(ARGS)

bench: $(VENV)/ready
	@PYTHONPATH=shared:functions:.:tests $(BIN)/python -m bench --rounds $(ROUNDS)

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python shared/orders/mailing/style.py
	$(BIN)/python shared/orders/mailing/catalogues.py check
	$(BIN)/cfn-lint template.yaml .github/deploy-role.yaml docs/events/consumer.yaml
	$(BIN)/python -m openapi --check
	$(BIN)/openapi-spec-validator openapi.json

messages: $(VENV)/ready
	@$(BIN)/python shared/orders/mailing/catalogues.py update

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(VENV)/ready
	$(BIN)/python -m openapi

# Locks for all systems and processors at once. Lambda has one Python version, developers have several. No lock names a
# private index or a folder of wheels.
lock: $(VENV)/ready
	@for lock in $(LOCKS) requirements-run.txt requirements-dev.txt requirements-uv.txt requirements-deploy.txt requirements-load.txt; do \
	  case $$lock in requirements-deploy.txt) python=3.13 ;; requirements-*) python=3.11 ;; *) python=3.13 ;; esac; \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-python-downloads $(if $(UPGRADE),--upgrade) \
	    $$(case $$lock in functions/*) echo --override functions/overrides.in ;; esac) \
	    --python-version $$python --output-file $$lock $${lock%.txt}.in || exit; \
	done

# Inspects built resources: BUILT is their folder, such as .aws-sam/build after `sam build`. Without it, they are built
# first. PYTHONPATH shows the resource's packages only to the interpreter that is inspected (-I ignores it).
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

# The virtual environment is set up in two steps: the packages for running, then those for development. Both install exactly
# the locked packages, by hash, and resolve nothing, so that no new release of any package can break them.
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
	  echo "Adding packages for tests and checks to $(VENV), once: about 100 MB to download …" && \
	  $(call sync,$<); } || { $(SET_UP_FAILED); }; } >&2

# Waits while another make sets up, and succeeds if that one made the target. The lock is held for as long as this shell has
# the file open.
SET_UP_ELSEWHERE = { exec 9<Makefile && $(PYTHON) -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' && [ -e $@ ] && [ -z "$$(find $^ -newer $@)" ]; }

# Shows uv's progress without its list of packages. The stamp file tells whether uv succeeded, because a pipe has the exit
# status of its last command. Runtime packages are compiled, because otherwise all function processes would compile at once.
sync = rm -f $@ && { $(UV) pip sync --python $(BIN)/python --require-hashes --no-build $(1) 2>&1 && touch $@; } | sed '/^ [-+~] /d' && [ -e $@ ]

SET_UP_FAILED = echo "$(VENV) could not be set up; the reason is above. A private index is taken from pip's settings or UV_DEFAULT_INDEX. Then run make again." && exit 1
