"""Mutants of arrays: backends, threads, the native module, measured errors."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "_Work.run",
        (
            "thread-bounds",
            "granules * i // threads * self.job.granule",
            "self.job.units * i // threads",
            "threads write bytes of their own",
        ),
        (
            "busy-alone",
            "            say_busy()\n",
            "",
            "quantizing in one thread says that it is busy",
        ),
    ),
    *mutants(
        "_Work.run_single_scale",
        (
            "thread-extents",
            "np.maximum.reduce(in_parallel(self.measure, bounds))",
            "in_parallel(self.measure, bounds)[0]",
            "threads that share a scale share their extents",
        ),
    ),
    *mutants(
        "_native:quantize",
        (
            "status-ignored",
            "status == CAQ_NOT_FINITE",
            "status == CAQ_BAD_LEVEL",
            "a weight that is not finite is an error that says where",
        ),
    ),
    *mutants(
        "_parse_weight",
        (
            "not-contiguous",
            "np.ascontiguousarray(weight, dtype=native)",
            "np.asarray(weight, dtype=native)",
            "an array may lie in memory in any way",
        ),
    ),
    *mutants(
        "_compare.differs",
        (
            "validate-by-value",
            "np.ascontiguousarray(got).view(np.uint8) != np.ascontiguousarray(want).view(np.uint8)",
            "(got != want).repeat(got.itemsize)",
            "the validator compares bytes",
        ),
    ),
    *mutants(
        "measure_error.mean_square",
        (
            "error-squares",
            "mean_square = signal / flat.size or",
            "mean_square = signal or",
            "errors are relative to the root of the mean square",
        ),
    ),
    *mutants(
        "_HISTOGRAM_EDGES",
        (
            "error-edges",
            "*range(1023 - 30, 1024, 2)",
            "*range(1023 - 30 + 1, 1025, 2)",
            "histograms have an edge at each power of two of the error, not of its square",
        ),
    ),
    *mutants(
        "_runs",
        (
            "error-blocks",
            "if scales > 1 else slice(None)",
            "if scales < 0 else slice(None)",
            "runs of rows are decoded with the scales of their rows",
        ),
    ),
    *mutants(
        "_runs.step",
        (
            "error-bytes",
            "step = math.lcm(block, 8 // math.gcd(8, bits))",
            "step = block",
            "runs of rows begin at a byte",
        ),
    ),
    *mutants(
        "sqnr_db",
        (
            "sqnr-sides",
            "np.sum(signal**2) / noise",
            "np.sum(np.asarray(approximation, np.float64) ** 2) / noise",
            "the signal of an SQNR is the reference",
        ),
    ),
    *mutants(
        "check_quality.low",
        (
            "quality-nan",
            "if not c.sqnr_db >= min_sqnr_db",
            "if c.sqnr_db < min_sqnr_db",
            "an output whose SQNR is NaN has too little",
        ),
    ),
    *mutants(
        "_top1",
        (
            "top-1-axis",
            "r.argmax(-1) == y.argmax(-1)",
            "r.argmax(0) == y.argmax(0)",
            "top-1 is along the last axis",
        ),
    ),
    *mutants(
        "in_parallel",
        (
            "unjoined",
            "for task in tasks:\n            task.join()",
            "pass",
            "all parts have ended when one fails",
        ),
        (
            "busy-parts",
            "say_busy(tasks)",
            "say_busy()",
            "a call is busy when all its parts are",
        ),
    ),
    *mutants(
        "threads:_run",
        (
            "busy-early",
            "_this_thread.task = task",
            "task.mark_busy()",
            "a call is busy when it needs the interpreter no more",
        ),
    ),
    *mutants(
        "_Pool._serve",
        (
            "task-kept",
            "del task  #",
            "#",
            "threads that wait keep nothing of the last call",
        ),
    ),
)
