# Every target sets up what it needs in .venv first; `make demo` and `make test` are all one needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Labelled sample media, if there are any: benchmarks/data/curation_labels.csv
MEDIA ?= ../shared/media
# What the official code computed from a small network, if it is there: docs/experiments.md
PARITY ?= ../shared/fixtures/official_parity

.PHONY: demo test test-all check benchmarks clean

demo: $(READY)
	$(BIN)/champ demo champ-demo

# One thread of arithmetic for each of several processes; what starts Ray or kills processes runs alone.
UNIT := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile tests/unit
WHOLE := $(BIN)/pytest tests/integration tests/end_to_end

test: check
	$(UNIT) -m "not slow"
	$(WHOLE) -m "not slow"

test-all: check
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,benchmarks,body]"
	$(UNIT)
	$(WHOLE)
	$(MAKE) benchmarks

benchmarks: $(READY)
	$(BIN)/python -m benchmarks.official_render tests/golden/official_render --focal 9000 --json
	$(BIN)/python -m benchmarks.fitting --json
	$(BIN)/python -m benchmarks.fitting --peers --frames 30
	$(BIN)/python -m benchmarks.rendering --json
	$(BIN)/python -m benchmarks.streams --frames 24 --json
	$(BIN)/python -m benchmarks.people --json
	$(BIN)/python -m benchmarks.curation_speed --json
	$(BIN)/python -m benchmarks.sampler --flops --json
	$(BIN)/python -m benchmarks.sampler --json
	$(BIN)/python -m benchmarks.sampler_memory --json
	$(if $(wildcard $(PARITY)/config.json),$(BIN)/python -m benchmarks.official_parity $(PARITY) --json)
	$(if $(wildcard $(MEDIA)/index.csv),$(BIN)/python -m benchmarks.curation --media $(MEDIA) --json)

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
