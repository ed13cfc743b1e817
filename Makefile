# Everything a user or developer runs. Each target says what it is for after two hashes; `make` alone prints them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPARK := .venv-spark
PACKAGES := cds_service hooks
SBOM ?= sbom.json
HEALTHCHAIN := healthchain==0.16.1

.DEFAULT_GOAL := help
.PHONY: help run test test-slow unit lint types imports coverage accept bench backtest-bench backtest-cluster backtest-spark-bench servers elements soak fuzz scale mutants sbom notice audit screenshots lock clean

help: ## Print what each target is for
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: $(VENV)/.run ## Install what is needed and serve on 127.0.0.1:8080
	$(BIN)/cds-service serve

test: $(VENV)/.dev lint types imports coverage ## Install what is needed and run every check and test

test-slow: $(SPARK)/.dev ## Run the tests of minutes: large requests and backtests, the install script in a fresh Debian, every Python version
	CDS_SLOW_TESTS=1 $(SPARK)/bin/pytest -q -ra tests/slow

unit: $(VENV)/.dev ## Run the unit and service tests: under a minute
	$(BIN)/pytest -q -m "not postgresql" tests/unit tests/service

lint: $(VENV)/.dev ## Check style and format, spelling, and plain American English
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python -m tests.wording

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

imports: $(VENV)/.dev ## Check the import rules
	$(BIN)/lint-imports

coverage: $(VENV)/.dev ## Run all tests and enforce branch coverage
	$(BIN)/pytest -q --cov --cov-report=
	$(BIN)/coverage report --include='hooks/*' --fail-under=100
	$(BIN)/coverage report --include='cds_service/*' --fail-under=95

accept: $(VENV)/.dev ## Record expected.json of every fixture anew; the diff is the review
	$(BIN)/python -m tests.accept

bench: $(VENV)/.dev $(VENV)/.peers ## Measure a call against decoding its JSON, and the service against floors and peers
	$(BIN)/pytest -q --benchmark-only --benchmark-columns=median,iqr,rounds tests/bench/bench_steps.py
	$(BIN)/python -m tests.bench.decoding
	$(BIN)/python -m tests.bench.costs
	$(BIN)/python -m tests.bench.served

servers: $(VENV)/.dev ## Measure floor and service under each web server that could be used (needs wrk)
	$(BIN)/python -m tests.bench.servers

elements: $(VENV)/.dev ## Replace each element of the fixtures' resources by every bad value: no decision may change
	$(BIN)/python -m tests.bad_elements

soak: $(VENV)/.dev ## Stop under load twenty times, then serve mixed requests for ten minutes (needs wrk)
	$(BIN)/python -m tests.bench.soak

fuzz: $(VENV)/.dev ## Send 100,000 mutated requests: about five minutes
	$(BIN)/python -m tests.fuzz.campaign

backtest-bench: $(VENV)/.dev ## Backtest synthetic exports of 20,000 and 200,000 patients (11 GB of disk), with CPU seconds
	$(BIN)/python -m tests.bench.backtest

mutants: $(VENV)/.dev ## Change the code in small ways, and tell which changes the fast tests do not notice (SAMPLE=60 of each room)
	nice -n 15 $(BIN)/python -m tests.mutation --sample $(or $(SAMPLE),0)

backtest-spark-bench: $(SPARK)/.dev ## Measure what Spark costs a patient beside the embedded engine, and before the first (needs Java)
	$(SPARK)/bin/python -m tests.bench.backtest spark 2000 20000

backtest-cluster: $(SPARK)/.dev ## Compare engines on a Spark master with two workers on this machine (needs Java; about two minutes)
	timeout 1200 $(SPARK)/bin/python -m tests.bench.cluster

scale: $(VENV)/.dev ## Measure what a call costs from 10 to 10,000 prefetched resources
	$(BIN)/python -m tests.bench.scale

sbom: $(VENV)/.dev ## Write the bill of materials (CycloneDX) of the lock file to $(SBOM)
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --of JSON -o $(SBOM)

notice: $(VENV)/.dev ## Write the second part of NOTICE: licenses of what the lock file installs
	$(BIN)/python -m tests.supply_chain.notice

audit: $(VENV)/.dev ## Ask the advisory database about each locked package; says so when nobody could be asked
	$(BIN)/python -m tests.supply_chain.audit

screenshots: $(VENV)/.dev ## Take the README's pictures of the pages anew (needs Chromium)
	$(BIN)/python -m tests.screenshots

lock: $(VENV)/.dev ## Resolve the lock files anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build --extra backtest --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove what the targets above made
	rm -rf $(VENV) $(SPARK) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name it with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/pip
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.peers: | $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/healthchain
	$(VENV)/healthchain/bin/pip install -q --disable-pip-version-check $(HEALTHCHAIN) || rm -rf $(VENV)/healthchain
	@touch $@

# What only the backtest's second engine needs (pyspark and its pandas) stays out of the other environment.
$(SPARK)/.dev: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(SPARK)/bin/pip install -q --disable-pip-version-check --no-build-isolation -e '.[spark]'
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
