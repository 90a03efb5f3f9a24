# SPDX-License-Identifier: GPL-2.0-only
# Thin: every target is one command that you can type yourself once `make .venv/ready` has run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: verify test check bench clean

verify: .venv/ready
	$(BIN)/pfncache verify --all || test $$? -eq 1  # 1: a design is violated, which is what is shown

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "slow or not slow"

check: .venv/ready
	$(BIN)/pytest -n 2 -m "not slow"

bench: .venv/ready
	$(BIN)/python -m benchmarks

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv dist
