"""Build the one extension module; everything else stands in pyproject.toml.

Environment variables for development builds: ``SANITIZE=1`` adds ASan and UBSan, ``DEBUG=1`` keeps
symbols and turns optimisation off, ``COVERAGE=1`` counts the lines of C and Cython that run.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

BUILD = "build"
COMPILE = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno"]
LINK: list[str] = []
if os.environ.get("DEBUG") == "1":
    COMPILE += ["-O0", "-g"]
if os.environ.get("SANITIZE") == "1":
    BUILD = "build/sanitize"  # in build/, what was built without them would pass for up to date
    COMPILE += ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    LINK += ["-fsanitize=address,undefined"]
COVERAGE = os.environ.get("COVERAGE") == "1"
if COVERAGE:
    COMPILE += ["-O0", "--coverage", "-DCYTHON_TRACE_NOGIL=1"]
    LINK += ["--coverage"]

setup(
    # The reference stands at the top of the tree to be read, and is installed in the package.
    packages=[*find_packages(include=["coreai_opt*"]), "coreai_opt.reference"],
    ext_modules=cythonize(
        [
            Extension(
                "coreai_opt._native",
                ["coreai_opt/_native.pyx", *sorted(glob("csrc/**/*.c", recursive=True))],
                include_dirs=["csrc"],
                depends=sorted(glob("csrc/**/*.h", recursive=True)),
                extra_compile_args=COMPILE,
                extra_link_args=LINK,
            )
        ],
        build_dir=BUILD,
        compiler_directives={"linetrace": COVERAGE},
    ),
    options={"build": {"build_base": BUILD}},
)
