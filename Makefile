# Every target sets up what it needs in .venv first; `make demo` and `make test` are all one needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all check clean

demo: $(READY)
	$(BIN)/champ demo champ-demo

test: check
	$(BIN)/pytest -m "not slow"

test-all: check
	$(BIN)/pytest
	$(BIN)/python -m benchmarks.all

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt setup.sh
	PYTHON=$(PYTHON) VENV=$(VENV) bash setup.sh
	touch $@

clean:
	rm -rf $(VENV) champ-demo
