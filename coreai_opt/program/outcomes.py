"""Outcomes: a weight that was quantized or left as it is, and the record of that."""

from dataclasses import replace
from typing import NamedTuple

from coreai_opt.arrays.compressed_array import CompressedArray
from coreai_opt.evaluation.calibrated_error import CalibratedError
from coreai_opt.evaluation.weight_error import WeightError
from coreai_opt.exceptions import Cause, Message
from coreai_opt.program.channel_axes import Blocks
from coreai_opt.program.forms import form_of_array
from coreai_opt.program.jobs import Job
from coreai_opt.reports.records import Status, WeightRecord
from coreai_opt.settings.checked import AnySettings, CheckedSettings
from coreai_opt.settings.enums import CompressionGranularity, QScheme, Rounding
from coreai_opt.settings.tables import TableSettings


class Quantized(NamedTuple):
    """A weight that was quantized.

    Attributes:
        array: what it became.
        blocks: which of its elements share a scale or a look-up table.
        rounding: how its codes were chosen; None where there is no choice.
        reason: what was done differently from what was asked for; or empty.
        error: how far it is from the weight, if that was to be measured.
        output_error: how far its outputs are from the weight's, if a calibration has seen it.
        seconds: how long reading and quantizing it took.
    """

    array: CompressedArray
    blocks: Blocks
    rounding: Rounding | None
    reason: str
    error: WeightError | None
    output_error: CalibratedError | None
    seconds: float


class Left(NamedTuple):
    """A weight that is left as it is.

    Attributes:
        status: the status for its record.
        reason: why it is left.
        advice: what can be done about that.
        cause: the reason in words for all weights that are left for it; None where ``reason`` has
            such words.
    """

    status: Status
    reason: str
    advice: Message | None = None
    cause: Cause | None = None


def make_record(job: Job, outcome: Quantized | Left) -> WeightRecord:
    """Return the record of a weight, whose constant must not have been replaced yet."""
    if isinstance(outcome, Left):
        return _record(job, outcome.status, outcome.reason)
    assert job.settings is not None
    array, settings = outcome.array, job.settings
    form = form_of_array(array)
    label = form.label(array)
    reasons = [reason for reason in (outcome.blocks.reason, outcome.reason) if reason]
    return replace(
        _record(job, Status.QUANTIZED, "; ".join(reasons)),
        format_after=label.format,
        qscheme=_scheme(settings),
        granularity=str(outcome.blocks.granularity or ""),
        block_size=outcome.blocks.block_size,
        scale_dtype=label.scale_dtype,
        observer=_observer(settings),
        rounding=str(outcome.rounding or ""),
        scales=_scales(settings),
        nbytes_after=form.saved_bytes(array),
        error=outcome.error,
        output_error=outcome.output_error,
        seconds=outcome.seconds,
    )


def _scheme(settings: AnySettings) -> str:
    if not isinstance(settings, CheckedSettings):
        return ""
    return str(QScheme.SYMMETRIC if settings.spec.symmetric else QScheme.ASYMMETRIC)


def _observer(settings: AnySettings) -> str:
    """Return how scales are found, where there are any that an observer finds."""
    if isinstance(settings, TableSettings):
        return str(settings.observer) if settings.has_scales else ""
    return str(settings.spec.observer) if isinstance(settings, CheckedSettings) else ""


def _scales(settings: AnySettings) -> str:
    """Return which elements share a scale, where a look-up table is shared by other elements."""
    if not isinstance(settings, TableSettings):
        return ""
    if settings.scale_block_size:
        return f"blocks of {settings.scale_block_size}"
    return str(CompressionGranularity.PER_CHANNEL) if settings.channel_scales else ""


def _record(job: Job, status: Status, reason: str) -> WeightRecord:
    weight = job.weight
    return WeightRecord(
        name=weight.name,
        location=weight.location,
        consumers=weight.consumers,
        functions=weight.functions,
        shape=weight.shape,
        status=status,
        reason=reason,
        rules=job.rules,
        format_before=weight.dtype.name,
        format_after=weight.dtype.name,
        qscheme="",
        granularity="",
        block_size=0,
        scale_dtype="",
        observer="",
        rounding="",
        nbytes_before=weight.nbytes,
        nbytes_after=weight.nbytes,
        error=None,
        output_error=None,
        seconds=0.0,
    )
