"""coreai-opt's answers, in its own environment: ``PYTHONPATH=benchmarks python apple.py FOLDER``.

FOLDER has ``weight.npy`` and ``cases.json``, a list of benchmark cases; each case's codes,
scales and zero points (none for symmetric INT) come out as ``<number>.npz``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from cases import Case
from contenders.coreai_opt_apple import prepare

folder = Path(sys.argv[1])
weight = np.load(folder / "weight.npy")
for number, text in enumerate(json.loads((folder / "cases.json").read_text())):
    run = prepare(Case.from_json(text), weight, threads=1)
    assert run is not None
    codes, scale, zero_point = run()
    zeros = np.zeros(scale.shape) if zero_point is None else zero_point
    arrays = {"codes": codes.astype(int), "scale": scale, "zero_point": zeros.astype(int)}
    np.savez(folder / f"{number}.npz", **arrays)
