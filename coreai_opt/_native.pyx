# cython: language_level=3, boundscheck=False, wraparound=False
"""The C kernels, seen from Python: take buffers, release the GIL, make one C call, map the status."""

import math
import os
from bisect import bisect_right
from itertools import accumulate

import numpy as np

from coreai_opt.arrays import memory
from coreai_opt.exceptions import WeightChangedError
from coreai_opt.reference import E8M0, WEIGHT_DTYPES, check_finite
from coreai_opt.reference.blocks import scale_shape, to_rows
from coreai_opt.arrays.threads import in_parallel, say_busy

from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "coreai_quant.h" nogil:
    ctypedef enum caq_source:
        CAQ_F32
    ctypedef enum caq_format:
        CAQ_INT2
    ctypedef enum caq_scheme:
        CAQ_SYMMETRIC
        CAQ_ASYMMETRIC
    ctypedef enum caq_scale:
        CAQ_SCALE_AS_WEIGHT
        CAQ_SCALE_E8M0
    ctypedef enum caq_observer:
        CAQ_MSE
    ctypedef enum caq_level:
        CAQ_PORTABLE
    ctypedef enum caq_status:
        CAQ_OK
        CAQ_BAD_BLOCK_SIZE
        CAQ_NOT_FINITE
    ctypedef struct caq_target:
        caq_source source
        caq_format format
        caq_scheme scheme
        caq_scale scale
        caq_observer observer
        caq_level level
        size_t parts
    ctypedef struct caq_job:
        size_t elements, packed_size, scale_count, scale_size, units, granule
    ctypedef struct caq_format_info:
        uint8_t bits, is_signed, mantissa, bias, emax
        float largest
    ctypedef struct caq_search:
        int pass_ "pass"
        int passes
    ctypedef struct caq_sums:
        pass
    ctypedef struct caq_feedback:
        size_t columns
        const size_t *offsets
        const float *coefficients
        size_t stride
    const size_t SCRATCH_SIZE "CAQ_SCRATCH_SIZE"
    const size_t MSE_SCRATCH_SIZE "CAQ_MSE_SCRATCH_SIZE"
    size_t feedback_scratch_size "CAQ_FEEDBACK_SCRATCH_SIZE"(size_t)
    caq_status caq_job_init(caq_job *, const caq_target *, size_t, const size_t *, const size_t *)
    const char *caq_strerror(caq_status)
    caq_status caq_set_importance(caq_job *, const float *, size_t, size_t)
    caq_status caq_quantize(const caq_job *, size_t, size_t, const void *, uint8_t *, void *,
                            uint8_t *, void *)
    caq_status caq_measure(const caq_job *, size_t, size_t, const void *, int *)
    caq_status caq_scale_blocks(const caq_job *, const int *, void *, uint8_t *, void *)
    caq_status caq_encode(const caq_job *, size_t, size_t, const void *, const void *,
                          const uint8_t *, uint8_t *, void *)
    caq_status caq_search_begin(const caq_job *, const int *, caq_search *, void *)
    void caq_search_part(const caq_job *, const caq_search *, size_t, size_t, const void *,
                         caq_sums *, void *)
    void caq_search_join(caq_sums *, const caq_sums *)
    void caq_search_next(const caq_job *, caq_search *, const caq_sums *)
    void caq_search_end(const caq_job *, const caq_search *, void *, uint8_t *, void *)
    caq_status caq_dequantize(const caq_job *, size_t, size_t, const uint8_t *, const void *,
                              const uint8_t *, caq_source, void *, void *)
    ctypedef struct caq_table_job:
        size_t elements, packed_size, tables, indices, length, scratch_size, index_scratch_size
    ctypedef struct caq_table_target:
        caq_source source
        unsigned bits
        caq_level level
    caq_status caq_table_job_init(caq_table_job *, const caq_table_target *, size_t,
                                  const size_t *, const size_t *)
    caq_status caq_table_set_vectors(caq_table_job *, size_t, size_t)
    caq_status caq_table_set_importance(caq_table_job *, const float *, size_t, size_t)
    caq_status caq_table_fit_scales(const caq_table_job *, size_t, size_t, size_t, const void *,
                                    const float *, float *)
    caq_status caq_find_tables(const caq_table_job *, size_t, size_t, const void *, float *, void *)
    caq_status caq_table_encode(const caq_table_job *, size_t, size_t, const void *, const float *,
                                uint8_t *, void *)
    caq_status caq_table_decode(const caq_table_job *, size_t, size_t, const uint8_t *,
                                const float *, caq_source, void *)
    caq_status caq_round_rows(const caq_job *, const caq_feedback *, const size_t *, size_t,
                              const void *, const void *, const uint8_t *, uint8_t *, void *)
    ctypedef struct caq_differences:
        double noise, largest
        uint64_t[17] histogram
    caq_status caq_sum_squares(caq_source, caq_level, size_t, const void *, double *)
    caq_status caq_compare(caq_source, caq_level, size_t, const void *, const void *, double,
                           caq_differences *)
    caq_status caq_pack(const caq_job *, size_t, size_t, const uint8_t *, uint8_t *)
    int caq_has_level(caq_level)
    caq_format_info caq_describe_format(caq_format)

cdef enum:
    MAX_RANK = 64  # numpy's
    PANEL_ROWS = 64  # that C rounds together
    SLICE = 1 << 24  # products of errors and coefficients that are worth a call for a panel

# In the order of the enums in coreai_quant.h.
_LEVELS = ("portable", "neon", "avx2", "avx512")
_FORMATS = ("int2", "uint2", "int4", "uint4", "int8", "uint8", "fp4_e2m1fn", "fp8_e4m3fn", "fp8_e5m2")
_OBSERVERS = ("minmax", "mse")

LEVEL_VARIABLE = "COREAI_OPT_ISA"
"""Environment variable that caps the instruction set."""

SMALLEST_SHARE = 1 << 20
"""Elements that are worth a thread: below, waking a second processor takes longer than it saves."""

MSE_COST = 16
"""How many times as much work an element is, at the least, when better scales are searched for."""

TABLE_COST = 16
"""How many times as much work an element is, at the least, when tables are searched for."""

WORTH_A_THREAD = 1 << 21
"""Products of errors and coefficients that are worth a thread."""


# Asked once, because a virtual machine takes microseconds to answer. In the order of _LEVELS, in which
# each is better than those before it.
_AVAILABLE = tuple(name for i, name in enumerate(_LEVELS) if caq_has_level(<caq_level><int>i))


def levels():
    """Return the names of the instruction sets that this build and this processor have."""
    return _AVAILABLE


def level():
    """Return the name of the instruction set in use: the best one up to what ``COREAI_OPT_ISA`` says.

    Raises:
        ValueError: the variable names an instruction set that is unknown.
    """
    cap = os.environ.get(LEVEL_VARIABLE)
    if cap and cap not in _LEVELS:
        raise ValueError(f"{LEVEL_VARIABLE} must be one of {', '.join(_LEVELS)}; got {cap!r}")
    allowed = _LEVELS[: _LEVELS.index(cap) + 1] if cap else _LEVELS
    return next(name for name in reversed(_AVAILABLE) if name in allowed)


def describe_format(name):
    """Return C's description of a format as a dict, for the test that compares it to the reference's."""
    return caq_describe_format(<caq_format><int>_FORMATS.index(name))


def quantize(weight, format, *, bint symmetric, block_sizes, bint e8m0_scale,
             observer="minmax", importance=None, size_t num_threads):
    """Quantize as ``reference.quantize`` does, in C.

    Args:
        weight: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        format: the format of the codes.
        symmetric: the scheme.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.
        e8m0_scale: store scales as powers of two.
        observer: how scales are found: ``"minmax"`` or ``"mse"``.
        importance: with ``"mse"``, what each element's squared error counts, float32, finite, >= 0,
            of the weight's rank and along each axis as long as that or 1; None if all count the
            same.
        num_threads: threads to use at the most; small arrays take fewer.

    Returns:
        ``(packed, scale, zero_point)`` as the reference returns them, byte for byte.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
        WeightChangedError: there was a NaN or infinity in the weight, but there is no more.
    """
    shape = scale_shape(weight.shape, block_sizes)
    cdef caq_job job
    cdef caq_observer found_by = <caq_observer><int>_OBSERVERS.index(observer)
    cdef size_t work_size = weight.size * (MSE_COST if found_by == CAQ_MSE else 1)
    cdef size_t threads = _shares(work_size, num_threads)
    _prepare(&job, weight.shape, weight.dtype, format, symmetric, block_sizes, e8m0_scale, observer,
             threads)
    # One piece of memory for what is kept: large pieces come in large pages, which costs less.
    cdef size_t alignment = memory.ALIGNMENT
    cdef size_t behind = (job.packed_size + alignment - 1) // alignment * alignment
    kept = memory.empty(behind + job.scale_count * job.scale_size, np.uint8)
    packed, scale = kept[: job.packed_size], kept[behind:]
    zero_point = np.empty(job.scale_count, np.uint8)
    work = _Work(weight.reshape(-1).view(np.uint8), packed, scale, zero_point)
    work.job = job
    if importance is not None:
        work.weigh(*_repeated(importance, weight.shape))
    work.scratch_size = MSE_SCRATCH_SIZE if found_by == CAQ_MSE else SCRATCH_SIZE
    status = work.run(threads)
    if status == CAQ_NOT_FINITE:
        check_finite(weight)
        raise WeightChangedError()
    assert status == CAQ_OK, status
    scale_dtype = E8M0 if e8m0_scale else weight.dtype
    return (
        packed,
        scale.view(scale_dtype).reshape(shape),
        zero_point.view(format.code_dtype).reshape(shape),
    )


def _repeated(importance, shape):
    """Return ``(values, repeat)``: element e of the weight has values[e // repeat % len(values)]."""
    varying = [axis for axis, n in enumerate(importance.shape) if n > 1] or [0]
    axes = slice(min(varying), max(varying) + 1)
    spanned = importance.reshape(importance.shape[axes])
    if len(varying) > 1:
        spanned = np.broadcast_to(spanned, shape[axes])
    return np.ascontiguousarray(spanned).reshape(-1), math.prod(shape[axes.stop :])


def encode(weight, scale, zero_point, format, *, bint symmetric, observer, size_t num_threads):
    """Encode as ``reference.encode`` does, in C.

    Args:
        weight: C-contiguous array in native byte order, not empty, finite, float32, float16 or
            bfloat16.
        scale, zero_point: C-contiguous, as ``quantize`` returns them, of one element per block.
        format: the format of the codes.
        symmetric: the scheme.
        observer: ``"minmax"`` or ``"mse"``, whose codes may be used.
        num_threads: threads to use at the most; small arrays take fewer.

    Returns:
        the packed codes, byte for byte those of the reference.
    """
    sizes = [n // blocks for n, blocks in zip(weight.shape, scale.shape, strict=True)]
    work = _Encoding(*(part.reshape(-1).view(np.uint8) for part in (weight, scale, zero_point)))
    _prepare(&work.job, weight.shape, weight.dtype, format, symmetric, sizes, scale.dtype == E8M0,
             observer, 1)
    packed = memory.empty(work.job.packed_size, np.uint8)
    work.packed = packed
    in_parallel(work.encode, _bounds(work.job.elements, num_threads))
    return packed


cdef class _Encoding:
    """One array to be encoded with given scales and its buffers, shared by the threads that do it."""

    cdef caq_job job
    cdef const uint8_t[::1] weight, scale, zero_point
    cdef uint8_t[::1] packed

    def __init__(self, const uint8_t[::1] weight, const uint8_t[::1] scale,
                 const uint8_t[::1] zero_point):
        self.weight, self.scale, self.zero_point = weight, scale, zero_point

    cpdef int encode(self, size_t first, size_t end) except -1:
        """Encode the elements first .. end - 1 without the GIL."""
        cdef uint8_t[::1] scratch = np.empty(MSE_SCRATCH_SIZE, np.uint8)
        cdef size_t start = first * (<size_t>self.weight.shape[0] // self.job.elements)
        cdef caq_status status
        with nogil:
            status = caq_encode(&self.job, first, end - first, &self.weight[start], &self.scale[0],
                                &self.zero_point[0], &self.packed[0], &scratch[0])
        assert status == CAQ_OK, status
        return status


def dequantize(packed, scale, zero_point, format, out, *, size_t num_threads):
    """Decode as ``reference.dequantize`` does, in C, into ``out``.

    Args:
        packed, scale, zero_point: C-contiguous arrays in native byte order, as ``quantize`` returns
            them: of sizes, shapes and dtypes that fit ``out`` and ``format``.
        format: the format of the codes.
        out: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    e8m0_scale = scale.dtype == E8M0
    sizes = [n // blocks for n, blocks in zip(out.shape, scale.shape, strict=True)]
    work = _Decoding(*(part.reshape(-1).view(np.uint8) for part in (packed, scale, zero_point, out)))
    _prepare(&work.job, out.shape, out.dtype if e8m0_scale else scale.dtype, format, True, sizes,
             e8m0_scale, "minmax", 1)
    work.target = <caq_source><int>WEIGHT_DTYPES.index(out.dtype)
    in_parallel(work.decode, _bounds(work.job.elements, num_threads))


cdef class _Decoding:
    """One array to be decoded and its buffers, shared by the threads that do it."""

    cdef caq_job job
    cdef caq_source target
    cdef const uint8_t[::1] packed, scale, zero_point
    cdef uint8_t[::1] out

    def __init__(self, const uint8_t[::1] packed, const uint8_t[::1] scale,
                 const uint8_t[::1] zero_point, uint8_t[::1] out):
        self.packed, self.scale, self.zero_point, self.out = packed, scale, zero_point, out

    cpdef int decode(self, size_t first, size_t end) except -1:
        """Decode the elements first .. end - 1 without the GIL."""
        cdef uint8_t[::1] scratch = np.empty(SCRATCH_SIZE, np.uint8)
        cdef size_t start = first * (<size_t>self.out.shape[0] // self.job.elements)
        cdef caq_status status
        with nogil:
            status = caq_dequantize(&self.job, first, end - first, &self.packed[0], &self.scale[0],
                                    &self.zero_point[0], self.target, &self.out[start], &scratch[0])
        assert status == CAQ_OK, status
        return status


cdef int _prepare(caq_job *job, weight_shape, dtype, format, bint symmetric, block_sizes,
                  bint e8m0_scale, observer, size_t threads) except -1:
    cdef size_t[MAX_RANK] shape
    cdef size_t[MAX_RANK] sizes
    cdef Py_ssize_t rank = len(weight_shape), axis
    for axis in range(rank):
        shape[axis] = weight_shape[axis]
        sizes[axis] = block_sizes[axis]
    cdef caq_target target
    target.source = <caq_source><int>WEIGHT_DTYPES.index(dtype)
    target.format = <caq_format><int>_FORMATS.index(format.name)
    target.scheme = CAQ_SYMMETRIC if symmetric else CAQ_ASYMMETRIC
    target.scale = CAQ_SCALE_E8M0 if e8m0_scale else CAQ_SCALE_AS_WEIGHT
    target.observer = <caq_observer><int>_OBSERVERS.index(observer)
    target.level = <caq_level><int>_LEVELS.index(level())
    target.parts = threads
    cdef caq_status status = caq_job_init(job, &target, <size_t>rank, shape, sizes)
    if status == CAQ_BAD_BLOCK_SIZE:
        raise ValueError(f"block_sizes {block_sizes} do not fit the shape {weight_shape}")
    if status != CAQ_OK:
        raise ValueError(caq_strerror(status).decode())
    return 0


cdef class _Work:
    """One array's work and its buffers, shared by the threads that do it."""

    cdef caq_job job
    cdef caq_search search
    cdef size_t scratch_size
    cdef const uint8_t[::1] weight
    cdef const float[::1] importance
    cdef uint8_t[::1] packed, scale, zero_point

    def __init__(self, const uint8_t[::1] weight, uint8_t[::1] packed, uint8_t[::1] scale,
                 uint8_t[::1] zero_point):
        self.weight, self.packed, self.scale, self.zero_point = weight, packed, scale, zero_point

    def weigh(self, const float[::1] importance, size_t repeat):
        """Let squared errors count as :func:`_repeated` says."""
        self.importance = importance
        status = caq_set_importance(&self.job, &importance[0], importance.shape[0], repeat)
        assert status == CAQ_OK, status

    cdef int run(self, size_t threads) except -1:
        """Do it all, in at most ``threads`` threads, and return the worst status."""
        cdef size_t granules = (self.job.units + self.job.granule - 1) // self.job.granule
        if threads > 1 and self.job.scale_count == 1:
            return self.run_single_scale(threads)
        threads = min(threads, granules)
        if threads <= 1:
            say_busy()
            return self.quantize(0, self.job.units)
        bounds = [granules * i // threads * self.job.granule for i in range(threads)]
        return max(in_parallel(self.quantize, [*bounds, self.job.units]))

    cdef int run_single_scale(self, size_t threads) except -1:
        """Quantize a tensor with one scale, which needs the extents that all threads measure."""
        starts = {self.job.elements * i // threads // 8 * 8 for i in range(threads)}
        bounds = [*sorted(starts), self.job.elements]
        cdef int[::1] extents = np.maximum.reduce(in_parallel(self.measure, bounds))
        cdef uint8_t[::1] scratch = np.empty(self.scratch_size, np.uint8)
        cdef caq_status status
        if self.scratch_size == MSE_SCRATCH_SIZE:
            status = self.run_search(extents, bounds, scratch)
        else:
            status = caq_scale_blocks(&self.job, &extents[0], &self.scale[0], &self.zero_point[0],
                                      &scratch[0])
        return status if status != CAQ_OK else max(in_parallel(self.encode, bounds))

    cdef caq_status run_search(self, int[::1] extents, list bounds, uint8_t[::1] scratch) except *:
        """Look for a better scale, pass by pass."""
        cdef uint8_t[::1] sums
        cdef caq_status status = caq_search_begin(&self.job, &extents[0], &self.search, &scratch[0])
        while status == CAQ_OK and self.search.pass_ < self.search.passes:
            parts = in_parallel(self.search_part, bounds)
            sums = parts[0]
            for part in parts[1:]:
                self.join(sums, part)
            caq_search_next(&self.job, &self.search, <const caq_sums *>&sums[0])
        if status == CAQ_OK:
            caq_search_end(&self.job, &self.search, &self.scale[0], &self.zero_point[0], &scratch[0])
        return status

    cdef void join(self, uint8_t[::1] sums, const uint8_t[::1] more):
        caq_search_join(<caq_sums *>&sums[0], <const caq_sums *>&more[0])

    cpdef search_part(self, size_t first, size_t end):
        """Pass over the elements first .. end - 1 without the GIL and return their sums."""
        cdef uint8_t[::1] scratch = np.empty(self.scratch_size, np.uint8)
        cdef uint8_t[::1] sums = np.empty(sizeof(caq_sums), np.uint8)
        with nogil:
            caq_search_part(&self.job, &self.search, first, end - first, self.element(first),
                            <caq_sums *>&sums[0], &scratch[0])
        return sums

    cpdef int quantize(self, size_t first, size_t end) except -1:
        """Do the units first .. end - 1 without the GIL."""
        cdef uint8_t[::1] scratch = np.empty(self.scratch_size, np.uint8)
        cdef caq_status status
        with nogil:
            status = caq_quantize(&self.job, first, end - first, &self.weight[0], &self.packed[0],
                                  &self.scale[0], &self.zero_point[0], &scratch[0])
        return status

    cpdef measure(self, size_t first, size_t end):
        """Return the extents of the elements first .. end - 1, measured without the GIL."""
        found = np.zeros(2, np.int32)
        cdef int[::1] extents = found
        with nogil:
            caq_measure(&self.job, first, end - first, self.element(first), &extents[0])
        return found

    cpdef int encode(self, size_t first, size_t end) except -1:
        """Encode the elements first .. end - 1 without the GIL."""
        cdef uint8_t[::1] scratch = np.empty(self.scratch_size, np.uint8)
        cdef caq_status status
        with nogil:
            status = caq_encode(&self.job, first, end - first, self.element(first), &self.scale[0],
                                &self.zero_point[0], &self.packed[0], &scratch[0])
        return status

    cdef const uint8_t *element(self, size_t index) noexcept nogil:
        return &self.weight[index * (<size_t>self.weight.shape[0] // self.job.elements)]


def find_tables(weight, unsigned bits, block_sizes, *, cluster=None, importance=None,
                size_t num_threads):
    """Find tables as ``reference.tables.find_tables`` does, or with a cluster as
    ``reference.table_vectors.find_tables`` does, in C.

    Args:
        weight: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        bits: of an index: 1, 2, 3, 4, 6 or 8.
        block_sizes: a block's length along each axis; 0 stands for the whole axis. Blocks are
            shorter than the axis along one axis at the most, or along some that follow each other
            if they have one index along all but the last of these.
        cluster: as the reference has it, or None.
        importance: as the reference has it, C-contiguous, or None.
        num_threads: threads to use at the most; small arrays take fewer.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
        WeightChangedError: there was a NaN or infinity in the weight, but there is no more.
    """
    shape = scale_shape(weight.shape, block_sizes)
    vector = () if cluster is None else (cluster.length,)
    tables = np.empty((*shape, 1 << bits, *vector), np.float32)
    work = _TableWork(weight, bits, block_sizes, tables, cluster)
    if importance is not None:
        work.weigh(*_repeated(importance, weight.shape))
    if work.find(num_threads) == CAQ_NOT_FINITE:
        check_finite(weight)
        raise WeightChangedError()
    return tables.astype(weight.dtype)


def fit_scales(weight, tables, blocks, *, importance=None, size_t num_threads):
    """Find scales as ``reference.table_scales.fit_scales`` does, in C.

    Args:
        weight: as for :func:`find_tables`, finite.
        tables: float32, for such blocks as :func:`find_tables` has.
        blocks: how many blocks share a scale along each axis, of which each lies within a table's.
        importance: as for :func:`find_tables`.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    rows = to_rows(weight, blocks)
    # Blocks in C order as an array in which each is a row along the last axis.
    *outer, _ = blocks
    shape = (*outer, weight.size // math.prod(outer))
    scales = np.empty(math.prod(blocks), np.float32)
    work = _table_work(rows.reshape(shape), tables, None)
    if importance is not None:
        # Where elements have been moved, so are these.
        if not (rows.flags.c_contiguous and np.may_share_memory(rows, weight)):
            importance = to_rows(np.broadcast_to(importance, weight.shape), blocks).reshape(shape)
            work.weigh(*_repeated(importance, shape))
        else:
            work.weigh(*_repeated(importance, weight.shape))
    work.fit(scales, num_threads)
    return scales.astype(weight.dtype).reshape(blocks)


def encode_table(weight, tables, *, cluster=None, size_t num_threads):
    """Find indices as ``reference.tables.encode`` does, or with a cluster as
    ``reference.table_vectors.encode`` does, in C, for such blocks as :func:`find_tables` has.

    Args:
        weight: as for :func:`find_tables`, finite.
        tables: one for each block, ascending unless it is one of vectors.
        cluster: as the reference has it, or None.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    return _table_work(weight, tables, cluster).encode(num_threads)


def decode_table(packed, tables, out, *, cluster=None, size_t num_threads):
    """Decode as ``reference.tables.decode`` does, or with a cluster as
    ``reference.table_vectors.decode`` does, in C, into ``out``.

    Args:
        packed: C-contiguous array of packed indices.
        tables: one for each block.
        out: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        cluster: as the reference has it, or None.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    _table_work(out, tables, cluster).decode(packed, out, num_threads)


def _table_work(weight, tables, cluster):
    blocks = tables.shape[:weight.ndim]
    sizes = [n // count for n, count in zip(weight.shape, blocks, strict=True)]
    bits = tables.shape[weight.ndim].bit_length() - 1
    return _TableWork(weight, bits, sizes, np.ascontiguousarray(tables, np.float32), cluster)


cdef class _TableWork:
    """One array's look-up tables, shared by the threads that work on them."""

    cdef caq_table_job job
    cdef caq_source target
    cdef const uint8_t[::1] weight, stored
    cdef uint8_t[::1] packed, out
    cdef float[::1] tables, scales
    cdef const float[::1] importance
    cdef size_t size

    def __init__(self, weight, unsigned bits, block_sizes, tables, cluster=None):
        cdef size_t[MAX_RANK] shape
        cdef size_t[MAX_RANK] sizes
        cdef size_t length, size, rank = 0
        for length, size in zip(weight.shape, block_sizes, strict=True):
            # An axis with a block for each index, and a cut one behind it, are one.
            if rank and sizes[rank - 1] == 1 < shape[rank - 1] and 0 < size < length:
                shape[rank - 1] *= length
                sizes[rank - 1] = size
            elif length > 1 or rank == 0:
                shape[rank] = length
                sizes[rank] = size
                rank += 1
        cdef caq_table_target target
        target.source = <caq_source><int>WEIGHT_DTYPES.index(weight.dtype)
        target.bits = bits
        target.level = <caq_level><int>_LEVELS.index(level())
        status = caq_table_job_init(&self.job, &target, rank, shape, sizes)
        if status == CAQ_BAD_BLOCK_SIZE:
            raise ValueError(f"block_sizes {block_sizes} do not fit the shape {weight.shape}")
        if status != CAQ_OK:
            raise ValueError(caq_strerror(status).decode())
        if cluster is not None:
            between = math.prod(weight.shape[cluster.axis + 1:])
            status = caq_table_set_vectors(&self.job, cluster.length, between)
            if status != CAQ_OK:
                raise ValueError(f"{cluster} does not fit the blocks {block_sizes} of the shape "
                                 f"{weight.shape}")
        self.weight = weight.reshape(-1).view(np.uint8)
        self.tables = tables.reshape(-1)
        self.size = weight.itemsize

    def weigh(self, const float[::1] importance, size_t repeat):
        """Give elements an importance, see ``caq_table_set_importance``."""
        self.importance = importance
        status = caq_table_set_importance(&self.job, &importance[0], importance.shape[0], repeat)
        assert status == CAQ_OK, status

    def find(self, size_t num_threads):
        """Find all tables and return the worst status."""
        cdef size_t i, threads = _shares(self.job.elements * TABLE_COST, num_threads)
        threads = min(threads, self.job.tables)
        return max(in_parallel(
            self.find_some, [self.job.tables * i // threads for i in range(threads + 1)]))

    cpdef int find_some(self, size_t first, size_t end) except -1:
        """Find the tables first .. end - 1 without the GIL."""
        cdef uint64_t[::1] scratch = np.empty((self.job.scratch_size + 7) // 8, np.uint64)
        cdef caq_status status
        with nogil:
            status = caq_find_tables(&self.job, first, end - first, &self.weight[0],
                                     &self.tables[0], &scratch[0])
        return status

    def fit(self, scales, size_t num_threads):
        """Find all scales."""
        cdef size_t i, count = scales.size
        cdef size_t threads = min(count, _shares(self.job.elements * TABLE_COST, num_threads))
        self.scales = scales
        in_parallel(self.fit_some, [count * i // threads for i in range(threads + 1)])

    cpdef int fit_some(self, size_t first, size_t end) except -1:
        """Find the scales first .. end - 1 without the GIL."""
        cdef size_t length = self.job.elements // <size_t>self.scales.shape[0]
        cdef caq_status status
        with nogil:
            status = caq_table_fit_scales(&self.job, length, first, end - first, &self.weight[0],
                                          &self.tables[0], &self.scales[0])
        assert status == CAQ_OK, status
        return status

    def encode(self, size_t num_threads):
        """Find and return all indices, packed."""
        packed = memory.empty(self.job.packed_size, np.uint8)
        self.packed = packed
        in_parallel(self.encode_some, _bounds(self.job.indices, num_threads))
        return packed

    cpdef int encode_some(self, size_t first, size_t end) except -1:
        """Find the indices first .. end - 1 without the GIL."""
        cdef float[::1] scratch = np.empty((self.job.index_scratch_size + 3) // 4, np.float32)
        cdef caq_status status
        with nogil:
            status = caq_table_encode(&self.job, first, end - first, &self.weight[0],
                                      &self.tables[0], &self.packed[0], &scratch[0])
        assert status == CAQ_OK, status
        return status

    def decode(self, packed, out, size_t num_threads):
        """Decode into ``out``."""
        self.stored = packed
        self.out = out.reshape(-1).view(np.uint8)
        self.target = <caq_source><int>WEIGHT_DTYPES.index(out.dtype)
        in_parallel(self.decode_some, _bounds(self.job.indices, num_threads))

    cpdef int decode_some(self, size_t first, size_t end) except -1:
        """Decode the indices first .. end - 1 without the GIL."""
        cdef size_t start = first * self.size if self.job.length == 1 else 0
        cdef caq_status status
        with nogil:
            status = caq_table_decode(&self.job, first, end - first, &self.stored[0],
                                      &self.tables[0], self.target, &self.out[start])
        assert status == CAQ_OK, status
        return status


def sum_squares(numbers):
    """Add up squares as ``reference.errors.sum_squares`` does, in C.

    Args:
        numbers: flat C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
    """
    cdef const uint8_t[::1] bytes = numbers.view(np.uint8)
    cdef caq_source source = <caq_source><int>WEIGHT_DTYPES.index(numbers.dtype)
    cdef caq_level level_of = <caq_level><int>_LEVELS.index(level())
    cdef size_t count = numbers.size
    cdef double total
    cdef caq_status status
    with nogil:
        status = caq_sum_squares(source, level_of, count, &bytes[0], &total)
    assert status == CAQ_OK or status == CAQ_NOT_FINITE, status
    return total


def compare(weight, decoded, double mean_square):
    """Compare as ``reference.errors.compare`` does, in C, and return noise, largest and histogram.

    Args:
        weight, decoded: flat C-contiguous arrays in native byte order, of one size and dtype, not
            empty, float32, float16 or bfloat16.
        mean_square: what squared errors are divided by; above 0.
    """
    cdef const uint8_t[::1] bytes = weight.view(np.uint8)
    cdef const uint8_t[::1] decoded_bytes = decoded.view(np.uint8)
    cdef caq_source source = <caq_source><int>WEIGHT_DTYPES.index(weight.dtype)
    cdef caq_level level_of = <caq_level><int>_LEVELS.index(level())
    cdef size_t count = weight.size
    cdef caq_differences found
    cdef caq_status status
    with nogil:
        status = caq_compare(source, level_of, count, &bytes[0], &decoded_bytes[0], mean_square,
                             &found)
    assert status == CAQ_OK or status == CAQ_NOT_FINITE, status
    return found.noise, found.largest, tuple(found.histogram)


cdef size_t _shares(size_t work, size_t num_threads):
    """How many threads to share the work of so many elements."""
    return max(1, min(num_threads, work // <size_t>SMALLEST_SHARE))


cdef list _bounds(size_t elements, size_t num_threads):
    """Where the parts of an array begin, each at a byte of its own whatever its bits, and its end."""
    cdef size_t i, threads = _shares(elements, num_threads)
    return [elements * i // threads // 8 * 8 for i in range(threads)] + [elements]


def encode_with_feedback(weight, scale, zero_point, format, *, bint symmetric, observer, parts,
                         size_t num_threads):
    """Round with feedback as ``reference.encode_with_feedback`` does, in C, and pack the codes.

    Args:
        weight: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        scale, zero_point: C-contiguous, as ``quantize`` returns them for the weight, ``format``,
            ``symmetric`` and ``observer``.
        format: the format of the codes.
        symmetric, observer: say which codes there are.
        parts: what is rounded by itself, each a ``reference.Part`` of C-contiguous arrays; together
            all elements, each once.
        num_threads: threads to use at the most; small arrays take fewer.

    Returns:
        the packed codes.
    """
    blocks = [n // blocks for n, blocks in zip(weight.shape, scale.shape, strict=True)]
    codes = memory.empty(weight.size, np.uint8)
    flat = (array.reshape(-1).view(np.uint8) for array in (weight, scale, zero_point))
    work = _Rounding(*flat, codes, parts)
    _prepare(&work.job, weight.shape, weight.dtype, format, symmetric, blocks, scale.dtype == E8M0,
             observer, 1)
    cdef size_t panels = work.starts[len(work.parts)]
    cdef size_t multiplications = sum(len(rows) * len(columns) ** 2 // 2 for rows, columns, _ in parts)
    cdef size_t threads = max(1, min(num_threads, panels, multiplications // <size_t>WORTH_A_THREAD))
    in_parallel(work.round, [panels * i // threads for i in range(threads + 1)])
    if work.job.packed_size == work.job.elements:
        return codes
    packed = memory.empty(work.job.packed_size, np.uint8)
    work.pack(packed)
    return packed


cdef class _Rounding:
    """One array to be rounded with feedback and its buffers, shared by the threads that do it.

    Panels are numbered through all parts.
    """

    cdef caq_job job
    cdef const uint8_t[::1] weight, scale, zero_point
    cdef uint8_t[::1] codes
    cdef list parts, starts

    def __init__(self, const uint8_t[::1] weight, const uint8_t[::1] scale,
                 const uint8_t[::1] zero_point, uint8_t[::1] codes, parts):
        self.weight, self.scale, self.zero_point, self.codes = weight, scale, zero_point, codes
        self.parts = list(parts)
        sizes = (-(-len(rows) // PANEL_ROWS) for rows, _, _ in self.parts)
        self.starts = list(accumulate(sizes, initial=0))

    def round(self, size_t first, size_t end):
        """Round the panels first .. end - 1."""
        part = bisect_right(self.starts, first) - 1
        while first < end:
            last = min(end, self.starts[part + 1])
            rows, columns, coefficients = self.parts[part]
            start = self.starts[part]
            own = rows[(first - start) * PANEL_ROWS : (last - start) * PANEL_ROWS]
            self.round_rows(own, columns, coefficients)
            first, part = last, part + 1

    cdef int round_rows(self, const size_t[::1] rows, const size_t[::1] columns,
                        const float[:, ::1] coefficients) except -1:
        """Round rows of a part without the GIL, some at a time: Ctrl-C comes in between."""
        cdef caq_feedback feedback
        cdef caq_status status = CAQ_OK
        cdef size_t first = 0, some, count = rows.shape[0], k = columns.shape[0]
        cdef size_t step = PANEL_ROWS * max(1, SLICE // (k * k))
        cdef uint8_t[::1] scratch = np.empty(feedback_scratch_size(k), np.uint8)
        feedback = caq_feedback(k, &columns[0], &coefficients[0, 0], k)
        while first < count:
            some = min(step, count - first)
            with nogil:
                status = caq_round_rows(&self.job, &feedback, &rows[first], some, &self.weight[0],
                                        &self.scale[0], &self.zero_point[0], &self.codes[0],
                                        &scratch[0])
            assert status == CAQ_OK, status
            PyErr_CheckSignals()
            first += some
        return 0

    cdef int pack(self, uint8_t[::1] packed) except -1:
        cdef caq_status status
        with nogil:
            status = caq_pack(&self.job, 0, self.job.elements, &self.codes[0], &packed[0])
        assert status == CAQ_OK, status
        return 0
