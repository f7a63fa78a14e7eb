"""Outcomes: a weight that was quantized or left as it is, and the record of that."""

from dataclasses import replace
from typing import NamedTuple

from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.evaluation.calibrated_error import CalibratedError
from coreai_opt.evaluation.weight_error import WeightError
from coreai_opt.exceptions import Cause, Message
from coreai_opt.program.channel_axes import Blocks
from coreai_opt.program.forms import form_of_array
from coreai_opt.program.jobs import Job
from coreai_opt.reports.records import Status, WeightRecord
from coreai_opt.settings.enums import QScheme, Rounding


class Quantized(NamedTuple):
    """A weight that was quantized.

    Attributes:
        array: what it became.
        blocks: which of its elements share a scale.
        rounding: how its codes were chosen.
        reason: why they were not chosen as they should be; or empty.
        error: what that did to it, if it was to be measured.
        output_error: what it did to its outputs, if a calibration has seen the weight.
        seconds: how long reading and quantizing it took.
    """

    array: QuantizedArray
    blocks: Blocks
    rounding: Rounding
    reason: str
    error: WeightError | None
    output_error: CalibratedError | None
    seconds: float


class Left(NamedTuple):
    """A weight that is left as it is.

    Attributes:
        status: that it is.
        reason: why.
        advice: what can be done about that.
        cause: the reason in words for all that are left for it; None where those of ``reason`` are.
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
    array, spec = outcome.array, job.settings.spec
    form = form_of_array(array)
    label = form.label(array)
    reasons = [reason for reason in (outcome.blocks.reason, outcome.reason) if reason]
    return replace(
        _record(job, Status.QUANTIZED, "; ".join(reasons)),
        format_after=label.format,
        qscheme=str(QScheme.SYMMETRIC if spec.symmetric else QScheme.ASYMMETRIC),
        granularity=str(outcome.blocks.granularity),
        block_size=outcome.blocks.block_size,
        scale_dtype=label.scale_dtype,
        observer=str(spec.observer),
        rounding=str(outcome.rounding),
        nbytes_after=form.saved_bytes(array),
        error=outcome.error,
        output_error=outcome.output_error,
        seconds=outcome.seconds,
    )


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
