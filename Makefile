# Every target makes its own .venv; a stamp says whether it is still what pyproject.toml and constraints.txt ask for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test bench docs clean

help:
	@echo "make demo   install, then run a congested compute market and write its report"
	@echo "make test   install, then lint, type check and run every test"
	@echo "make bench  install, then compare with a plain Mesa model"
	@echo "make docs   write the generated pages of docs/ anew"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	$(BIN)/python -m compileall -q celluler_sim
	$(BIN)/python -m celluler_sim ticks=2 progress=false results_dir=$(VENV)/first >/dev/null  # compiles the kernels, once
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m celluler_sim scenario=compute_congestion

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

bench: $(STAMP)
	$(BIN)/python -m benchmarks

docs: $(STAMP)
	$(BIN)/python -m celluler_sim.docs docs

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
