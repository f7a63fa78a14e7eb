"""``dequantize_weights``: the quantized weights of a whole Core AI program as floats again."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.threads import parse_num_threads

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIProgram


def dequantize_weights(
    program: AIProgram,
    *,
    in_place: bool = False,
    backend: str = "auto",
    num_threads: int | None = None,
) -> AIProgram:
    """Turn the quantized weights of a Core AI program back into float constants.

    Every ``coreai.blockwise_shift_scale`` of constants becomes one constant, of the dtype that it
    decodes to and with the elements that ``QuantizedArray.dequantize`` gives. The program computes
    what it did, up to rounding, and any tool can look at its weights; what quantizing lost is lost.

    A weight that cannot be decoded is left as it is, with one warning on the logger ``coreai_opt``:
    one whose ``offset2`` is not zero, whose scales or offsets are computed, or whose codes of less
    than a byte are not packed (as those of FP4 weights by Apple's coreai-opt 0.4.0 are not, and
    Core AI's runtime reads noise).

    When this raises, Ctrl-C and memory that runs out included, ``program`` is as it was, or with
    ``in_place`` each of its weights is either as it was or dequantized.

    Args:
        program: the program. With ``in_place`` no other thread may use it meanwhile.
        in_place: change ``program`` itself instead of a copy.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte).
        num_threads: threads that the native backend may use; None means one per processor.

    Returns:
        The program without quantized weights: a copy, or with ``in_place`` the one that was given.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        RuntimeError: another thread is at work on ``program``.
    """
    parse_backend(backend)
    threads = parse_num_threads(num_threads)

    from coreai_opt.program import dequantize, ir  # noqa: PLC0415  # half a second

    ir.check_program(program, "program")
    changed = program if in_place else copy.deepcopy(program)
    dequantize.dequantize_program(changed, backend, threads)
    return changed
