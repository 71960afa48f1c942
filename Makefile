# make demo   train, evaluate and use a model on drawn scenes; needs no data
# make test   every check that must hold before a change lands
# Both make their own virtual environment in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two default-threaded torch processes on the same cores wait for each other most of the time.
export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo test install format benchmarks clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed, this is " + sys.version) if sys.version_info < (3, 10) else 0'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --editable '.[dev]'
	touch $@

demo: install
	rm -rf runs/demo
	$(BIN)/colabel train shapes-kmcl --out runs/demo
	$(BIN)/colabel evaluate runs/demo --classes
	@echo "run: runs/demo (model, log, curves.png, metrics and predictions)"

test: install
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q

format: install
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

benchmarks: install
	for name in kernel_losses correlation_loss step_overhead input_pipeline evaluation; do \
	  echo; echo "$$name"; env -u OMP_WAIT_POLICY $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
