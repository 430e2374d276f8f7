# Every target makes .venv if needed and installs what it lacks; nothing needs apt. A second run is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-cpu.txt
NATIVE := CMakeLists.txt pyproject.toml $(shell find csrc cmake -type f)

# A development build has the CUDA bodies on the host too (tests), and CUDA for one architecture.
export OTOSCOPE_EMULATED = ON
export CUDAARCHS ?= $(if $(shell command -v nvidia-smi),native,80)
export CMAKE_GENERATOR = Ninja

# Tests run one thread a library: several wait for each other wherever something else runs too.
test test-all: export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-all lint bench docs gates clean

demo: $(VENV)/.models
	$(BIN)/otoscope demo --out out/demo

test: $(VENV)/.test $(VENV)/.models
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

test-all: $(VENV)/.test $(VENV)/.models
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.lint $(VENV)/.test
	.ci/lint

gates: $(VENV)/.lint $(VENV)/.test
	.ci/cuda
	.ci/sanitize

bench: $(VENV)/.bench $(VENV)/.horse
	$(BIN)/python benchmarks/bench_occlude.py
	$(BIN)/python benchmarks/bench_consistency.py
	$(BIN)/python benchmarks/bench_moments.py
	$(BIN)/python benchmarks/bench_explain.py
	$(BIN)/python benchmarks/bench_interrogate.py
	$(BIN)/python benchmarks/bench_rhythm.py
	$(BIN)/python benchmarks/bench_folkrnn.py
	$(BIN)/python benchmarks/bindings/bench_bindings.py
	$(BIN)/python docs/write_performance.py

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -n -q docs docs/_build/html

clean:
	rm -rf build dist docs/_build docs/generated out

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first: it must be the constrained one before anything else asks for it.
$(VENV)/.torch: constraints-cpu.txt | $(VENV)/bin/python
	$(PIP) --upgrade pip
	$(PIP) torch
	$(call extra,build)
	touch $@

$(VENV)/.installed: $(NATIVE) $(VENV)/.torch
	$(PIP) --no-build-isolation --editable .
	touch $@

# What an extra of pyproject.toml names, without building the package again.
extra = $(BIN)/python .ci/extra.py $(1) > $(VENV)/$(1).txt && $(PIP) -r $(VENV)/$(1).txt

$(VENV)/.lint $(VENV)/.docs $(VENV)/.bench $(VENV)/.horse $(VENV)/.train: $(VENV)/.%: $(VENV)/.installed
	$(call extra,$*)
	touch $@

$(VENV)/.test: $(VENV)/.horse $(VENV)/.train $(VENV)/.folk
	$(call extra,test)
	touch $@

# music21 for its tunes, which need none of its requirements.
$(VENV)/.folk: $(VENV)/.installed
	$(call extra,folk)
	$(PIP) --no-deps music21
	touch $@

# musicnn's own requirements are of 2019; its weights need none of them.
$(VENV)/.models: $(VENV)/.installed
	$(call extra,models)
	$(PIP) --no-deps musicnn
	touch $@
