"""The contenders of the array benchmark, one module each, imported in its own environment.

Each module has ``DISTRIBUTIONS``, the packages whose versions are reported, and
``prepare(case, weight, threads)``, which returns a function that quantizes the weight once and
returns the result in new memory, or None where the library cannot do the case. ``weight`` is what
``weights.make_weight`` gives. Conversions into the library's own array type are left out of the
timing; a result on the way to the stored one is not: what a peer leaves undone (no library but
ours, onnxruntime, mlx and ggml packs codes of 4 bits) counts in its favour.
"""
