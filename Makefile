# The environment is .venv; it is installed again when pyproject.toml or constraints.txt changes.
PYTHON ?= python3
PIP := PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHAINCITE := .venv/bin/chaincite --library .demo
# What tests run against: a node, a compiler, contracts, servers of chat models and of bots.
NPM_PARTS := @foundry-rs/anvil@1.7.1 solc@0.8.37 @openzeppelin/contracts@5.7.0 @uniswap/v2-core@1.0.1 \
	@uniswap/v3-core@1.0.1 @aave/core-v3@1.19.3 @copilotkit/aimock@1.43.0 telegram-test-api@4.2.1

.PHONY: demo test check bench reader features clean
.DELETE_ON_ERROR:

demo: .venv/installed
	rm -rf .demo
	$(CHAINCITE) ingest papers --manifest evals/data/sample/MANIFEST.json
	$(CHAINCITE) ask "How does the base fee change when a block is full?"
	$(CHAINCITE) verify last
	$(CHAINCITE) ask "Which formula keeps the reserves of a Uniswap pair in balance?"
	$(CHAINCITE) verify last
	$(CHAINCITE) ask "Who won the football world cup in 1998?"
	$(CHAINCITE) history
	$(CHAINCITE) status
	$(CHAINCITE) doctor

test: check .npm-tools/installed
	.venv/bin/python -m pytest

check: .venv/installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/installed-bench
	.venv/bin/python -m evals.bench

# Trains the reader of sentences again: minutes on a GPU, many hours without. evals/data/reader.md says on what.
LIBRARY ?= library
reader: .venv/installed
	.venv/bin/python -m evals.reader --library $(LIBRARY)

# Fits the weights of what can be told of a sentence without reading it: ten minutes.
features: .venv/installed
	.venv/bin/python -m evals.features --library $(LIBRARY)

clean:
	rm -rf .venv .npm-tools .demo .bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Without npm there are no such parts, and the tests that need them are skipped by name.
.npm-tools/installed: Makefile
	@if command -v npm >/dev/null; then \
		npm install --silent --no-package-lock --no-audit --no-fund --prefix .npm-tools $(NPM_PARTS) && touch $@; \
	else echo "npm is not here: tests that need a node, solc or a bot server will be skipped."; fi

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/pip pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time takes a few minutes."
	$(PIP) pip setuptools
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/installed-%: .venv/installed
	$(PIP) --no-build-isolation --editable '.[$*]'
	touch $@
