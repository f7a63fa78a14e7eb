"""What each kind of weight is multiplied with is captured: H against float64, from known inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    AIProgram,
    Value,
    broadcasting_add,
    broadcasting_batch_matmul,
    conv2d,
    gather_nd,
    relu,
    shrink_dims,
    slice_,
)
from coreai.authoring.constant import constant

from coreai_opt.calibration import capture
from coreai_opt.calibration.moments import Moments
from coreai_opt.coreai_utils import calibrate, dequantize_weights, quantize_weights
from coreai_opt.exceptions import CalibrationError
from coreai_opt.program import ir
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.exported import PRIVATE, experts_program, make_graphs, s32, stack_program
from ..support.programs import (
    F32,
    Array,
    convolution,
    if_,
    linear,
    make_graph,
    make_program,
    matmul_program,
    random_weight,
    text,
    transposed_convolution,
    two_layers,
    u32,
)

rng = np.random.default_rng(0)


def samples_of(shapes: dict[str, tuple[int, ...]], count: int = 3) -> list[dict[str, Array]]:
    return [
        {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(count)
    ]


def moments_of(program: AIProgram, samples: Any, **arguments: Any) -> dict[str, Moments]:
    found = calibrate(program, samples, weight_num_threshold=0, **arguments)
    assert found.left == {}
    return dict(found.moments)


def assert_moments(moments: Moments, rows: list[Array], tolerance: float = 1e-5) -> None:
    """H of each group is the mean of x·xᵀ / ‖x‖ over rows ``[n, K]``, summed in float64."""
    assert moments.rows.tolist() == [len(of) for of in rows]
    (chunk,) = moments.matrices
    for found, of in zip(chunk, rows, strict=True):
        x = of.astype(np.float64)
        wanted = sum(np.outer(row, row) / np.linalg.norm(row) for row in x) / len(x)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * wanted.max())
        np.testing.assert_array_equal(found, found.T)


def one(found: dict[str, Moments]) -> Moments:
    (moments,) = found.values()
    return moments


def test_a_right_operand() -> None:
    samples = samples_of({"x": (3, 8)})
    found = moments_of(matmul_program(random_weight((8, 5))), samples)
    assert_moments(one(found), [np.concatenate([s["x"] for s in samples])])


def test_a_left_operand() -> None:
    program = make_program(
        lambda x: (broadcasting_batch_matmul(constant(random_weight((5, 8))), x),),
        {"x": ((8, 3), F32)},
        {"y": ((5, 3), F32)},
    )
    samples = samples_of({"x": (8, 3)})
    assert_moments(one(moments_of(program, samples)), [np.concatenate([s["x"].T for s in samples])])


def test_a_linear_layer() -> None:
    program = make_program(
        lambda x: (linear(x, constant(random_weight((5, 8)))),),
        {"x": ((2, 3, 8), F32)},
        {"y": ((2, 3, 5), F32)},
    )
    samples = samples_of({"x": (2, 3, 8)})
    rows = np.concatenate([s["x"].reshape(6, 8) for s in samples])
    assert_moments(one(moments_of(program, samples)), [rows])


def test_heads() -> None:
    samples = samples_of({"x": (4, 3, 8)})
    found = moments_of(matmul_program(random_weight((4, 8, 5)), batch=(4,)), samples)
    rows = [np.concatenate([s["x"][head] for s in samples]) for head in range(4)]
    assert_moments(one(found), rows)


def patches(x: Array, kernel: tuple[int, int], strides: Any = (1, 1), steps: Any = (1, 1)) -> Array:
    """``[positions, C · kernel]``, by loops over every position and tap."""
    size = [(n - (k - 1) * d - 1) // s + 1
            for n, k, s, d in zip(x.shape[2:], kernel, strides, steps, strict=True)]  # fmt: skip
    rows = []
    for b, i, j in np.ndindex(x.shape[0], *size):
        taken = [
            [x[b, c, i * strides[0] + p * steps[0], j * strides[1] + q * steps[1]]
             for p, q in np.ndindex(kernel)]
            for c in range(x.shape[1])
        ]  # fmt: skip
        rows.append(np.reshape(taken, -1))
    return np.array(rows)


@pytest.mark.parametrize("groups", [1, 2, 6], ids=["whole", "groups", "depthwise"])
def test_convolutions(groups: int) -> None:
    program = make_program(
        lambda x: (convolution(x, constant(random_weight((12, 6 // groups, 2, 3))), groups),),
        {"x": ((2, 6, 5, 6), F32)},
        {"y": ((2, 12, 4, 4), F32)},
    )
    samples = samples_of({"x": (2, 6, 5, 6)}, 2)
    channels = np.split(np.concatenate([s["x"] for s in samples]), groups, axis=1)
    assert_moments(one(moments_of(program, samples)), [patches(x, (2, 3)) for x in channels])


def test_strides_and_dilations() -> None:
    def body(x: Value) -> Any:
        weight = constant(random_weight((4, 3, 2, 2)))
        return (conv2d(x, weight, u32(2, 1), u32(1, 3), np.uint32(1)),)

    program = make_program(body, {"x": ((1, 3, 7, 8), F32)}, {"y": ((1, 4, 3, 5), F32)})
    samples = samples_of({"x": (1, 3, 7, 8)}, 2)
    rows = [patches(s["x"], (2, 2), (2, 1), (1, 3)) for s in samples]
    assert_moments(one(moments_of(program, samples)), [np.concatenate(rows)])


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions(groups: int) -> None:
    weight = random_weight((6, 4 // groups, 2, 2))
    program = make_program(
        lambda x: (transposed_convolution(x, constant(weight), groups),),
        {"x": ((1, 6, 3, 4), F32)},
        {"y": ((1, 4, 4, 5), F32)},
    )
    samples = samples_of({"x": (1, 6, 3, 4)})
    rows = np.concatenate([s["x"].transpose(0, 2, 3, 1).reshape(-1, 6) for s in samples])
    assert_moments(one(moments_of(program, samples)), np.split(rows, groups, axis=1))


def test_a_layer_behind_another() -> None:
    """The second is multiplied with what the first computes."""
    samples = samples_of({"x": (3, 8)})
    first, second = moments_of(two_layers(), samples).values()
    rows = np.concatenate([s["x"] for s in samples])
    assert_moments(first, [rows])
    assert_moments(second, [rows @ random_weight((8, 6), seed=1)], 1e-4)


def test_weights_with_one_activation_share_their_moments() -> None:
    def body(x: Value) -> Any:
        weights = [constant(random_weight((5, 8), seed=seed)) for seed in range(3)]
        return tuple(linear(x, weight) for weight in weights)

    outputs = {f"y{i}": ((3, 5), F32) for i in range(3)}
    found = moments_of(make_program(body, {"x": ((3, 8), F32)}, outputs), samples_of({"x": (3, 8)}))
    assert len(found) == 3
    assert len({id(moments) for moments in found.values()}) == 1


def test_a_weight_with_two_activations_has_the_moments_of_both() -> None:
    def body(x: Value, z: Value) -> Any:
        weight = constant(random_weight((5, 8)))
        return linear(x, weight), linear(z, weight)

    program = make_program(
        body, {"x": ((3, 8), F32), "z": ((4, 8), F32)}, {"y": ((3, 5), F32), "v": ((4, 5), F32)}
    )
    samples = samples_of({"x": (3, 8), "z": (4, 8)})
    rows = np.concatenate([s[name] for s in samples for name in "xz"])
    assert_moments(one(moments_of(program, samples)), [rows])


def test_a_tied_embedding_has_the_moments_of_the_head() -> None:
    def body(ids: Value) -> Any:
        table = constant(random_weight((9, 8)))
        return (linear(gather_nd(table, ids), table),)

    program = make_program(body, {"ids": ((4, 1), np.int32)}, {"y": ((4, 9), F32)})
    ids = [np.array([[0], [3], [3], [8]], np.int32), np.array([[1], [2], [4], [5]], np.int32)]
    found = moments_of(program, [{"ids": of} for of in ids])
    assert_moments(one(found), [random_weight((9, 8))[np.concatenate(ids)[:, 0]]])


def in_private_graph(calls: int) -> AIProgram:
    """A linear layer in a graph of its own, called several times, one on the result of another."""

    def write() -> None:
        layer = make_graph(
            lambda x: (relu(linear(x, constant(random_weight((8, 8))))),),
            {"x": ((3, 8), F32)},
            {"y": ((3, 8), F32)},
            provided_name="layer",
            **PRIVATE,
        )
        outer = make_graph(
            lambda x: (layer(x)[0],),
            {"x": ((3, 8), F32)},
            {"y": ((3, 8), F32)},
            provided_name="outer",
            **PRIVATE,
        )

        def main(x: Value) -> Any:
            for _ in range(calls):
                (x,) = outer(x)
            return (x,)

        make_graph(main, {"x": ((3, 8), F32)}, {"y": ((3, 8), F32)}, provided_name="main")

    return make_graphs(write)


@pytest.mark.parametrize("calls", [1, 3])
def test_every_call_of_a_private_graph_counts(calls: int) -> None:
    samples = samples_of({"x": (3, 8)})
    rows = [np.concatenate([s["x"] for s in samples])]
    for _ in range(calls - 1):
        rows.append(np.maximum(rows[-1] @ random_weight((8, 8)).T, 0))
    every = np.concatenate(rows)
    every = every[np.linalg.norm(every, axis=1) > 0]
    assert_moments(one(moments_of(in_private_graph(calls), samples)), [every], 1e-4)


def test_experts_have_the_rows_that_they_were_chosen_for() -> None:
    """Two layers share one graph; each weight has the rows of its own call."""
    weights = [random_weight((1, 4, 64, 96), seed=seed) for seed in range(2)]
    x = [random_weight((3, 1, 1, 64), seed=seed) for seed in (5, 6)]
    chosen = np.array([[0, 1], [3, 1], [1, 3]], np.uint16)
    found = calibrate(experts_program(*weights), [{"x": of, "chosen": chosen} for of in x])
    assert found.left == {}
    tokens = np.concatenate([of[:, 0, 0] for of in x])
    for moments in found.moments.values():
        assert moments.rows.tolist() == [2, 6, 0, 4]
        for expert, which in {0: [0, 3], 1: [0, 1, 2, 3, 4, 5], 3: [1, 2, 4, 5]}.items():
            rows = tokens[which].astype(np.float64)
            wanted = np.mean([np.outer(r, r) / np.linalg.norm(r) for r in rows], axis=0)
            np.testing.assert_allclose(moments.matrices[0][expert], wanted, atol=1e-5)
        assert not moments.matrices[0][2].any()


@pytest.mark.parametrize("transposed", [False, True])
def test_matrices_behind_a_gather(transposed: bool) -> None:
    shape = (8, 48, 64) if transposed else (8, 64, 48)
    samples = [
        {
            "x": random_weight((4, 1, 64), seed=seed),
            "rows": np.array([[1], [6], [1], [0]], np.int32),
        }
        for seed in (1, 2)
    ]
    moments = one(dict(calibrate(stack_program(random_weight(shape), transposed), samples).moments))
    assert moments.rows.tolist() == [2, 4, 0, 0, 0, 0, 2, 0]
    x = np.concatenate([s["x"][[0, 2], 0] for s in samples]).astype(np.float64)
    wanted = np.mean([np.outer(r, r) / np.linalg.norm(r) for r in x], axis=0)
    np.testing.assert_allclose(moments.matrices[0][1], wanted, atol=1e-5)


def test_a_branch_counts_when_it_is_taken() -> None:
    def body(x: Value, flag: Value) -> Any:
        one, other = (constant(random_weight((5, 8), seed=seed)) for seed in (1, 2))
        return (
            if_(
                shrink_dims(flag, s32(0)),
                ((3, 5), F32),
                lambda: linear(x, one),
                lambda: linear(broadcasting_add(x, x), other),
            ),
        )

    program = make_program(
        body, {"x": ((3, 8), F32), "flag": ((1,), np.bool_)}, {"y": ((3, 5), F32)}
    )
    samples = samples_of({"x": (3, 8)})
    flags = [True, False, True]
    given = [{**s, "flag": np.array([flag])} for s, flag in zip(samples, flags, strict=True)]
    found = moments_of(program, given)
    taken, not_taken = found.values()
    assert_moments(taken, [np.concatenate([samples[0]["x"], samples[2]["x"]])])
    assert_moments(not_taken, [2 * samples[1]["x"]])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_floats_are_computed_in_float32(dtype: Any) -> None:
    """What the second layer is multiplied with was never rounded to half floats."""

    def body(x: Value) -> Any:
        first, second = (constant(random_weight((8, 8), dtype, seed)) for seed in (1, 2))
        return (linear(linear(x, first), second),)

    program = make_program(body, {"x": ((3, 8), dtype)}, {"y": ((3, 8), dtype)})
    before = text(program)
    samples = [{"x": s["x"].astype(dtype)} for s in samples_of({"x": (3, 8)})]
    _, second = moments_of(program, samples).values()
    x = np.concatenate([s["x"].astype(np.float64) for s in samples])
    rows = x @ random_weight((8, 8), dtype, 1).astype(np.float64).T
    assert_moments(second, [rows])
    assert text(program) == before


IMPORTANCES: dict[str, Callable[[Value], Value]] = {
    "convolution": lambda x: convolution(x, constant(random_weight((4, 6, 2, 3)))),
    "groups": lambda x: convolution(x, constant(random_weight((4, 3, 2, 3))), 2),
    "depthwise": lambda x: convolution(x, constant(random_weight((6, 1, 2, 3))), 6),
    "transposed": lambda x: transposed_convolution(x, constant(random_weight((6, 4, 2, 3)))),
    "transposed, groups": lambda x: transposed_convolution(
        x, constant(random_weight((6, 2, 2, 3))), 2
    ),
}


@pytest.mark.parametrize("kind", IMPORTANCES)
def test_importances_are_what_quantize_weights_takes(kind: str) -> None:
    outputs, shape = (6 if kind == "depthwise" else 4), (5, 7) if "trans" in kind else (3, 3)
    program = make_program(
        lambda x: (IMPORTANCES[kind](x),),
        {"x": ((1, 6, 4, 5), F32)},
        {"y": ((1, outputs, *shape), F32)},
    )
    found = calibrate(program, samples_of({"x": (1, 6, 4, 5)}), weight_num_threshold=0)
    importance = found.importance()
    assert len(importance) == (kind != "depthwise")  # which has one input channel
    quantized = quantize_weights(
        program, "int4", observer="mse", importance=importance, weight_num_threshold=0
    )
    assert len(find_quantized(quantized)) == 1


def test_at_most_so_many_rows_of_a_sample() -> None:
    found = moments_of(matmul_program(random_weight((8, 5)), (7,)), samples_of({"x": (7, 3, 8)}),
                       max_rows=4)  # fmt: skip
    assert one(found).rows.tolist() == [12]


def masked_program() -> AIProgram:
    """Two sentences of three tokens, with a mask that the program adds to what it computes."""

    def body(x: Value, mask: Value) -> Any:
        y = broadcasting_add(linear(x, constant(random_weight((5, 8)))), mask)
        return (linear(y, constant(random_weight((4, 5)))),)

    inputs = {"x": ((2, 3, 8), F32), "mask": ((2, 3, 1), F32)}
    return make_program(body, inputs, {"y": ((2, 3, 4), F32)})


def test_positions_that_are_masked_do_not_count() -> None:
    """Each sample by a mask of its own."""
    samples = samples_of({"x": (2, 3, 8)}, 2)
    masks = [[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 1]]]
    for sample, mask in zip(samples, masks, strict=True):
        sample["mask"] = np.array(mask, np.float32)[:, :, np.newaxis]
    program = masked_program()
    found = moments_of(program, samples, mask="mask")
    rows = [s["x"].reshape(6, 8)[s["mask"].reshape(6) == 1] for s in samples]
    first, second = found.values()
    assert_moments(first, [np.concatenate(rows)])
    assert second.rows.tolist() == [7]
    stacked = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
    again = next(iter(moments_of(program, stacked, mask="mask").values()))
    np.testing.assert_array_equal(first.matrices[0], again.matrices[0])


def test_a_mask_of_other_positions_is_an_error() -> None:
    def body(x: Value, mask: Value) -> Any:
        return (linear(broadcasting_add(x, mask), constant(random_weight((5, 8)))),)

    program = make_program(body, {"x": ((3, 8), F32), "mask": ((3, 8), F32)}, {"y": ((3, 5), F32)})
    samples = samples_of({"x": (3, 8), "mask": (3, 8)})
    with pytest.raises(CalibrationError, match="mask, input 'mask', has not the positions of any"):
        calibrate(program, samples, mask="mask", weight_num_threshold=0)


def test_samples_may_be_arrays_with_an_axis_in_front() -> None:
    program, samples = matmul_program(random_weight((8, 5))), samples_of({"x": (3, 8)})
    stacked = {"x": np.stack([s["x"] for s in samples])}
    ours, theirs = one(moments_of(program, stacked)), one(moments_of(program, iter(samples)))
    np.testing.assert_array_equal(ours.matrices[0], theirs.matrices[0])
    assert ours.rows.tolist() == [9]


def test_progress_is_told_after_each_sample_and_can_end_the_call() -> None:
    told: list[int] = []

    def stop_at_two(count: int) -> None:
        told.append(count)
        if count == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        calibrate(two_layers(), samples_of({"x": (3, 8)}, 5), progress=stop_at_two)
    assert told == [1, 2]


LEFT: dict[str, tuple[Callable[[Value], Value], str]] = {
    "a table": (
        lambda x: gather_nd(constant(random_weight((9, 8))), constant(s32(1, 2, 3).reshape(3, 1))),
        "its rows are looked up",
    ),
    "a part": (
        lambda x: linear(
            x, slice_(constant(random_weight((9, 8))), s32(0, 0), s32(3, 8), s32(1, 1))
        ),
        "not all of it",
    ),
    "zeros alone": (
        lambda x: linear(constant(np.zeros((3, 8), np.float32)), constant(random_weight((8, 8)))),
        "only zeros reached it",
    ),
}


@pytest.mark.parametrize("kind", LEFT)
def test_why_a_weight_has_no_moments_is_said(kind: str) -> None:
    body, reason = LEFT[kind]
    program = make_program(
        lambda x: (broadcasting_add(body(x), x) if kind != "a part" else body(x),),
        {"x": ((3, 8), F32)},
        {"y": ((3, 8 if kind != "a part" else 3), F32)},
    )
    found = calibrate(program, samples_of({"x": (3, 8)}), weight_num_threshold=30)
    assert found.moments == {}
    (said,) = found.left.values()
    assert reason in said


def two_functions() -> AIProgram:
    def write() -> None:
        for seed, name in enumerate(("encode", "decode")):
            make_graph(
                lambda x, seed=seed: (linear(x, constant(random_weight((5, 8), seed=seed))),),
                {"x": ((3, 8), F32)},
                {"y": ((3, 5), F32)},
                provided_name=name,
            )

    return make_graphs(write)


def test_weights_of_another_function_are_left_and_calibrations_merge() -> None:
    program, samples = two_functions(), samples_of({"x": (3, 8)})
    found = {
        name: calibrate(program, samples, function=name, weight_num_threshold=0)
        for name in ("encode", "decode")
    }
    for name, calibration in found.items():
        assert [moments.rows.tolist() for moments in calibration.moments.values()] == [[9]]
        assert list(calibration.left.values()) == [f"{name} does not use it"]
    merged = found["encode"].merge(found["decode"])
    assert len(merged.moments) == 2
    assert merged.left == {}


def test_no_sample_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="at least one sample; got none"):
        calibrate(two_layers(), [])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_activation_that_is_no_number_is_an_error_that_names_sample_and_weight(number) -> None:
    samples = samples_of({"x": (3, 8)})
    samples[1]["x"][2, 3] = number
    with pytest.raises(CalibrationError, match=r"sample 1, weight main/\S*8x6.*: .* holds a NaN"):
        calibrate(two_layers(), samples, weight_num_threshold=0)


def test_a_sample_that_does_not_fit_is_an_error_that_names_the_input() -> None:
    with pytest.raises(ValueError, match="input 'x'"):
        calibrate(two_layers(), [{"x": np.zeros((2, 8), np.float32)}])
    with pytest.raises(ValueError, match="no input 'z'"):
        calibrate(two_layers(), [{"z": np.zeros((3, 8), np.float32)}])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_rows": 0}, ValueError, "max_rows must be an int >= 1"),
        ({"max_rows": 1.5}, TypeError, "max_rows must be an int >= 1"),
        ({"weight_num_threshold": -1}, ValueError, "weight_num_threshold must be an int >= 0"),
        ({"function": "other"}, ValueError, "function must be one of 'main'"),
        ({"mask": "y"}, ValueError, "mask must be one of the inputs 'x'; got 'y'"),
    ],
)
def test_a_bad_argument_is_named(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        calibrate(two_layers(), samples_of({"x": (3, 8)}), **arguments)


def test_what_is_no_program_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"program must be a coreai.authoring.AIProgram"):
        calibrate("model.aimodel", [])  # type: ignore[arg-type]  # the error to test


def test_memory_that_does_not_suffice_is_said_before_anything_runs(monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr(capture, "available_bytes", lambda: 100)
    monkeypatch.setattr(capture, "run_each", never)
    with pytest.raises(CalibrationError, match=r"moments of 2 weights take .* GB of memory"):
        calibrate(two_layers(), samples_of({"x": (3, 8)}), weight_num_threshold=0)


def test_the_program_is_as_it_was() -> None:
    program = in_private_graph(2)
    before = text(program)
    calibrate(program, samples_of({"x": (3, 8)}), weight_num_threshold=0)
    assert text(program) == before


def in_a_row(*weights: Array) -> AIProgram:
    """``x`` times one weight after the other, each a constant of its own."""

    def body(x: Value) -> Any:
        for weight in weights:
            x = broadcasting_batch_matmul(x, constant(weight))
        return (x,)

    dtype = weights[0].dtype
    return make_program(body, {"x": ((3, 64), dtype)}, {"y": ((3, 64), dtype)})


def clones(weight: Array, _: Array) -> AIProgram:
    """Functions ``one`` and ``two`` that are the same, with one weight."""

    def write() -> None:
        for name in ("one", "two"):
            make_graph(
                lambda x: (broadcasting_batch_matmul(x, constant(weight)),),
                {"x": ((3, 64), weight.dtype)},
                {"y": ((3, 64), weight.dtype)},
                provided_name=name,
            )

    return make_graphs(write)


def one_value_twice(a: Array, b: Array) -> AIProgram:
    return in_a_row(a, a, b)


def with_a_splat(a: Array, b: Array) -> AIProgram:
    return in_a_row(a, np.full_like(b, 1 / 64), b)


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    ("make", "function"),
    [(one_value_twice, None), (clones, "one"), (clones, "two"), (with_a_splat, None)],
)
def test_half_floats_have_the_moments_of_float32(
    make: Callable[[Array, Array], AIProgram], function: str | None, half: Any, tmp_path: Path
) -> None:
    """Constants of one value are one weight, splats are none, and names are those of the program.

    Both programs compute the same from the same numbers, so that moments are the same bytes.
    """
    a, b, x = ((random_weight((64, 64), seed=i) / 8).astype(half) for i in range(3))
    program, wide = make(a, b), make(a.astype(np.float32), b.astype(np.float32))
    found, wanted = (
        calibrate(of, [{"x": x[:3].astype(dtype)}], function=function, weight_num_threshold=0)
        for of, dtype in ((program, half), (wide, np.float32))
    )
    assert found.moments.keys() == wanted.moments.keys() == found.digests.keys()
    assert (found.channels, found.left) == (wanted.channels, wanted.left)
    for name, moments in found.moments.items():
        same = wanted.moments[name]
        assert moments.rows.tolist() == same.rows.tolist()
        assert [m.tobytes() for m in moments.matrices] == [m.tobytes() for m in same.matrices]
    found.save(tmp_path / "c.calibration")
    quantize_weights(program, "int4", calibration=found, weight_num_threshold=0)


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    "settings", [{"dtype": "fp8"}, {"dtype": "fp8", "scale_dtype": "e8m0"}, {"dtype": "mxfp4"}]
)
def test_half_floats_beside_weights_of_floating_point_codes(
    settings: dict[str, str], half: Any
) -> None:
    """What decodes such a weight takes a zero that is a splat, and nothing else."""
    a, b, x = ((random_weight((64, 64), seed=i) / 8).astype(half) for i in range(3))
    program = in_a_row(a, b)
    (name, _) = (weight.name for weight in find_weights(program, 0))
    rule = {"name": name, **settings}
    quantize_weights(program, None, overrides=[rule], weight_num_threshold=0, in_place=True)
    found = moments_of(program, [{"x": x[:3]}])
    (decoded, _) = find_weights(dequantize_weights(program), 0)
    decoded_rows = x[:3].astype(np.float32) @ ir.read_constant(decoded.op).astype(np.float32)
    # Decoded in float32 here: half floats round what they decode, bfloat16 by up to 2^-9 of it.
    assert_moments(one(found), [decoded_rows], tolerance=2**-7)
