"""Run a program on samples, and sum up what each of its weights is multiplied with."""

import copy
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.memory import available_bytes
from coreai_opt.calibration.activations import (
    ConvolutionReader,
    Mask,
    MatmulReader,
    Reader,
    TransposedConvolutionReader,
    UnpairedError,
)
from coreai_opt.calibration.calibration import Calibration, digest
from coreai_opt.calibration.moments import Moments, MomentSums, moments_nbytes
from coreai_opt.exceptions import ArgumentError, CalibrationError
from coreai_opt.program import ir
from coreai_opt.program.channel_axes import input_axes
from coreai_opt.program.contraction import Contraction
from coreai_opt.program.following import MATMULS, TRANSPOSED_CONVOLUTIONS
from coreai_opt.program.functions import Sizes, find_function
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.runtime import run_each
from coreai_opt.program.weights import Weight, find_weights
from coreai_opt.settings.arguments import did_you_mean

Array = npt.NDArray[Any]
Sample = Mapping[str, Array]

_STRIDES, _DILATIONS = 2, 3
"""Operands of a convolution."""

_REPEATS = frozenset({"coreai.broadcast_in_dims", "coreai.broadcast_to"})
"""Ops whose result is their operand 0, repeated."""


@dataclass(frozen=True)
class _Source:
    """Where rows come from: outputs of the program that is run, and how to read them.

    Attributes:
        activation: number of the probe.
        indices: number of the probe of what selects matrices, None if all are multiplied.
        reader: how to read them.
        groups, columns: of the weight.
    """

    activation: int
    indices: int | None
    reader: Reader
    groups: int
    columns: int


class _Plan:
    """What to capture for which weight."""

    def __init__(self) -> None:
        self.probes: list[ir.Probe] = []
        self.sources: dict[str, tuple[_Source, ...]] = {}
        self.channels: dict[str, int] = {}
        self.nbytes = 0
        self.left: dict[str, str] = {}

    def add(self, weight: Weight) -> None:
        """Find out where the rows of a weight come from, or say why they cannot be had."""
        self.nbytes += weight.nbytes
        try:
            contractions = _multiplied(weight)
            sources = tuple(self._source(one) for one in contractions)
        except CalibrationError as reason:
            self.left[weight.name] = str(reason)
        else:
            self.sources[weight.name] = sources
            lengths = [weight.shape[axis] for axis in input_axes(weight)]
            self.channels[weight.name] = math.prod(lengths)

    def _source(self, contraction: Contraction) -> _Source:
        assert contraction.activation is not None
        groups, _, columns = contraction.matrix_shape
        op, gather, calls = contraction.op, contraction.gather, contraction.calls
        return _Source(
            activation=self._number(ir.probe_operand(op, contraction.activation, calls)),
            indices=None if gather is None else self._number(_indices(gather, calls)),
            reader=_reader(contraction),
            groups=groups,
            columns=columns,
        )

    def _number(self, probe: ir.Probe) -> int:
        if probe not in self.probes:
            self.probes.append(probe)
        return self.probes.index(probe)


def calibrate_program(
    program: ir.AIProgram,
    samples: Iterable[Sample] | Sample,
    *,
    function: str | None,
    states: Sample | None,
    sizes: Sizes | None,
    mask: str | None,
    weight_num_threshold: int,
    max_rows: int,
    progress: Callable[[int], None] | None,
) -> Calibration:
    """Do what :func:`coreai_opt.coreai_utils.calibrate` does, for arguments that were checked."""
    name, signature = find_function(program, function)
    inputs = [port.name for port in signature.inputs]
    if mask is not None and mask not in inputs:
        allowed = ", ".join(map(repr, inputs))
        raise ArgumentError(
            "mask",
            f"mask must be one of the inputs {allowed}; got {mask!r}{did_you_mean(mask, inputs)}",
        )
    if isinstance(samples, Mapping):
        samples, found = split_samples(program, samples, function=name)
        states = {**found, **(states or {})}
    weights = {weight.name: weight for weight in find_weights(program, weight_num_threshold)}
    watched = copy.deepcopy(program)  # shares the constants
    widened = ir.widen_to_float32(watched)
    plan = _Plan()
    for weight in find_weights(watched, weight_num_threshold):
        if weight.name in weights:  # else it has no digest, and nobody could use its moments
            plan.add(weight)
    _check_memory(plan, widened)
    outputs = ir.expose(watched, name, plan.probes)
    run = _Run(plan, outputs, name, mask=mask, max_rows=max_rows, progress=progress)
    run_each(watched, run.masking(samples), run.take, function=name, states=states, sizes=sizes)
    if run.samples == 0:
        raise CalibrationError("samples must hold at least one sample; got none")
    moments, left = run.finish()
    return Calibration(
        moments=moments,
        channels={name: plan.channels[name] for name in moments},
        digests=weight_digests(weights.values(), moments),
        left=left,
        samples=run.samples,
    )


def weight_digests(weights: Iterable[Weight], names: Container[str]) -> dict[str, str]:
    """Return digests of the weights of these names, by name."""
    buffer = ir.Buffer()
    return {
        weight.name: digest(ir.read_constant(weight.ops[0], buffer, weight.tensor))
        for weight in weights
        if weight.name in names
    }


class _Run:
    """Sums that grow from sample to sample."""

    def __init__(
        self,
        plan: _Plan,
        outputs: Sequence[list[str] | str],
        function: str,
        *,
        mask: str | None,
        max_rows: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.samples = 0
        self._mask_name = mask
        self._mask: Mask | None = None
        self._max_rows, self._progress = max_rows, progress
        self._outputs = outputs
        self._left = dict(plan.left)
        self._sums: dict[tuple[_Source, ...], MomentSums] = {}
        self._weights: dict[tuple[_Source, ...], list[str]] = {}
        for name, sources in plan.sources.items():
            why_not = self._why_not(sources, function)
            if why_not:
                self._left[name] = why_not
                continue
            if sources not in self._sums:
                self._sums[sources] = MomentSums(sources[0].groups, sources[0].columns)
            self._weights.setdefault(sources, []).append(name)

    def _why_not(self, sources: tuple[_Source, ...], function: str) -> str:
        probes = [n for s in sources for n in (s.activation, s.indices) if n is not None]
        for number in probes:
            if isinstance(self._outputs[number], str):
                return f"what it is multiplied with cannot be captured: {self._outputs[number]}"
        if not any(self._outputs[number] for number in probes):
            return f"{function} does not use it"
        return ""

    def masking(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield samples, and keep the mask of the one that is run."""
        for sample in samples:
            if self._mask_name is not None and self._mask_name in sample:
                self._mask = Mask(np.asarray(sample[self._mask_name]))
            yield sample

    def take(self, outputs: Mapping[str, Array]) -> None:
        """Add what one sample gave."""
        for sources, sums in list(self._sums.items()):
            try:
                for source in sources:
                    self._add(source, sums, outputs)
            except UnpairedError as reason:
                del self._sums[sources]
                self._left |= dict.fromkeys(self._weights[sources], str(reason))
            except ValueError as reason:
                raise CalibrationError(
                    f"sample {self.samples}, weight {self._weights[sources][0]}: {reason}"
                ) from reason
        if self._mask is not None and not self._mask.used:
            raise CalibrationError(
                f"the mask, input {self._mask_name!r}, has not the positions of any activation"
            )
        self.samples += 1
        if self._progress is not None:
            self._progress(self.samples)

    def _add(self, source: _Source, sums: MomentSums, outputs: Mapping[str, Array]) -> None:
        activations = self._outputs[source.activation]
        indices = activations if source.indices is None else self._outputs[source.indices]
        for name, which in zip(activations, indices, strict=True):
            selected = None if source.indices is None else outputs[which]
            for group, rows in source.reader.rows(
                outputs[name], selected, self._max_rows, self._mask
            ):
                sums.add(group, rows)

    def finish(self) -> tuple[dict[str, Moments], dict[str, str]]:
        """Return moments by the names of weights, and why others have none."""
        moments: dict[str, Moments] = {}
        for sources, sums in self._sums.items():
            found = sums.moments()
            for name in self._weights[sources]:
                if found.rows.any():
                    moments[name] = found
                else:
                    self._left[name] = "only zeros reached it"
        return moments, self._left


def _indices(gather: ir.Op, calls: tuple[ir.Op, ...]) -> ir.Probe:
    """Return the probe of a gather's indices, before ops that repeat them for every element."""
    op, operand = gather, 1
    while getattr(op.operands[operand].owner, "name", None) in _REPEATS:
        op, operand = op.operands[operand].owner, 0
    return ir.probe_operand(op, operand, calls)


def _multiplied(weight: Weight) -> list[Contraction]:
    """Return what multiplies a weight.

    Raises:
        CalibrationError: nothing does, or its moments say nothing of it.
    """
    if weight.mixed:
        raise CalibrationError(weight.mixed)
    found = [one for one in weight.contractions if one.activation is not None]
    if not found:
        raise CalibrationError("it is not multiplied with anything: its rows are looked up")
    if not all(one.is_whole for one in found):
        raise CalibrationError("not all of it, or more than it, is multiplied at once")
    first = found[0]
    if any(_sizes(one) != _sizes(first) for one in found[1:]):
        raise CalibrationError("what multiplies it disagrees on which of its axes are channels")
    return found


def calibrated_contraction(weight: Weight) -> Contraction | None:
    """Return the contraction whose matrices a weight's moments are of, None if there is none."""
    try:
        return _multiplied(weight)[0]
    except CalibrationError:
        return None


def _sizes(contraction: Contraction) -> list[list[tuple[Any, int | None]]]:
    return [[(factor.role, factor.size) for factor in axis] for axis in contraction.layout]


def _reader(contraction: Contraction) -> Reader:
    op, (groups, _, columns) = contraction.op, contraction.matrix_shape
    shape = ir.lengths(op.operands[contraction.operand])
    if op.name in MATMULS:
        return MatmulReader(columns, groups, contraction.activation == 1, shape[:-2])
    if op.name in TRANSPOSED_CONVOLUTIONS:
        return TransposedConvolutionReader(groups)
    kernel = tuple(size or 0 for size in shape[2:])
    return ConvolutionReader(
        groups, kernel, _integers(op, _STRIDES, len(kernel)), _integers(op, _DILATIONS, len(kernel))
    )


def _integers(op: ir.Op, operand: int, count: int) -> tuple[int, ...]:
    constant = ir.operand_constant(op, operand)
    if constant is None:
        raise CalibrationError("its convolution's strides or dilations are computed")
    found = np.atleast_1d(ir.read_integers(constant)).tolist()
    return tuple(found * count if len(found) == 1 else found)


def _check_memory(plan: _Plan, widened: bool) -> None:
    """Raise CalibrationError where the moments, and weights in float32, do not fit into memory."""
    wanted = plan.nbytes if widened else 0
    wanted += sum(
        moments_nbytes(sources[0].groups, sources[0].columns)
        for sources in set(plan.sources.values())
    )
    available = available_bytes()
    if available is not None and wanted > available:
        raise CalibrationError(
            f"the second moments of {len(plan.sources)} weights take {wanted / 1e9:.1f} GB of "
            f"memory, and {available / 1e9:.1f} GB are free"
        )
