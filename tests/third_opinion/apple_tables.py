"""coreai-opt's tables and sparse weights, in its own environment: ``apple_tables.py FOLDER``.

FOLDER has ``model.aimodel`` and ``cases.json``, a list of a function's name and its arguments each;
what becomes of the model in each case comes out as ``<number>.aimodel``.
"""

import json
import sys
from pathlib import Path

from coreai.authoring import AIModelAsset

from coreai_opt import coreai_utils
from coreai_opt.coreai_utils import CompressionGranularity, DType

folder = Path(sys.argv[1])
for number, (function, arguments) in enumerate(json.loads((folder / "cases.json").read_text())):
    for name in ("lut_dtype", "quantize_dtype"):
        if arguments.get(name) is not None:
            arguments[name] = DType(arguments[name])
    if "granularity" in arguments:
        arguments["granularity"] = CompressionGranularity(arguments["granularity"])
    if "n_m_ratio" in arguments:
        arguments["n_m_ratio"] = tuple(arguments["n_m_ratio"])
    program = AIModelAsset.load(folder / "model.aimodel").program
    compressed = getattr(coreai_utils, function)(program, weight_num_threshold=0, **arguments)
    compressed.save_asset(folder / f"{number}.aimodel")
