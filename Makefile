# Needs Python 3.11 or later with venv, a C compiler and make; everything else is installed into
# virtual environments in this folder.

PYTHON ?= python3
CC ?= cc
PYTEST_ARGS ?= -n auto

C_SOURCES = $(sort $(wildcard csrc/*.c csrc/*/*.c))
C_HEADERS = $(sort $(wildcard csrc/*.h csrc/*/*.h))
C_WARNINGS = -std=c11 -O2 -Icsrc -Wall -Wextra -Wconversion -Werror -ffp-contract=off
PYTHON_SOURCES = coreai_opt reference tests examples benchmarks setup.py

# What the package is built from: an environment is installed anew when any of it has changed.
PACKAGE = pyproject.toml setup.py MANIFEST.in README.md $(C_SOURCES) $(C_HEADERS) \
	$(shell find coreai_opt reference -name '*.py' -o -name '*.pyi' -o -name '*.pyx')

.PHONY: help bench demo test check format lint types c-format c-warnings wheel sdist clean

help:
	@echo "make demo    quantize a real network with the command line, run it, print what changed"
	@echo "make test    run every test on the installed package (PYTEST_ARGS='-n auto')"
	@echo "make check   linters, type checker, C formatting and warnings"
	@echo "make format  lay out Python and C as make check wants it"
	@echo "make bench   measure speed and memory, against peers from PyPI (BENCH_ARGS='--quick')"
	@echo "make wheel   build a wheel into dist/"
	@echo "make sdist   build a source distribution into dist/"
	@echo "make clean   remove what was built, environments included"

demo: .venv-demo/installed
	.venv-demo/bin/python examples/demo.py

# The script, not `python -m pytest`, and a safe path for the processes that tests start: this folder
# on sys.path would have them import the sources instead of the installed package.
test: .venv-test/installed
	PYTHONSAFEPATH=1 .venv-test/bin/pytest $(PYTEST_ARGS)

# On the installed package, in an environment for each contender.
bench:
	$(PYTHON) benchmarks/environments.py
	.venv-bench-ours/bin/python benchmarks/run.py $(BENCH_ARGS)

check: lint types c-format c-warnings

format: .venv-check/installed
	.venv-check/bin/ruff format $(PYTHON_SOURCES)
	.venv-check/bin/clang-format -i $(C_SOURCES) $(C_HEADERS)

lint: .venv-check/installed
	.venv-check/bin/ruff check $(PYTHON_SOURCES)
	.venv-check/bin/ruff format --check $(PYTHON_SOURCES)

# On the installed package: in the source tree coreai_opt.reference is not where imports look.
types: .venv-check/installed
	cd .venv-check && bin/mypy --config-file ../pyproject.toml

c-format: .venv-check/installed
	.venv-check/bin/clang-format --dry-run --Werror $(C_SOURCES) $(C_HEADERS)

c-warnings:
	@for source in $(C_SOURCES); do \
		echo "$(CC) -c $$source"; \
		$(CC) $(C_WARNINGS) -c $$source -o /dev/null || exit 1; \
	done

wheel: .venv-build/installed
	.venv-build/bin/python -m build --wheel

sdist: .venv-build/installed
	.venv-build/bin/python -m build --sdist

.venv-demo/installed: EXTRAS = [coreai]
.venv-test/installed: EXTRAS = [test]
.venv-check/installed: EXTRAS = [lint]

.venv-demo/installed .venv-test/installed .venv-check/installed: $(PACKAGE)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade '.$(EXTRAS)'
	touch $@

.venv-build/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet build
	touch $@

clean:
	rm -rf .venv-demo .venv-test .venv-check .venv-build .venv-bench-* build dist *.egg-info \
		coreai_opt/*.so .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
