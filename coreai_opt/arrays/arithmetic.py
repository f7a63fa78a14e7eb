"""Whether the calling thread computes as the contract needs.

A library that was compiled with ``-ffast-math``, or ``torch.set_flush_denormal(True)``, has the
processor take subnormal numbers for zero, in all that a thread computes from then on.
"""

import sys

from coreai_opt.exceptions import UnusableArithmeticError

# Variables, since an expression of constants would be worked out when this file is compiled. The
# processor computes binary64 in the mode in which it computes binary32.
_one, _half_ulp, _most_of_ulp = 1.0, 2.0**-53, 1.5 * 2.0**-53
_smallest_normal, _third, _large = sys.float_info.min, 1 / 3, 2.0**52


def check_arithmetic() -> None:
    """Check that sums are rounded to nearest even, and that subnormal numbers are kept.

    Raises:
        UnusableArithmeticError: that is not so.
    """
    rounds_up, rounds_down = _one + _half_ulp != _one, _one + _most_of_ulp == _one
    if rounds_up or rounds_down:
        raise UnusableArithmeticError(
            "this thread does not round to nearest even (see fesetround in <fenv.h>), which would "
            "change the bytes of results"
        )
    # Multiplied before they are compared, since a comparison may take subnormals for zero as well.
    if _smallest_normal * _third * _large == 0.0:
        raise UnusableArithmeticError(
            "this thread takes subnormal numbers for zero, which would change the bytes of "
            "results; torch.set_flush_denormal(True) and libraries that were compiled with "
            "-ffast-math have the processor do so"
        )
