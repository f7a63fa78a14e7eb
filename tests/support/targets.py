"""What the C library is built for, with which compiler, and what the programs run on.

Run as a script, this prints the Debian packages that the targets need.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BuildProgram = Callable[[str, Path], list[str]]
"""Builds the program of a source for a target, and returns the command that runs it."""

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "csrc"
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{CSRC}")


def header() -> str:
    """The text of the public header, without its comments."""
    text = (CSRC / "coreai_quant.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def declared_functions() -> list[str]:
    """The functions that the header declares."""
    return re.findall(r"\bCAQ_API [^;(]*?\b(caq_\w+)\(", header())


def statuses() -> list[str]:
    """The statuses of the header, each at the place of its number."""
    (enum,) = re.findall(r"typedef enum caq_status {(.+?)}", header(), re.DOTALL)
    return re.findall(r"\bCAQ_\w+", enum)


@dataclass(frozen=True)
class Target:
    """A compiler for the library, and an emulator for what is made with it."""

    compiler: tuple[str, ...]
    """Command and flags; the warnings come before the flags."""
    emulator: tuple[str, ...] = ()
    """What a program's path and arguments are appended to."""
    packages: tuple[str, ...] = ()
    """Debian's names of all this."""
    linker: tuple[str, ...] = ()
    """Compiles a program and links it to the library, where that is another compiler."""
    startup: tuple[Path, ...] = ()
    """What a program needs where there is no operating system."""

    def missing(self) -> str | None:
        """Why this target cannot be tested here, if it cannot."""
        for command in (self.compiler, self.linker, self.emulator):
            if command and shutil.which(command[0]) is None:
                packages = " ".join(self.packages) or "gcc"
                return f"{command[0]} is not installed (Debian: {packages})"
        return None

    def build(self, source: Path, folder: Path) -> list[str]:
        """Build a program of one source with the library, and return the command that runs it.

        The library is built once in a folder, for all programs there, and so is each program.
        """
        compiler, *flags = self.compiler
        objects = folder / "objects"
        if not objects.exists():
            partial = folder / "partial"
            partial.mkdir(exist_ok=True)  # from a build that failed
            sources = sorted(CSRC.rglob("*.c"))
            subprocess.run([compiler, *WARNINGS, *flags, "-c", *sources], cwd=partial, check=True)
            partial.rename(objects)
        program = folder / source.stem
        if not program.exists():
            linker, *flags = self.linker or self.compiler
            inputs = [source, *self.startup, *sorted(objects.glob("*.o"))]
            subprocess.run([linker, *WARNINGS, *flags, *inputs, "-o", program], check=True)
        return [*self.emulator, str(program)]


# Left alone, GCC fuses products into additions where the processor can. The library must not care.
FUSING = "-std=gnu17"


def _linux(name: str, debian: str, *flags: str) -> Target:
    return Target(
        compiler=(f"{name}-linux-gnu-gcc", FUSING, "-O2", "-static", *flags),
        emulator=(f"qemu-{'i386' if name == 'i686' else name}",),
        packages=(f"gcc-{name}-linux-gnu", f"libc6-dev-{debian}-cross", "qemu-user"),
    )


CORTEX_M = ROOT / "tests" / "golden" / "cortex_m"
NO_DEVICES = ("-display", "none", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-chardev", "stdio,id=out", "-semihosting-config", "enable=on,chardev=out")


def _cortex_m(processor: str, machine: str, clang: bool = False) -> Target:
    flags = (FUSING, "-O3", "-DCAQ_TILE_BLOCKS=64", "-DCAQ_FEEDBACK_ROWS=8")
    flags += (f"-mcpu={processor}", "-mthumb", "-mfloat-abi=hard")
    image = ("--specs=rdimon.specs", "-nostartfiles", f"-T{CORTEX_M / 'link.ld'}")
    linker = ("arm-none-eabi-gcc", *flags, *image)
    packages = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")
    return Target(
        compiler=("clang", "--target=arm-none-eabi", "-fshort-enums", *flags) if clang else linker,
        emulator=("qemu-system-arm", "-M", machine, *NO_DEVICES, *SEMIHOSTING, "-kernel"),
        packages=(*packages, *(("clang",) if clang else ())),
        linker=linker,
        startup=(CORTEX_M / "start.c",),
    )


HOST_CC = os.environ.get("CC", "cc")
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

TARGETS = {
    "host": Target((HOST_CC, FUSING, "-O2")),
    "host, sanitized": Target((HOST_CC, FUSING, "-O1", *SANITIZED)),
    "aarch64": _linux("aarch64", "arm64"),
    "i686": _linux("i686", "i386", "-msse2", "-mfpmath=sse"),
    "riscv64": _linux("riscv64", "riscv64"),
    "s390x": _linux("s390x", "s390x"),  # big-endian
    "cortex-m4f": _cortex_m("cortex-m4", "mps2-an386"),
    "cortex-m55": _cortex_m("cortex-m55", "mps3-an547"),
    "cortex-m55, clang": _cortex_m("cortex-m55", "mps3-an547", clang=True),
}

if __name__ == "__main__":
    needed = {package for target in TARGETS.values() for package in target.packages}
    sys.stdout.write(" ".join(sorted(needed)) + "\n")
