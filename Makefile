# Forwards to noxfile.py, which also runs where there is no make. Nothing here needs apt.
#   make demo | test | test-all | mutations | cov | lint | gates | bench | docs
#   make cuda-report | wheel-cuda (nvcc) | release-rehearsal        make test ARGS="-k stft"
PYTHON ?= python3
NOX := .venv/bin/nox

.PHONY: demo test test-all mutations cov lint gates bench docs cuda-report wheel-cuda release-rehearsal clean

demo test test-all mutations cov lint gates bench docs cuda-report wheel-cuda release-rehearsal: $(NOX)
	$(NOX) --session $@ -- $(ARGS)

$(NOX):
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip nox

clean:
	rm -rf build dist docs/_build docs/generated out
