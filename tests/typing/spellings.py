"""What mypy says of names that are typed: ``make types`` runs it on this file.

An ignored line that mypy takes is an error as well (``warn_unused_ignores``).
"""

import numpy as np

from coreai_opt import Rule, Settings, palettize_array, quantize_array

WEIGHT = np.zeros((2, 64), np.float32)

quantize_array(WEIGHT, "int4", granularity="block", block_size=32, qscheme="asym")
quantize_array(WEIGHT, "mxfp4", block_sizes=(1, 32))
quantize_array(WEIGHT, "in4", granularity="per_channel")  # type: ignore[arg-type]
quantize_array(WEIGHT, "int4", granularity="per_chanel")  # type: ignore[arg-type]
quantize_array(WEIGHT, "int4", granularity="channel", observer="mes")  # type: ignore[arg-type]
palettize_array(WEIGHT, 4, lut_dtype="int8")
palettize_array(WEIGHT, 4, lut_dtype="in8")  # type: ignore[arg-type]
Rule(name="*", dtype="int4", granularity="block", observer="mse")
Rule(name="*", dtype="e4m3", scale_dtype="e8m0")
Rule(name="*", dtype="in4")  # type: ignore[arg-type]
Settings(dtype="int8", indivisible="fits")  # type: ignore[arg-type]
