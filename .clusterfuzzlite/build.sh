#!/bin/bash
# Build the fuzzer of the C library, and pack what once failed as its seeds.
#
# Takes what OSS-Fuzz's builders set: CC, CFLAGS, LIB_FUZZING_ENGINE (what has main()) and OUT (a
# folder). Runs in the root of the repository; `make fuzz-c` calls it as well.
set -euo pipefail

# Small tiles, so that small weights have several.
# shellcheck disable=SC2086  # flags are words
$CC $CFLAGS -fsanitize=undefined -fno-sanitize-recover=all -D_DEFAULT_SOURCE -DCAQ_TILE_BLOCKS=64 \
    -Icsrc csrc/*.c csrc/*/*.c tests/csrc/fuzz_api.c $LIB_FUZZING_ENGINE -o "$OUT/fuzz_api"

python3 - "$OUT/fuzz_api_seed_corpus.zip" <<'PYTHON'
import sys, zipfile
from pathlib import Path

lines = Path("tests/csrc/fuzz_regressions.txt").read_text().splitlines()
with zipfile.ZipFile(sys.argv[1], "w") as seeds:
    for number, line in enumerate(line for line in lines if not line.startswith("#")):
        seeds.writestr(str(number), bytes.fromhex(line))
PYTHON

printf '[libfuzzer]\nmax_len = 512\nlen_control = 0\n' > "$OUT/fuzz_api.options"
