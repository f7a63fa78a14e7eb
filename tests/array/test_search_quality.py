"""How close the observer MSE comes to the optimum of each format; docs/numerics.md has figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.program.candidates import find_weights
from coreai_opt.program.coreai_ir import Buffer, read_constant

from .corpus import F32, Array, Spec
from .optimum import least_error
from .test_sqnr import sqnr

EXAMPLE = Path(__file__).parents[2] / "examples" / "crepe_tiny_f16.aimodel"


def gaussian(size: int) -> Array:
    return np.random.default_rng(0).normal(0, 0.02, size)


def laplace(size: int) -> Array:
    return np.random.default_rng(1).laplace(0, 0.02, size)


def student(size: int) -> Array:
    return np.random.default_rng(2).standard_t(4, size) * 0.02


def real(size: int) -> Array:
    """Weights of CREPE-tiny's convolutions."""
    from coreai.authoring import AIModelAsset  # half a second

    program = AIModelAsset.load(EXAMPLE).program
    convolutions = [weight for weight in find_weights(program, 1024) if len(weight.shape) == 4]
    read = (read_constant(weight.op, Buffer()).astype(np.float64) for weight in convolutions)
    # Each to the same size, or else one of them would be all that counts.
    return np.concatenate([w.ravel() / w.std() for w in read])[-size:]


SOURCES: tuple[Callable[[int], Array], ...] = (gaussian, laplace, student, real)

SPECS = (
    Spec("int2"),
    Spec("int4"),
    Spec("int8"),
    Spec("uint2", "asymmetric"),
    Spec("uint4", "asymmetric"),
    Spec("uint8", "asymmetric"),
    Spec("fp8_e4m3fn"),
    Spec("fp8_e5m2"),
)

# Elements of a block, and how far from the optimum the SQNR of all may be in dB.
GRANULARITIES = {"block of 32": (32, 0.05), "channel": (1024, 0.05), "tensor": (1 << 14, 0.1)}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_close_to_the_optimum(spec: Spec, granularity: str, source: Callable[[int], Array]) -> None:
    length, margin = GRANULARITIES[granularity]
    weight = source(1 << 14).reshape(-1, length).astype(F32)
    found = spec._replace(observer="mse").quantize(weight, (1, 0), "native").dequantize()
    best = 10 * np.log10(
        np.sum(weight.astype(np.float64) ** 2)
        / np.sum(least_error(weight, spec.dtype, spec.qscheme))
    )
    assert best - margin < sqnr(weight, found)


@pytest.mark.parametrize("source", SOURCES)
def test_mxfp4_takes_the_best_of_all_exponents(source: Callable[[int], Array]) -> None:
    weight = source(1 << 14).reshape(-1, 32).astype(F32)
    result = Spec("fp4_e2m1fn", observer="mse").quantize(weight, (1, 0), "native")
    exponents = result.scale.view(np.uint8).astype(int) - 127
    errors = []
    for away in range(-3, 4):
        scale = np.exp2(exponents + away)
        codes = np.clip(weight / scale, -6, 6).astype(np.float32).astype(result.codes().dtype)
        errors.append(np.sum((weight - scale * codes.astype(np.float64)) ** 2, axis=1))
    assert (np.min(errors, axis=0) >= errors[3] * (1 - 1e-5)).all()
