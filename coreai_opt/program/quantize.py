"""The weights of a program, one after the other: find, read, quantize, write back."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from coreai_opt.array import QuantizedArray, quantize_parsed
from coreai_opt.backends import Backend, BackendMismatchError
from coreai_opt.common import CompressionGranularity
from coreai_opt.program.candidates import Weight, find_weights
from coreai_opt.program.channel_axes import weight_block_sizes
from coreai_opt.program.coreai_ir import AIProgram, read_constant
from coreai_opt.program.rewrite import replace_constant
from coreai_opt.spec import QuantizationSpec

logger = logging.getLogger("coreai_opt")


@dataclass(frozen=True)
class Settings:
    """How to quantize a weight; the arguments of ``quantize_weights``, checked."""

    spec: QuantizationSpec
    granularity: CompressionGranularity
    block_size: int
    backend: Backend
    num_threads: int


def check_program(program: object) -> None:
    """Raise TypeError if ``program`` is no Core AI program."""
    if not isinstance(program, AIProgram):
        raise TypeError(
            "coreai_program must be a coreai.authoring.AIProgram, such as "
            f"AIModelAsset.load(path).program; got {type(program).__name__}"
        )


def quantize_program(
    program: AIProgram,
    weight_num_threshold: int,
    settings: Settings,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    """Quantize the weights of ``program`` in place.

    The program is valid after every weight, so it is when this raises.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
        settings: how.
        progress: called before each weight and once at the end; see ``quantize_weights``.

    Raises:
        BackendMismatchError: the backends differ; the message names the weight.
    """
    weights = find_weights(program, weight_num_threshold)
    for done, weight in enumerate(weights):
        if progress is not None:
            progress(done, len(weights), str(weight))
        try:
            quantized = _quantize_weight(weight, settings)
        except ValueError as reason:
            logger.warning("%s is left as it is: %s", weight, reason)
        except BackendMismatchError as error:
            raise BackendMismatchError(f"{weight}: {error}") from error
        else:
            replace_constant(weight.op, quantized)
    if progress is not None:
        progress(len(weights), len(weights), "")


def _quantize_weight(weight: Weight, settings: Settings) -> QuantizedArray:
    sizes = weight_block_sizes(weight, settings.granularity, settings.block_size)
    array = read_constant(weight.op)
    return quantize_parsed(array, settings.spec, sizes, settings.backend, settings.num_threads)
