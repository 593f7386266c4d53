PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo train-demo test lint format bench clean

demo: $(VENV)/light.stamp  ## make a clip and a forgery of it, scan both, write the report
	$(BIN)/python examples/demo.py --out demo

train-demo: $(VENV)/full.stamp  ## tiny sets, shards, three stages of a specialist, its file for the scan: minutes
	$(BIN)/python examples/train_demo.py --out demo/training

test: $(VENV)/full.stamp  ## the whole suite, with all extras
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

lint: $(VENV)/full.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/full.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/full.stamp
	$(BIN)/python benchmarks/scan.py
	$(BIN)/python benchmarks/runtime.py

$(VENV)/light.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

$(VENV)/full.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[train,demo,c2pa,dev]'
	touch $@ $(VENV)/light.stamp

clean:
	rm -rf $(VENV) demo runs build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
