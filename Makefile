# Every target does its own set-up: it needs Python 3.11+ and make, nothing else.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(if $(shell command -v uv),uv pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q)

.PHONY: demo test test-slow check format models benchmark clean

demo: $(VENV)/.runtime
	$(BIN)/weatherglass demo

test: $(VENV)/.develop check
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.develop
	$(BIN)/python -m pytest -m slow --timeout 3600

check: $(VENV)/.develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error --pythonpath $(BIN)/python

format: $(VENV)/.develop
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The digits networks, minutes of a core; with CIFAR10=FOLDER (the python batches) the CIFAR-10 ones too, an hour of it.
WEIGHTS = src/weatherglass/models/weights
DIGITS_MODELS = digits-cnn:digits_cnn digits-vit:digits_vit digits-fan:digits_fan digits-fan-hybrid:digits_fan_hybrid
CIFAR10_MODELS = fan-vit-micro:cifar10_fan_vit fan-hybrid-micro:cifar10_fan_hybrid vit-micro-deep:cifar10_vit resnet-micro:cifar10_resnet
TRAIN = train() { \
  $(BIN)/weatherglass train $$1 --data $$2 --score-every 10 --output runs/training/$$1 && \
  cp runs/training/$$1/model.safetensors $(WEIGHTS)/$$3.safetensors; }
models: $(VENV)/.runtime
	$(TRAIN); for pair in $(DIGITS_MODELS); do train $${pair%%:*} digits $${pair##*:} || exit; done
ifdef CIFAR10
	$(TRAIN); for pair in $(CIFAR10_MODELS); do train $${pair%%:*} cifar10:$(CIFAR10) $${pair##*:} || exit; done
endif

benchmark: $(VENV)/.benchmark
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Weatherglass needs Python 3.11 or newer; none was found on PATH."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[all]'
	@touch $@

$(VENV)/.develop: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[develop]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.benchmark: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[benchmark]'
	@touch $@
