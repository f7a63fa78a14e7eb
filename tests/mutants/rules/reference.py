"""Mutants of the reference, which the contract tests alone have to notice."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "GRIDS",
        (
            "reference-search-grid",
            "first=22, dense=40",
            "first=32, dense=40",
            "MSE: which scales are tried",
        ),
    ),
    *mutants(
        "_search_integer.turns",
        (
            "reference-search-zero-points",
            "2 if blocks.symmetric else 4",
            "2 if blocks.symmetric else 1",
            "MSE: the zero point moves",
        ),
    ),
    *mutants(
        "_searchable.limit",
        (
            "reference-search-too-large",
            "F32(2.0**15 if dtype == np.float16 else 2.0**127)",
            "F32(2.0**127)",
            "MSE: blocks at the top of float16 are left to MINMAX",
        ),
    ),
    *mutants(
        "best_scales",
        (
            "reference-search-exponents",
            "steps = (-1, 1)",
            "steps = (-1,)",
            "MSE: both neighbours of an exponent are tried",
        ),
        (
            "reference-search-minmax",
            "np.where(better, candidate[0], scales)",
            "candidate[0]",
            "MSE: never worse than MINMAX",
        ),
    ),
    *mutants(
        "_searchable",
        (
            "reference-search-extent",
            "(hi - lo) * F32(0.5)",
            "(hi - lo)",
            "MSE: asymmetric weights are measured by half their range",
        ),
    ),
    *mutants(
        "_Best.scales.found",
        (
            "reference-search-refit",
            "found = self.a / np.where(self.best > 0, self.b, F32(1)) * unit",
            "found = self.a / np.where(self.best > 0, self.a, F32(1)) * unit",
            "MSE: the scale is A / B",
        ),
    ),
    *mutants(
        "search:_relative",
        (
            "reference-importance-zeros",
            "np.where(largest > 0, importance, F32(1))",
            "np.where(largest > 0, importance, F32(0))",
            "importances that are all zero count as equal ones",
        ),
    ),
    *mutants(
        "_errors",
        (
            "reference-importance-errors",
            "squares = squares * blocks.importance",
            "squares = squares * F32(1)",
            "MINMAX stays where its weighed error is the least",
        ),
    ),
    *mutants(
        "_sums",
        (
            "reference-importance-products",
            "np.rint(weights * (h / IMPORTANCE_UNIT)), one",
            "x, one",
            "the scale is Σ h·x·c / Σ h·c²",
        ),
    ),
    *mutants(
        "encode_integer",
        (
            "reference-round",
            "np.rint(widen(weight) * reciprocal(scales)) + zero_points",
            "np.floor(widen(weight) * reciprocal(scales) + F32(0.5)) + zero_points",
            "codes round half even",
        ),
        (
            "reference-zero-point-order",
            "np.rint(widen(weight) * reciprocal(scales)) + zero_points",
            "np.rint(widen(weight) * reciprocal(scales) + zero_points)",
            "the product is rounded before the zero point is added",
        ),
        (
            "reference-division",
            "widen(weight) * reciprocal(scales)",
            "widen(weight) / widen(scales)",
            "weights are multiplied by the rounded reciprocal",
        ),
    ),
    *mutants(
        "encode_float",
        (
            "reference-sign-of-zero",
            "np.clip(scaled, -largest, largest)",
            "(np.clip(scaled, -largest, largest) + F32(0))",
            "FP codes keep the sign of zero",
        ),
        (
            "reference-saturation",
            "np.clip(scaled, -largest, largest)",
            "np.maximum(scaled, -largest)",
            "FP codes saturate",
        ),
    ),
    *mutants(
        "codes:decode",
        (
            "reference-decode",
            "widen(scales) * (widen(codes) - widen(zero_points))",
            "widen(scales) * widen(codes) - widen(scales) * widen(zero_points)",
            "the zero point is taken off before the product",
        ),
    ),
    *mutants(
        "symmetric_scales.scales",
        (
            "reference-epsilon",
            "_usable(absmax / largest,",
            "_usable((absmax + F32(1e-6)) / largest,",
            "there is no epsilon",
        ),
    ),
    *mutants(
        "e8m0_scales.rounded_up",
        (
            "reference-e8m0-tie",
            "0x17FFFF",
            "0x180000",
            "a significand of exactly 29/16 keeps its exponent",
        ),
    ),
    *mutants(
        "zero_points",
        (
            "reference-zero-point",
            "np.rint(-lo / widen(scales))",
            "np.rint(-lo * reciprocal(scales))",
            "the zero point is a quotient by the scale",
        ),
        (
            "reference-zero-point-clip",
            "np.clip(np.rint(-lo / widen(scales)), F32(0), F32(format.levels))",
            "np.rint(-lo / widen(scales))",
            "the zero point is clipped",
        ),
    ),
    *mutants(
        "scales:float_target",
        (
            "reference-e5m2-divisor",
            "target / F32(16)",
            "target / F32(8)",
            "with float16 scales E5M2 aims at 3584",
        ),
    ),
    *mutants(
        "_usable",
        (
            "reference-zero-block",
            "np.where(extent == 0, dtype.type(1), round_scales(scales, dtype))",
            "round_scales(scales, dtype)",
            "a block of zeros has the scale 1",
        ),
    ),
    *mutants(
        "e8m0_scales.scales",
        (
            "reference-zero-block-e8m0",
            "np.where(absmax == 0, E8M0.type(1), from_biased_exponents(biased, dtype))",
            "from_biased_exponents(biased, dtype)",
            "a block of zeros has the E8M0 scale 1",
        ),
    ),
    *mutants(
        "_smallest_e8m0_exponent",
        (
            "reference-smallest-e8m0",
            "-24 if dtype == np.float16 else -127",
            "-127",
            "an E8M0 scale of float16 weights is at least 2^-24",
        ),
    ),
    *mutants(
        "_smallest_scale",
        (
            "reference-smallest-scale",
            "_next_bits(exponent_only, +1)",
            "exponent_only",
            "the reciprocal of the smallest scale is finite",
        ),
    ),
    *mutants(
        "_toward_zero",
        (
            "reference-toward-zero",
            "np.where(widen(rounded) > positive, _next_bits(rounded, -1), rounded)",
            "rounded",
            "a lowered scale is rounded down",
        ),
    ),
    *mutants(
        "_decodable",
        (
            "reference-lower-once",
            "scales = np.where(infinite, smaller, scales)",
            "return np.where(infinite, smaller, scales)",
            "a scale is lowered until its block decodes to finite numbers",
        ),
    ),
    *mutants(
        "asymmetric_scales.quotient",
        (
            "reference-halved",
            "np.where(np.isinf(spread), halved, spread / levels)",
            "spread / levels",
            "a range that overflows is halved",
        ),
    ),
    *mutants(
        "_minmax",
        (
            "reference-range-has-zero",
            "np.minimum(blocks.min(axis=1), np.float32(0))",
            "blocks.min(axis=1)",
            "an asymmetric range includes zero",
        ),
    ),
    *mutants(
        "_encode",
        (
            "reference-clip-bound",
            "if mse else -format.symmetric_max",
            "if mse else -format.symmetric_max - 1",
            "symmetric codes are clipped to -Q",
        ),
        (
            "reference-shift",
            "return codes + offset, zero_point + offset",
            "return codes + offset, zero_point",
            "INT's zero point is UINT's shifted down",
        ),
    ),
    *mutants(
        "packing:pack",
        (
            "reference-nibble-order",
            "<< (position * format.bits)",
            "<< (8 - format.bits - position * format.bits)",
            "the first code is in the lowest bits",
        ),
    ),
    *mutants(
        "packing:unpack",
        (
            "reference-sign-extension",
            "(raw ^ sign) - sign",
            "raw",
            "negative codes are two's complement in their bits",
        ),
    ),
)
