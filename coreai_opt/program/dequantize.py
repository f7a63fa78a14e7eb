"""The quantized weights of a program, one after the other: read, decode, write back."""

import logging

from coreai_opt.exceptions import ArgumentError, BackendMismatchError, UnreadableError
from coreai_opt.program.exclusive import alone_with
from coreai_opt.program.forms.replacing import replace_decoders
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.weights import find_quantized

logger = logging.getLogger("coreai_opt")


def dequantize_program(program: AIProgram, backend: str, num_threads: int) -> None:
    """Put float constants in the place of the quantized weights of ``program``.

    The program is valid after every weight, also when this raises.

    Args:
        program: the program.
        backend: the name of a backend that is there.
        num_threads: threads that it may use.

    Raises:
        RuntimeError: another thread is at work on it.
        BackendMismatchError: the backends differ; the message names the weight.
    """
    with alone_with(program):
        for weight in find_quantized(program):
            try:
                stored = weight.form.read(weight.op)
                array = stored.dequantize(backend=backend, num_threads=num_threads)
            except (ArgumentError, UnreadableError) as reason:
                logger.warning("%s is left as it is: %s", weight, reason)
            except BackendMismatchError as error:
                raise BackendMismatchError(f"{weight}: {error}") from error
            else:
                replace_decoders(weight.ops, array)
