"""kmeans1d's tables, in its own environment: ``kmeans1d_tables.py FOLDER``.

FOLDER has ``weights.npz``: arrays whose names begin with the number of entries and a space.
The centers of the clusters, ascending, come out in ``tables.npz`` under the same names.
"""

import sys
from pathlib import Path

import kmeans1d
import numpy as np

folder = Path(sys.argv[1])
tables = {}
for name, weight in np.load(folder / "weights.npz").items():
    tables[name] = kmeans1d.cluster(weight, int(name.split()[0])).centroids
np.savez(folder / "tables.npz", **tables)
