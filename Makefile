# The environment is .venv; it is installed again when pyproject.toml or constraints.txt changes.
PYTHON ?= python3
PIP := PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHAINCITE := .venv/bin/chaincite --library .demo

.PHONY: demo test check bench clean
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

test: check
	.venv/bin/python -m pytest

check: .venv/installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/installed-bench
	.venv/bin/python -m evals.bench

clean:
	rm -rf .venv .demo .bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

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
