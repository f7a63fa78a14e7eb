"""Measure the library on small machines: `make size` writes the tables of docs/embedded.md.

Code is what the linker leaves of a program that quantizes and decodes. Instructions come from
running examples/embedded/cortex_m.c in qemu, where they are counted (-icount), and so does the
stack that was painted over. The deepest stack that there can be is the compiler's: frames, added up
along calls.
"""

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

CSRC = Path(__file__).resolve().parents[1]
EXAMPLE = CSRC.parent / "examples" / "embedded" / "cortex_m.c"
FLAGS = (
    *("-std=gnu11", "-Os", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("-ffreestanding", "-fno-tree-loop-distribute-patterns", "-fcallgraph-info=su,da"),
    *("-DCAQ_TILE_BLOCKS=32", "-DCAQ_PORTABLE_ONLY=1"),
    *("-DCAQ_WITH_MSE=0", "-DCAQ_WITH_FEEDBACK=0", "-DCAQ_WITH_TABLES=0", "-DCAQ_WITH_ERRORS=0"),
)


@dataclass(frozen=True)
class Target:
    """A processor, and what builds and runs programs for it."""

    compiler: str
    flags: tuple[str, ...]
    package: str
    """Debian's name of the compiler."""
    board: str = ""
    """Of the emulator; none: programs are built only."""
    instructions_per_tick: float = 0
    """An instruction takes 1 ns of the emulator's time."""

    def missing(self) -> str | None:
        """Why nothing can be measured here, if it cannot."""
        for tool, package in ((self.compiler, self.package), (EMULATOR[0], "qemu-system-arm")):
            if shutil.which(tool) is None and (self.board or tool is self.compiler):
                return f"{tool} is not installed (Debian: {package})"
        return None


def _cortex_m(flags: tuple[str, ...], board: str, megahertz: int) -> Target:
    flags = ("-mthumb", "-mfloat-abi=hard", *flags)
    return Target("arm-none-eabi-gcc", flags, "gcc-arm-none-eabi", board, 1000 / megahertz)


def _linux(name: str) -> Target:
    # Some of them call memcpy for what their instructions cannot copy: it is not counted.
    flags = ("-fno-pic", "-no-pie", "-fno-asynchronous-unwind-tables")
    flags += ("-Wl,--unresolved-symbols=ignore-all", "-Wl,--build-id=none")
    return Target(f"{name}-linux-gnu-gcc", flags, f"gcc-{name.replace('_', '-')}-linux-gnu")


PROCESSORS = {
    "Cortex-M4F": _cortex_m(("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"), "mps2-an386", 25),
    "Cortex-M55": _cortex_m(("-mcpu=cortex-m55",), "mps3-an547", 32),
    "AArch64": _linux("aarch64"),
    "RV64": _linux("riscv64"),
    "s390x": _linux("s390x"),
    "x86-64": _linux("x86_64"),
}
USED = ("caq_job_init", "caq_quantize", "caq_dequantize")
WITHOUT = "-DCAQ_WITH_{}=0"
EMULATOR = (
    *("qemu-system-arm", "-icount", "shift=0"),
    *("-display", "none", "-monitor", "none", "-serial", "none", "-chardev", "stdio,id=out"),
    *("-semihosting-config", "enable=on,chardev=out"),
)
SMALL = ("INT2", "FP4", "FP8", "ASYMMETRIC")
BUILDS: dict[str, tuple[str, ...]] = {
    "INT4 and INT8, symmetric, float32": (*SMALL, "F16", "BF16"),
    "INT4 and INT8, symmetric, float16": (*SMALL, "F32", "BF16"),
    "INT4 and INT8, symmetric, all weights": SMALL,
    "INT4, symmetric, float32": (*SMALL, "INT8", "F16", "BF16"),
    "MXFP4, float32": ("INT2", "INT4", "INT8", "FP8", "ASYMMETRIC", "F16", "BF16"),
    "all integers, float32": ("FP4", "FP8", "F16", "BF16"),
    "all formats": (),
}
TARGETS = {
    "INT4 symmetric": ("CAQ_INT4", "CAQ_SYMMETRIC", "CAQ_SCALE_AS_WEIGHT"),
    "UINT4 asymmetric": ("CAQ_UINT4", "CAQ_ASYMMETRIC", "CAQ_SCALE_AS_WEIGHT"),
    "INT2 symmetric": ("CAQ_INT2", "CAQ_SYMMETRIC", "CAQ_SCALE_AS_WEIGHT"),
    "INT8 symmetric": ("CAQ_INT8", "CAQ_SYMMETRIC", "CAQ_SCALE_AS_WEIGHT"),
    "FP8 E4M3": ("CAQ_FP8_E4M3FN", "CAQ_SYMMETRIC", "CAQ_SCALE_AS_WEIGHT"),
    "MXFP4": ("CAQ_FP4_E2M1FN", "CAQ_SYMMETRIC", "CAQ_SCALE_E8M0"),
}
ELEMENTS = 32 * 64
STEPS = ("quantize", "decode")

CODE = "bytes of code and constants"
INSTRUCTIONS = "instructions per weight"
USED_STACK = "bytes of stack that were used"
DEEPEST = "bytes of stack at the most"


def compile_library(folder: Path, processor: Target, without: tuple[str, ...] = ()) -> list[Path]:
    """Compile the library into a folder, without some of its switches, and return the objects."""
    switches = [WITHOUT.format(name) for name in without]
    sources = sorted(CSRC.rglob("*.c"))
    folder.mkdir(parents=True)
    command = [processor.compiler, *FLAGS, *processor.flags, *switches, "-c", *sources]
    subprocess.run(command, cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def link(objects: list[Path], processor: Target, output: Path) -> Path:
    """Link what quantizing and decoding need, with nothing else: no C library, no libgcc."""
    roots = [f"-Wl,-u,{name}" for name in USED]
    command = [processor.compiler, *FLAGS, *processor.flags, "-nostdlib", "-static"]
    command += ["-Wl,--gc-sections", "-Wl,-e,caq_quantize", *roots]
    subprocess.run([*command, *objects, "-o", output], check=True)
    return output


def sections(program: Path) -> tuple[int, int, int]:
    """Return the bytes of code with constants, of data and of bss."""
    out = subprocess.run(["size", program], capture_output=True, text=True, check=True)
    text, data, bss = out.stdout.splitlines()[1].split()[:3]
    return int(text), int(data), int(bss)


def run_example(
    objects: list[Path], processor: Target, target: tuple[str, str, str], folder: Path
) -> dict[str, int]:
    """Run the example in qemu for a target and return the numbers that it prints, by name."""
    program = folder / "cortex_m.elf"
    names = ("FORMAT", "SCHEME", "SCALE")
    defines = (f"-D{name}={value}" for name, value in zip(names, target, strict=True))
    layout = ["-nostdlib", "-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x100"]
    layout += ["-Wl,-Tdata=0x20000000", "-Wl,-e,vectors", "-Wl,--gc-sections"]
    command = [processor.compiler, *FLAGS, *processor.flags, *defines, *layout, f"-I{CSRC}"]
    subprocess.run([*command, EXAMPLE, *objects, "-o", program], check=True, cwd=folder)
    out = subprocess.run(
        [*EMULATOR, "-M", processor.board, "-kernel", program],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return {
        name: int(number, 16)
        for name, number in (s.rsplit(" ", 1) for s in out.stdout.splitlines())
    }


def instructions_per_weight(found: dict[str, int], processor: Target) -> list[str]:
    """What an example's ticks come to, for each step."""
    ticks = (found[f"{step} ticks"] * processor.instructions_per_tick for step in STEPS)
    return [f"{count / ELEMENTS:.0f}" for count in ticks]


NODE = re.compile(r'node: { title: "(.+?)" label: ".+?\\n(\d+) bytes \((.+?)\)')
EDGE = re.compile(r'edge: { sourcename: "(.+?)" targetname: "(.+?)"')
INDIRECT = "__indirect_call"


def deepest_stack(folder: Path) -> dict[str, int]:
    """Return the most bytes of stack below the caller of each public function.

    From the call graphs that the compiler leaves beside objects. A call through a pointer is one of
    a kernel: of the deepest function of the kernels' file that no function calls by its name.

    Raises:
        ValueError: a frame whose size the compiler does not know, or recursion.
    """
    graphs = {path.stem: path.read_text() for path in folder.glob("*.ci")}
    frames: dict[str, int] = {}
    for title, size, kind in NODE.findall("\n".join(graphs.values())):
        if kind not in ("static", "dynamic,bounded"):
            raise ValueError(f"the stack of {title} is {kind}")
        frames[title] = int(size)
    calls = defaultdict(set)
    for caller, callee in EDGE.findall("\n".join(graphs.values())):
        calls[caller].add(callee)
    called = set().union(*calls.values())
    kernels = {title for title, _, _ in NODE.findall(graphs["portable"])} - called

    @functools.cache
    def depth(title: str) -> int:
        callees = kernels if title == INDIRECT else calls[title]
        return frames.get(title, 0) + max((depth(callee) for callee in callees), default=0)

    try:
        return {title: depth(title) for title in sorted(frames) if title.startswith("caq_")}
    except RecursionError:
        raise ValueError("functions call each other in a circle") from None


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, with a line's end behind each row."""
    lines = (head, ["---"] * len(head), *rows)
    return "".join(
        "|" + "|".join(row if row[0] == "---" else [f" {cell} " for cell in row]) + "|\n"
        for row in lines
    )


def code_table(processors: dict[str, Target], folder: Path) -> str:
    """Measure what each build takes on each processor."""
    rows = []
    for build, without in BUILDS.items():
        row = [build]
        for name, processor in processors.items():
            objects = compile_library(folder / name / build, processor, without)
            text, data, bss = sections(link(objects, processor, folder / "linked.elf"))
            row.append(f"{text:,}" + (f" + {data + bss}" if data + bss else ""))
        rows.append(row)
    return table([CODE, *processors], rows)


def example_tables(processors: dict[str, Target], folder: Path) -> tuple[str, str]:
    """Measure the instructions that a weight takes, and the stack that was used."""
    boards = {name: processor for name, processor in processors.items() if processor.board}
    counts, stacks = [], []
    for target, arguments in TARGETS.items():
        counts.append([target])
        stacks.append([target])
        for name, processor in boards.items():
            objects = sorted((folder / name / "all formats").glob("*.o"))
            found = run_example(objects, processor, arguments, folder)
            counts[-1] += instructions_per_weight(found, processor)
            stacks[-1] += [str(found[f"{step} stack"]) for step in STEPS]
    columns = [f"{name}, {step}" for name in boards for step in STEPS]
    return table([INSTRUCTIONS, *columns], counts), table([USED_STACK, *columns], stacks)


def deepest_stack_table(processors: dict[str, Target], folder: Path) -> str:
    """Add up the most stack that any call can take."""
    depths = {name: deepest_stack(folder / name / "all formats") for name in processors}
    public = [name for name in next(iter(depths.values())) if re.search(rf"\b{name}\(", HEADER)]
    rows = [[f"`{name}()`", *(str(depths[column][name]) for column in depths)] for name in public]
    return table([DEEPEST, *depths], rows)


def put_tables(page: Path, tables: list[str]) -> None:
    """Replace the tables of a page that have the same corners as these."""
    text = page.read_text()
    for new in tables:
        corner = re.escape(new.split("|")[1])
        text, count = re.subn(rf"^\|{corner}\|.*\n(?:\|.*\n)+", new, text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{page} has {count} tables of{corner}")
    page.write_text(text)


HEADER = (CSRC / "coreai_quant.h").read_text()


def main() -> None:
    """Print the tables for all processors that have a compiler; put them into a page if told."""
    processors = {}
    for name, processor in PROCESSORS.items():
        if reason := processor.missing():
            print(f"NOT MEASURED: {name}: {reason}", file=sys.stderr)
        else:
            processors[name] = processor
    if not processors:
        sys.exit("there is no compiler to measure with")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = [code_table(processors, folder)]
        tables += [*example_tables(processors, folder), deepest_stack_table(processors, folder)]
    print("\n".join(tables))
    if len(sys.argv) > 1:
        put_tables(Path(sys.argv[1]), tables)


if __name__ == "__main__":
    main()
