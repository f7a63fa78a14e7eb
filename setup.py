"""Build the one extension module; everything else stands in pyproject.toml.

Environment variables for development builds: ``SANITIZE=address,undefined`` or ``SANITIZE=thread``
adds sanitizers of the compiler, ``DEBUG=1`` keeps symbols and turns optimisation off,
``COVERAGE=1`` counts the lines of C and Cython that run.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import Cython
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

BUILD = "build"
# Python's own flags ask for debug information, which would be nine tenths of the extension.
COMPILE = ["-std=c11", "-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
# Symbols of functions that nobody outside calls; the linker of macOS keeps few of them.
LINK = ["-Wl,--strip-all"] if sys.platform == "linux" else []
if os.environ.get("DEBUG") == "1":
    BUILD = "build/debug"  # in build/, what was built without it would pass for up to date
    COMPILE += ["-O0", "-g"]
    LINK = []
if SANITIZERS := os.environ.get("SANITIZE"):
    BUILD = f"build/sanitize-{SANITIZERS}"
    COMPILE += ["-g", f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all"]
    LINK = [f"-fsanitize={SANITIZERS}"]
COVERAGE = os.environ.get("COVERAGE") == "1"
if COVERAGE:
    BUILD = "build/coverage"
    # Counters of threads are added to one by one.
    COMPILE += ["-O0", "--coverage", "-fprofile-update=atomic", "-DCYTHON_TRACE_NOGIL=1"]
    LINK = ["--coverage"]


class BuildChanged(build_ext):
    """Compiles what has changed, on all processors.

    Setuptools compiles every source of an extension when one of its files is newer than the module.
    Here the compiler writes down which headers each object was made from (``-MMD``), so that only
    objects older than one of these are made again.
    """

    def build_extension(self, ext: Extension) -> None:
        """Compile the objects that are out of date, then link if any is newer than the module."""
        compile_one = self.compiler._compile

        def compile_changed(obj: str, *arguments: object) -> None:
            if not _is_up_to_date(Path(obj)):
                compile_one(obj, *arguments)

        def compile_all(sources: list[str], output_dir: str, **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                made = [
                    threads.submit(compile_sources, [source], output_dir, **options)
                    for source in sources
                ]
                return [obj for future in made for obj in future.result()]

        compile_sources = self.compiler.compile
        self.compiler._compile, self.compiler.compile = compile_changed, compile_all
        super().build_extension(ext)


def _is_up_to_date(obj: Path) -> bool:
    """Whether an object is newer than all files that it was made from, and than this script."""
    listed = obj.with_suffix(".d")
    if not obj.exists() or not listed.exists():
        return False
    sources = listed.read_text().replace("\\\n", " ").partition(": ")[2].split()
    made = obj.stat().st_mtime
    return all(
        os.path.exists(source) and os.path.getmtime(source) <= made
        for source in (*sources, __file__)
    )


class WheelWithBill(bdist_wheel):
    """Puts a bill of materials into the wheel, where PEP 770 has it, in the format CycloneDX."""

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        """Write the wheel's metadata, and the bill beside it."""
        super().egg2dist(egginfo_path, distinfo_path)
        name, version = self.distribution.get_name(), self.distribution.get_version()
        bill = Path(distinfo_path, "sboms", f"{name}.cdx.json")
        bill.parent.mkdir()
        bill.write_text(json.dumps(_bill_of_materials(name, version), indent=2) + "\n")


def _bill_of_materials(name: str, version: str) -> dict[str, object]:
    """Name what is in the wheel: this package, and the C that Cython adds to the extension."""

    def component(name: str, version: str, licence: str) -> dict[str, object]:
        purl = f"pkg:pypi/{name}@{version}"
        return {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "licenses": [{"license": {"id": licence}}],
            "purl": purl,
        }

    ours = component(name, version, "BSD-3-Clause")
    cython = component("cython", Cython.__version__, "Apache-2.0")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": [cython],
        "dependencies": [{"ref": ours["bom-ref"], "dependsOn": [cython["bom-ref"]]}],
    }


setup(
    # The reference stands at the top of the tree to be read, and is installed in the package.
    packages=[*find_packages(include=["coreai_opt*"]), "coreai_opt.reference"],
    ext_modules=cythonize(
        [
            Extension(
                "coreai_opt._native",
                ["coreai_opt/_native.pyx", *sorted(glob("csrc/**/*.c", recursive=True))],
                include_dirs=["csrc"],
                depends=["setup.py", *sorted(glob("csrc/**/*.h", recursive=True))],
                extra_compile_args=[*COMPILE, "-MMD"],
                extra_link_args=LINK,
            )
        ],
        build_dir=BUILD,
        compiler_directives={"linetrace": COVERAGE},
    ),
    cmdclass={"bdist_wheel": WheelWithBill, "build_ext": BuildChanged},
    options={"build": {"build_base": BUILD}},
)
