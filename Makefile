# make demo   train, evaluate and use a model on drawn scenes; needs no data
# make test   every check that must hold before a change lands
# make fuzz   the tests with random input, fifty times as long
# make lock   the versions and hashes of the checks, after a change of pyproject.toml
# make sbom   a software bill of materials of the checks, build/sbom.cdx.json
# make audit  known vulnerabilities of what is locked; needs the network
# The first two make their own virtual environment in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Two default-threaded torch processes on the same cores wait for each other most of the time.
export OMP_WAIT_POLICY = PASSIVE
# A process per core, with one thread each. A file stays in one process, so that what its fixtures train
# is trained once; files go in their order, which has the doctests last: none is long.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
LOCK = $(UV) pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url \
  --no-annotate --custom-compile-command "make lock"

.PHONY: demo test fuzz install checks lock sbom audit format benchmarks clean

install: $(VENV)/installed

checks: $(VENV)/checked

$(VENV)/made: requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed, this is " + sys.version) if sys.version_info < (3, 10) else 0'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --editable .
	touch $@

# The tools of the checks need a later Python than the package does.
$(VENV)/checked: $(VENV)/made pyproject.toml requirements/checks.txt
	$(BIN)/python -c 'import sys; sys.exit("The checks need Python 3.11 or later, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/checks.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/installed

demo: install
	rm -rf runs/demo
	$(BIN)/colabel train shapes-kmcl --out runs/demo
	$(BIN)/colabel evaluate runs/demo --classes
	@echo "run: runs/demo (model, log, curves.png, metrics and predictions)"

test: checks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST)

fuzz: checks
	COLABEL_FUZZ=50 $(PYTEST) -m fuzz --timeout 7200

lock: checks
	echo 'uv' | $(LOCK) --python-version 3.10 -o requirements/uv.txt -
	$(LOCK) --python-version 3.11 --extra dev -o requirements/checks.txt pyproject.toml

sbom: checks
	mkdir -p build
	$(UV) tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-reproducible \
	  --short-PURLs --pyproject pyproject.toml --mc-type library -o build/sbom.cdx.json $(BIN)/python

audit: checks
	$(UV) tool run --quiet --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip \
	  -r requirements/checks.txt

format: checks
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

benchmarks: checks
	for name in kernel_losses correlation_loss step_overhead input_pipeline evaluation; do \
	  echo; echo "$$name"; env -u OMP_WAIT_POLICY $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
