"""Comparisons of outputs as JSON."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from coreai_opt.evaluation.output_comparison import OutputComparison

__all__ = ["finite", "finite_numbers", "outputs_as_json"]


def outputs_as_json(comparisons: Iterable[OutputComparison]) -> list[dict[str, Any]]:
    """Return comparisons for ``json.dumps``.

    JSON has no infinity and no NaN, so figures that are either are null. ``status`` tells which:
    ``"equal"`` where the outputs are the same, so that SQNR is infinite; ``"not finite"`` where one
    of them holds a NaN or an infinity; else ``"different"``.
    """
    return [_as_json(comparison) for comparison in comparisons]


def _as_json(comparison: OutputComparison) -> dict[str, Any]:
    return finite_numbers(asdict(comparison)) | {"status": _status(comparison.sqnr_db)}


def finite_numbers(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a JSON object is to hold, with None for numbers that JSON has not."""
    return {
        key: finite(value) if isinstance(value, float) else value for key, value in content.items()
    }


def finite(number: float) -> float | None:
    """Return the number, None where JSON has none for it."""
    return number if math.isfinite(number) else None


def _status(sqnr_db: float) -> str:
    if math.isnan(sqnr_db):
        return "not finite"
    return "equal" if sqnr_db == math.inf else "different"
