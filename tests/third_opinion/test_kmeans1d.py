"""Tables leave no more error than kmeans1d's, which are exact.

kmeans1d lives in an environment of its own, which ``make third-opinion`` makes.
"""

import os
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from coreai_opt import palettize_array

from ..support.clusters import error_of
from ..support.distributions import DISTRIBUTIONS
from ..support.optimum import crepe
from ..support.programs import Array

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PYTHON = runpy.run_path(str(BENCHMARKS / "environments.py"))["python_of"]("kmeans1d")
BITS = (1, 2, 3, 4, 6, 8)


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    """Numbers of distributions and of a real network, by the entries of their table and a name."""
    found = {}
    for number in range(120):
        name = list(DISTRIBUTIONS)[number % len(DISTRIBUTIONS)]
        drawn = DISTRIBUTIONS[name](np.random.default_rng(number), 400 + 50 * number)
        found[f"{1 << BITS[number % 6]} {name} {number}"] = drawn.astype(np.float32)
    parts = crepe(1 << 20).astype(np.float32).reshape(-1, 1024)
    for number, part in enumerate(parts[:90]):
        found[f"{1 << BITS[number % 6]} crepe {number}"] = part
    return found


@pytest.fixture(scope="module")
def theirs(weights: dict[str, Array], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of kmeans1d's tables."""
    if not PYTHON.exists():
        pytest.skip("kmeans1d is not there: make third-opinion installs it")
    folder = tmp_path_factory.mktemp("kmeans1d")
    np.savez(folder / "weights.npz", **weights)
    script = Path(__file__).with_name("kmeans1d_tables.py")
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    subprocess.run([PYTHON, script, folder], check=True, env=environment)
    return folder / "tables.npz"


def test_no_table_leaves_more_error(weights: dict[str, Array], theirs: Path) -> None:
    assert len(weights) >= 200
    for name, table in np.load(theirs).items():
        weight = weights[name]
        found = palettize_array(weight, int(name.split()[0]).bit_length() - 1).table
        ours, least = error_of(weight, found), error_of(weight, table)
        # Sums of reals in float64, of which both have some error; an exact table's may be zero.
        rounding = 1e-14 * float(np.square(weight, dtype=np.float64).sum())
        assert ours <= least * (1 + 1e-6) + rounding, name
