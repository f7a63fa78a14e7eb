"""What the library takes on a Cortex-M4F: `make size` prints the table that docs/embedded.md has.

Code is what the linker leaves of a program that quantizes and decodes; stack and instructions come
from running examples/embedded/cortex_m.c in qemu, where instructions are counted (-icount).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CSRC = Path(__file__).resolve().parent
EXAMPLE = CSRC.parent / "examples" / "embedded" / "cortex_m.c"
FLAGS = (
    *("-std=c11", "-Os", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    *("-ffreestanding", "-fno-tree-loop-distribute-patterns"),
    *("-DCAQ_TILE_BLOCKS=32", "-DCAQ_WITH_MSE=0"),
)
USED = ("caq_job_init", "caq_quantize", "caq_dequantize")
WITHOUT = "-DCAQ_WITH_{}=0"
EMULATOR = (
    *("qemu-system-arm", "-M", "mps2-an386", "-icount", "shift=0"),
    *("-display", "none", "-monitor", "none", "-serial", "none", "-chardev", "stdio,id=out"),
    *("-semihosting-config", "enable=on,chardev=out", "-kernel"),
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
INSTRUCTIONS_PER_TICK = 40
STEPS = ("quantize", "decode")
UNITS = ("instructions per weight", "bytes of stack")


def missing() -> str | None:
    """Why nothing can be measured here, if it cannot."""
    for tool in ("arm-none-eabi-gcc", EMULATOR[0]):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: gcc-arm-none-eabi, qemu-system-arm)"
    return None


def compile_library(folder: Path, without: tuple[str, ...] = ()) -> list[Path]:
    """Compile the library into a folder, without some of its switches, and return the objects."""
    switches = [WITHOUT.format(name) for name in without]
    sources = sorted(CSRC.rglob("*.c"))
    folder.mkdir(parents=True)
    command = ["arm-none-eabi-gcc", *FLAGS, *switches, "-c", *sources]
    subprocess.run(command, cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def link(objects: list[Path], output: Path) -> Path:
    """Link what quantizing and decoding need, with nothing else: no C library, no libgcc."""
    roots = [f"-Wl,-u,{name}" for name in USED]
    command = ["arm-none-eabi-gcc", *FLAGS, "-nostdlib", "-Wl,--gc-sections", "-Wl,-e,caq_quantize"]
    subprocess.run([*command, *roots, *objects, "-o", output], check=True)
    return output


def sections(program: Path) -> tuple[int, int, int]:
    """Return the bytes of code with constants, of data and of bss."""
    out = subprocess.run(
        ["arm-none-eabi-size", program], capture_output=True, text=True, check=True
    )
    text, data, bss = out.stdout.splitlines()[1].split()[:3]
    return int(text), int(data), int(bss)


def run_example(objects: list[Path], target: tuple[str, str, str], folder: Path) -> dict[str, int]:
    """Run the example in qemu for a target and return the numbers that it prints, by name."""
    program = folder / "cortex_m.elf"
    names = ("FORMAT", "SCHEME", "SCALE")
    defines = (f"-D{name}={value}" for name, value in zip(names, target, strict=True))
    layout = ["-nostdlib", "-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x100"]
    layout += ["-Wl,-Tdata=0x20000000", "-Wl,-e,vectors", "-Wl,--gc-sections"]
    command = ["arm-none-eabi-gcc", *FLAGS, *defines, *layout, f"-I{CSRC}", EXAMPLE, *objects]
    subprocess.run([*command, "-o", program], check=True)
    out = subprocess.run(
        [*EMULATOR, program], capture_output=True, text=True, check=True, timeout=60
    )
    return {
        name: int(number, 16)
        for name, number in (s.rsplit(" ", 1) for s in out.stdout.splitlines())
    }


def main() -> None:
    """Print both tables."""
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| build | code | data, bss |\n|---|---|---|")
        for number, (build, without) in enumerate(BUILDS.items()):
            objects = compile_library(folder / str(number), without)
            text, data, bss = sections(link(objects, folder / "linked.elf"))
            print(f"| {build} | {text:,} | {data + bss} |")
        head = ("float32 in blocks of 32", *(f"{what}: {unit}" for unit in UNITS for what in STEPS))
        print("\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
        for target, arguments in TARGETS.items():
            found = run_example(objects, arguments, folder)
            instructions = [found[f"{step} ticks"] * INSTRUCTIONS_PER_TICK for step in STEPS]
            row = [target, *(f"{count / ELEMENTS:.0f}" for count in instructions)]
            row += [str(found[f"{step} stack"]) for step in STEPS]
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
