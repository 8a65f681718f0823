# Everything sets itself up: `make demo` or `make test` on a fresh clone is enough. `make help` explains.

PYTHON ?=
PIP_ARGS ?=
WORKERS ?= auto
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
BENCH_CODEC_ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
EXTRAS := train,sweep,bench,report,tensorboard,dashboard,dev
ENVIRONMENT := $(VENV)/.environment
INSTALLED := $(VENV)/.installed
PEERS := $(VENV)/.peers
BUILT := $(VENV)/.built

C_SOURCES := $(wildcard setup.py entropy_c/*.py entropy_c/include/*.h $(foreach d,src src/net,entropy_c/$(d)/*.c entropy_c/$(d)/*.h entropy_c/$(d)/*.inc))
C_FORMATTED := $(wildcard $(addprefix entropy_c/,$(foreach d,include src src/net tests fuzz bench,$(d)/*.c $(d)/*.h $(d)/*.inc)))
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 WANDB_MODE=offline $(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help doctor install build demo test test-all test-c test-slurm lint format type bench bench-entropy bench-codec fuzz fuzz-long clean distclean

help:
	@echo "fsar_lab: fast, learned, lossless image compression"
	@echo
	@echo "  make demo       set up, train a small codec on photographs, code held-out tiles, compare (minutes)"
	@echo "  make test       set up, run the tests without the slow ones"
	@echo
	@echo "  make doctor     check Python, venv, compiler and disk; print what to install if something is missing"
	@echo "  make install    make $(VENV) with the pinned dependencies"
	@echo "  make build      install, and build the C extensions"
	@echo "  make test-all   every test, test-c, and the C tests for 64-bit ARM where a cross compiler and qemu are"
	@echo "  make test-c     the C tests, also under address and undefined-behaviour sanitizers"
	@echo "  make test-slurm a sweep on a SLURM of one node, with one job killed (as root, on Debian; installs slurm-wlm)"
	@echo "  make fuzz       libFuzzer on the C library, FUZZ_SECONDS=60 (needs clang), then mutated bundles and blobs   (make fuzz-long: an hour)"
	@echo "  make lint       ruff, clang-format, C warnings as errors        (make format: repair what can be)"
	@echo "  make type       mypy --strict"
	@echo "  make bench      speed of the entropy coder and of whole codecs, on this machine"
	@echo "  make bench-entropy  the entropy coder alone, beside other entropy coders from PyPI"
	@echo "  make bench-codec    our codecs beside PNG, WebP, JPEG-LS, JPEG XL and float networks"
	@echo "  make clean      remove builds and caches (runs and data stay)   (make distclean: $(VENV) too)"
	@echo
	@echo "  PYTHON=python3.12          interpreter for $(VENV): 3.11, 3.12 or 3.13 (default: the first one found)"
	@echo "  PIP_ARGS='...'             more arguments for every pip install, e.g. an index of CPU-only torch wheels"
	@echo "  DEMO_ARGS='prior=uniform'  more overrides for the demo       TEST_ARGS='-k tables'  more for pytest"
	@echo "  WORKERS=2                  parallel test processes (default: auto, at most 4)"

doctor:
	@sh scripts/doctor.sh '$(PYTHON)' > /dev/null

# --- environment: three stamps, each redone only when what it depends on has changed -----------------------

# PYTHON= of another version than the existing environment's makes the environment anew.
ifneq ($(and $(PYTHON),$(wildcard $(PY))),)
ask_version = $(shell $(1) -c 'import sys; print(sys.version_info[:2])')
ifneq ($(call ask_version,$(PYTHON)),$(call ask_version,$(PY)))
.PHONY: $(ENVIRONMENT)
endif
endif

$(ENVIRONMENT):
	@python="$$(sh scripts/doctor.sh '$(PYTHON)')" && echo "making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)
	@touch $@

# The build tools come first, pinned, so that nothing is built with unpinned ones in isolation. Bytecode is left
# to the first import: compiling all of it takes longer than downloading it.
$(INSTALLED): $(ENVIRONMENT) pyproject.toml constraints.txt
	@echo "installing the pinned dependencies (the first time this downloads torch) ..."
	$(PY) -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c constraints.txt setuptools wheel cffi
	FSAR_LAB_WITHOUT_C=1 $(PY) -m pip install --disable-pip-version-check --no-compile $(PIP_ARGS) -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

$(BUILT): $(INSTALLED) $(C_SOURCES)
	$(PY) setup.py -q build_ext --inplace -j 2
	@touch $@

install: $(INSTALLED)
	@echo "$(VENV) is ready: $$($(PY) --version), torch $$($(PY) -c 'from importlib.metadata import version; print(version("torch"))')"

build: $(BUILT)

# --- use ---------------------------------------------------------------------------------------------------

demo: $(BUILT)
	$(PY) -m fsar_lab.train experiment=demo $(DEMO_ARGS)

test: $(BUILT)
	$(PYTEST) -m "not slow" $(TEST_ARGS)

test-all: $(BUILT)
	$(PYTEST) $(TEST_ARGS)
	@$(MAKE) --no-print-directory test-c
	@$(MAKE) --no-print-directory -C entropy_c test-aarch64

test-c:
	$(MAKE) -C entropy_c -j 2 test

test-slurm: $(BUILT)
	sh scripts/slurm_one_node.sh env FSAR_TEST_SLURM=1 OMP_NUM_THREADS=1 $(PY) -m pytest tests/training/test_sweep.py -k slurm $(TEST_ARGS)

fuzz fuzz-long: $(BUILT)
	$(MAKE) -C entropy_c $@
	$(PY) scripts/fuzz_files.py --seconds $(or $(FUZZ_SECONDS),60) --seed $$$$

# Without the peers the benchmark still runs: their rows then say that they are not installed.
$(PEERS): $(INSTALLED)
	FSAR_LAB_WITHOUT_C=1 $(PY) -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c constraints.txt --no-build-isolation -e '.[peers]' \
	  && touch $@ || echo "the peers could not be installed: benchmark without them"

bench-entropy: $(BUILT) $(PEERS)
	$(PY) scripts/bench_entropy.py $(BENCH_ARGS)

bench-codec: $(BUILT)
	$(PY) scripts/bench_codec.py $(BENCH_CODEC_ARGS)

bench: bench-entropy bench-codec

lint: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(if $(C_FORMATTED),$(VENV)/bin/clang-format --dry-run -Werror $(C_FORMATTED))
	$(MAKE) -C entropy_c lint

format: $(INSTALLED)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(if $(C_FORMATTED),$(VENV)/bin/clang-format -i $(C_FORMATTED))

type: $(INSTALLED)
	$(PY) -m mypy --strict fsar_lab scripts

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	rm -f fsar_lab/entropy/_*.so fsar_lab/entropy/_*.c fsar_lab/codec/_*.so fsar_lab/codec/_*.c $(BUILT)
	@if [ -e entropy_c/Makefile ]; then $(MAKE) -C entropy_c clean; fi

distclean: clean
	rm -rf $(VENV)
