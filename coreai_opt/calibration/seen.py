"""What a calibration knows of the weights of a program that is quantized."""

from collections.abc import Sequence

from coreai_opt.calibration.calibration import Calibration
from coreai_opt.calibration.capture import calibrated_contraction, weight_digests
from coreai_opt.exceptions import CalibrationError
from coreai_opt.program.calibrated import Seen
from coreai_opt.program.inventory import Inventory
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.weights import Weight


def seen_weights(
    calibration: Calibration, program: AIProgram, weights: Sequence[Weight]
) -> dict[str, Seen]:
    """Return what a calibration has seen, by name of the weight.

    Args:
        calibration: the calibration.
        program: the program that is quantized.
        weights: those of its weights that are to be quantized. A calibration may have seen more:
            whether it is of this program is asked of all of them.

    Raises:
        CalibrationError: the calibration is of another program.
    """
    inventory = Inventory(program, 0)
    calibration.check_belongs_to(
        weight_digests(inventory.weights, calibration.digests),
        quantized=[weight.name for weight in inventory.quantized],
    )
    found = {}
    for weight in weights:
        moments = calibration.moments.get(weight.name)
        if moments is None:
            continue
        contraction = calibrated_contraction(weight)
        shape = (moments.groups, moments.columns)
        if contraction is None or contraction.matrix_shape[::2] != shape:
            raise CalibrationError(
                f"the calibration is of another program: {weight.name} is multiplied otherwise"
            )
        found[weight.name] = Seen(moments.matrices, contraction.matrices)
    return found
