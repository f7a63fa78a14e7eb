"""A calibration in a file: what is saved is what is loaded; all else is an error."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.calibration.calibration import Calibration, digest
from coreai_opt.calibration.moments import Moments, MomentSums
from coreai_opt.exceptions import CalibrationError


def moments_of(seed: int, groups: int, columns: int, rows: int = 40) -> Moments:
    rng = np.random.default_rng(seed)
    sums = MomentSums(groups, columns)
    for group in range(groups):
        sums.add(group, rng.standard_normal((rows, columns)).astype(np.float32))
    return sums.moments()


@pytest.fixture
def calibration() -> Calibration:
    """Two weights that share their moments, a convolution of two groups, and one without."""
    shared = moments_of(0, 1, 6)
    return Calibration(
        moments={"a": shared, "b": shared, "conv": moments_of(1, 2, 12)},
        channels={"a": 6, "b": 6, "conv": 4},
        digests={"a": "da", "b": "db", "conv": "dc"},
        left={"table": "its rows are looked up"},
        samples=3,
    )


def assert_same(one: Calibration, other: Calibration) -> None:
    assert list(one.moments) == list(other.moments)
    for name, moments in one.moments.items():
        for a, b in zip(moments.matrices, other.moments[name].matrices, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(moments.rows, other.moments[name].rows)
    for attribute in ("channels", "digests", "left", "samples"):
        assert getattr(one, attribute) == getattr(other, attribute)


def test_a_saved_calibration_loads_as_it_was(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "m.calibration"
    calibration.save(path)
    loaded = Calibration.load(path)
    assert_same(calibration, loaded)
    assert loaded.moments["a"] is loaded.moments["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["m.calibration"]


def test_a_file_holds_each_triangle_once(calibration: Calibration, tmp_path: Path) -> None:
    calibration.save(tmp_path / "m")
    with np.load(tmp_path / "m") as arrays:
        assert arrays["columns.0.0"].shape == (1, 21)
        assert arrays["columns.1.0"].shape == (2, 78)
        assert len(arrays.files) == 5


def test_chunks_are_saved_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coreai_opt.calibration.moments.LONGEST_CHUNK", 4)
    moments = moments_of(2, 1, 10)
    calibration = Calibration({"w": moments}, {"w": 10}, {"w": "d"}, {}, 1)
    calibration.save(tmp_path / "m")
    assert_same(calibration, Calibration.load(tmp_path / "m"))


def test_a_failed_save_leaves_what_was_there(
    calibration: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")

    def full(file, **_arrays) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        calibration.save(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 damaged"])
def test_what_is_no_calibration_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(CalibrationError, match="is no calibration"):
        Calibration.load(tmp_path / "m")


def test_other_arrays_are_no_calibration(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with pytest.raises(CalibrationError, match="is no calibration"):
        Calibration.load(tmp_path / "x.npz")


def test_every_cut_of_a_file_is_an_error(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "m"
    calibration.save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(CalibrationError):
            Calibration.load(path)


def _rewrite(path: Path, change) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["calibration.json"].tobytes())
    change(header, arrays)
    arrays["calibration.json"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as out:
        np.savez(out, **arrays)


def test_another_version_says_so(calibration: Calibration, tmp_path: Path) -> None:
    calibration.save(tmp_path / "m")
    _rewrite(tmp_path / "m", lambda header, _: header.update(version=2))
    with pytest.raises(CalibrationError, match="version 2 of calibrations"):
        Calibration.load(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [
        lambda header, arrays: arrays.pop("rows.0"),
        lambda header, arrays: arrays.update({"columns.0.0": np.zeros((1, 20), np.float32)}),
        lambda header, arrays: arrays.update({"columns.0.0": np.zeros((1, 21), np.float64)}),
        lambda header, arrays: header["weights"]["a"].update(moments=7),
        lambda header, arrays: header["weights"]["a"].pop("digest"),
        lambda header, arrays: header.update(left=3),
    ],
)
def test_parts_that_do_not_fit_are_an_error(change, calibration, tmp_path: Path) -> None:
    calibration.save(tmp_path / "m")
    _rewrite(tmp_path / "m", change)
    with pytest.raises(CalibrationError, match="is damaged"):
        Calibration.load(tmp_path / "m")


def test_importance_is_the_mean_diagonal_of_each_channel(calibration: Calibration) -> None:
    importance = calibration.importance()
    np.testing.assert_array_equal(
        importance["a"], calibration.moments["a"].diagonal()[0].astype(np.float32)
    )
    diagonal = calibration.moments["conv"].diagonal().astype(np.float64)
    wanted = diagonal.reshape(2, 4, 3).mean(axis=(0, 2))
    np.testing.assert_allclose(importance["conv"], wanted, rtol=1e-6)
    assert importance["conv"].dtype == np.float32


def test_merging_adds_rows_and_keeps_what_is_shared(calibration: Calibration) -> None:
    other = dataclasses.replace(
        calibration,
        moments={"a": moments_of(3, 1, 6, rows=10), "table": moments_of(4, 1, 2)},
        channels={"a": 6, "table": 2},
        digests={"a": "da", "table": "dt"},
        left={},
        samples=2,
    )
    merged = calibration.merge(other)
    assert merged.moments["a"].rows.tolist() == [50]
    assert merged.moments["b"] is calibration.moments["b"]
    assert merged.samples == 5
    assert merged.left == {}
    twice = calibration.merge(calibration)
    assert twice.moments["a"] is twice.moments["b"]
    np.testing.assert_allclose(
        twice.moments["a"].matrices[0], calibration.moments["a"].matrices[0], rtol=1e-6
    )


def test_calibrations_of_different_programs_do_not_merge(calibration: Calibration) -> None:
    other = dataclasses.replace(calibration, digests={**calibration.digests, "b": "other"})
    with pytest.raises(CalibrationError, match="different programs: b"):
        calibration.merge(other)


def test_a_calibration_tells_another_program(calibration: Calibration) -> None:
    own = dict(calibration.digests)
    calibration.check_belongs_to(own | {"more": "x"})
    calibration.check_belongs_to({"a": "da", "b": "db"}, quantized=["conv"])
    with pytest.raises(CalibrationError, match="has no weight conv"):
        calibration.check_belongs_to({"a": "da", "b": "db"})
    with pytest.raises(CalibrationError, match="a has other values"):
        calibration.check_belongs_to(own | {"a": "changed"})


def test_a_digest_is_of_dtype_shape_and_elements() -> None:
    array = np.random.default_rng(0).standard_normal((300, 100)).astype(np.float32)
    own = digest(array)
    assert digest(array.copy()) == own
    changed = array.copy()
    changed[0, 0] += 1
    others = [changed, array.astype(np.float16), array.reshape(100, 300), array[:-1]]
    assert len({own, *map(digest, others)}) == 5
