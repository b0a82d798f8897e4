# Needs Python >= 3.11, make and git; everything else is installed into .venv with verified hashes.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench bench-answers bench-audit bench-grounding bench-scale bench-sealing isolation-report fuzz lock

PYTHON ?= python3
EXAMPLES ?= 20
UV_VERSION := 0.13.9
BIN := .venv/bin
INSTALLED := .venv/.installed

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Create .venv and install the locked dependencies

$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m uv --version 2>/dev/null | grep -q ' $(UV_VERSION)' || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/python -m uv pip sync --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

demo: setup ## Serve two demo tenants on port 8000 from an embedded PostgreSQL
	@$(BIN)/affidavit demo

test: setup ## Run the whole suite against an embedded PostgreSQL, as the runtime role
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90

bench: setup ## Measure ranking quality on ../shared/data: BM25, dense, reciprocal rank fusion, ours
	$(BIN)/python -m tests.benchmarks.quality

bench-grounding: setup ## Measure the check of sentences: false accept and false drop by kind of falsehood and level
	$(BIN)/python -m tests.benchmarks.grounding

bench-answers: setup ## Measure which questions the built-in generator answers, and which it rightly refuses
	$(BIN)/python -m tests.benchmarks.answers

bench-scale: setup ## Measure cost by tenant size, recall of the indexes and distance from the floor
	$(BIN)/python -m tests.benchmarks.scale

bench-audit: setup ## Measure the offline verifier, and how long reviewers wait for a page of a large log
	$(BIN)/python -m tests.benchmarks.audit_verifier
	$(BIN)/python -m tests.benchmarks.audit_log

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
