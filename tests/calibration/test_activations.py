"""Rows of activations: a weight's matrices times them are its output, computed another way."""

import itertools

import numpy as np
import pytest

from coreai_opt.calibration.activations import (
    ConvolutionReader,
    Mask,
    MatmulReader,
    TransposedConvolutionReader,
)

MOST = 10_000
rng = np.random.default_rng(0)


def by_group(reader, activation, indices=None, most=MOST, mask=None) -> dict[int, np.ndarray]:
    return dict(reader.rows(activation, indices, most, mask))


def test_matmul_rows_are_all_rows_of_the_left_operand() -> None:
    x = rng.standard_normal((2, 3, 5)).astype(np.float32)
    rows = by_group(MatmulReader(5, 1, False, ()), x)
    assert list(rows) == [0]
    np.testing.assert_array_equal(rows[0], x.reshape(6, 5))


def test_matmul_rows_are_the_columns_of_a_right_operand() -> None:
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    rows = by_group(MatmulReader(5, 1, True, ()), x)
    np.testing.assert_array_equal(rows[0], x.transpose(0, 2, 1).reshape(6, 5))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 1, 3, 5), (6, 5), (1, 6, 5)])
@pytest.mark.parametrize("transposed", [False, True])
def test_rows_whose_position_is_masked_do_not_count(shape: tuple[int, ...], transposed) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    mask = Mask(np.array([[1, 0, 1], [1, 0, 0]], np.int32))
    given = x.swapaxes(-1, -2) if transposed else x
    rows = by_group(MatmulReader(5, 1, transposed, ()), given, mask=mask)
    np.testing.assert_array_equal(rows[0], x.reshape(6, 5)[[0, 2, 3]])
    assert mask.used


@pytest.mark.parametrize("shape", [(3, 2, 5), (4, 3, 5), (2, 2, 3, 5), (0, 5)])
def test_all_rows_count_where_a_mask_has_other_positions(shape: tuple[int, ...]) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    mask = Mask(np.array([[1, 0, 1], [1, 0, 0]], np.int32))
    rows = by_group(MatmulReader(5, 1, False, ()), x, mask=mask)
    np.testing.assert_array_equal(rows[0], x.reshape(-1, 5))
    assert not mask.used


def test_of_masked_rows_as_many_are_taken_as_of_others() -> None:
    x = np.arange(1, 201, dtype=np.float32).reshape(200, 1)
    mask = Mask(x[:, 0] % 2)
    rows = by_group(MatmulReader(1, 1, False, ()), x, most=17, mask=mask)
    assert len(rows[0]) == 17
    assert (rows[0] % 2 == 1).all()


@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (4, 3, 5), (2, 1, 3, 5), (3, 5)])
def test_each_head_has_the_rows_of_its_own(shape: tuple[int, ...]) -> None:
    """Weight ``[4, 5, 6]``, activations with and without axes for the heads."""
    x = rng.standard_normal(shape).astype(np.float32)
    weight = rng.standard_normal((4, 5, 6)).astype(np.float32)
    rows = by_group(MatmulReader(5, 4, False, (4,)), x)
    y = x @ weight
    for head in range(4):
        wanted = y.reshape(-1, 4, 3, 6)[:, head].reshape(-1, 6)
        np.testing.assert_allclose(rows[head] @ weight[head], wanted, rtol=1e-5, atol=1e-6)


def test_each_expert_has_the_rows_that_were_sent_to_it() -> None:
    """Six tokens, two of four experts each, as gather_mm computes it; the last gets none."""
    tokens = rng.standard_normal((6, 1, 1, 5)).astype(np.float32)
    chosen = np.array([[0, 1], [1, 2], [2, 0], [0, 2], [1, 0], [2, 1]], np.uint16)
    reader = MatmulReader(5, 4, False, (1, None, 2))
    rows = by_group(reader, tokens, chosen)
    assert sorted(rows) == [0, 1, 2]
    for expert in range(3):
        wanted = [
            tokens[t, 0, 0]
            for t, k in itertools.product(range(6), range(2))
            if chosen[t, k] == expert
        ]
        np.testing.assert_array_equal(rows[expert], wanted)


def test_stacked_matrices_that_do_not_pair_are_an_error() -> None:
    reader = MatmulReader(5, 4, False, (3,))
    with pytest.raises(ValueError, match="4 matrices do not pair with activations"):
        by_group(reader, np.ones((3, 2, 5), np.float32))


@pytest.mark.parametrize(
    ("groups", "strides", "dilations"),
    [(1, (1, 1), (1, 1)), (1, (2, 3), (1, 1)), (2, (1, 2), (2, 1)), (6, (1, 1), (1, 3))],
)
def test_convolution_rows_are_patches(groups, strides, dilations) -> None:
    """Against sums over the kernel's positions, one by one."""
    x = rng.standard_normal((2, 6, 9, 11)).astype(np.float32)
    weight = rng.standard_normal((12, 6 // groups, 3, 2)).astype(np.float32)
    rows = by_group(ConvolutionReader(groups, (3, 2), strides, dilations), x)
    matrices = weight.reshape(groups, 12 // groups, -1)
    out = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip((9, 11), (3, 2), strides, dilations, strict=True)
    ]
    for group in range(groups):
        channels = x[:, group * 6 // groups : (group + 1) * 6 // groups].astype(np.float64)
        y = np.zeros((2, 12 // groups, *out))
        for i, j in np.ndindex(3, 2):
            taken = channels[:, :, i * dilations[0] :: strides[0], j * dilations[1] :: strides[1]]
            taken = taken[:, :, : out[0], : out[1]]
            part = weight[group * 12 // groups : (group + 1) * 12 // groups, :, i, j]
            y += np.einsum("oc,bchw->bohw", part, taken)
        wanted = y.transpose(0, 2, 3, 1).reshape(-1, 12 // groups)
        np.testing.assert_allclose(rows[group] @ matrices[group].T, wanted, rtol=1e-4, atol=1e-5)


def test_convolutions_of_three_dimensions() -> None:
    x = rng.standard_normal((1, 2, 4, 5, 3)).astype(np.float32)
    rows = by_group(ConvolutionReader(1, (2, 2, 3), (1, 1, 1), (1, 1, 1)), x)
    assert rows[0].shape == (3 * 4, 2 * 12)
    np.testing.assert_array_equal(rows[0][0], x[0, :, :2, :2, :3].reshape(-1))


def test_transposed_convolution_rows_are_channels() -> None:
    x = rng.standard_normal((2, 6, 3, 4)).astype(np.float32)
    rows = by_group(TransposedConvolutionReader(2), x)
    np.testing.assert_array_equal(rows[1], x[:, 3:].transpose(0, 2, 3, 1).reshape(-1, 3))


@pytest.mark.parametrize(
    "reader",
    [
        MatmulReader(5, 1, False, ()),
        ConvolutionReader(1, (1,), (1,), (1,)),
        TransposedConvolutionReader(1),
    ],
)
def test_of_many_rows_some_are_taken_and_always_the_same(reader) -> None:
    if isinstance(reader, MatmulReader):
        x = np.arange(200 * 5, dtype=np.float32).reshape(200, 5)
    else:
        x = np.arange(5 * 200, dtype=np.float32).reshape(1, 5, 200)
    everything = {tuple(row) for row in by_group(reader, x)[0]}
    some = by_group(reader, x, most=17)[0]
    assert some.shape == (17, 5)
    assert {tuple(row) for row in some} < everything
    np.testing.assert_array_equal(by_group(reader, x, most=17)[0], some)


@pytest.mark.parametrize(
    ("reader", "shape", "indices"),
    [
        (MatmulReader(5, 1, False, ()), (0, 5), None),
        (MatmulReader(5, 1, True, ()), (5, 0), None),
        (MatmulReader(5, 4, False, (4,)), (4, 0, 5), None),
        (MatmulReader(5, 4, False, (None,)), (0, 1, 5), np.zeros(0, np.int32)),
        (ConvolutionReader(1, (3, 3), (1, 1), (1, 1)), (0, 4, 8, 8), None),
        (ConvolutionReader(2, (3,), (2,), (1,)), (0, 4, 8), None),
        (TransposedConvolutionReader(2), (0, 4, 8, 8), None),
    ],
)
def test_a_batch_of_none_has_no_rows(reader, shape, indices) -> None:
    rows = by_group(reader, np.zeros(shape, np.float32), indices)
    columns = {(0, 4, 8, 8): 36, (0, 4, 8): 6}.get(shape, 5)
    if isinstance(reader, TransposedConvolutionReader):
        columns = 2
    assert all(found.shape == (0, columns) for found in rows.values())
