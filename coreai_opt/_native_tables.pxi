"""Look-up tables; part of _native.pyx."""

from libc.stdint cimport uint64_t

cdef extern from "coreai_quant.h" nogil:
    ctypedef struct caq_table_job:
        size_t elements, packed_size, tables, entries, scratch_size, index_scratch_size
    caq_status caq_table_job_init(caq_table_job *, caq_source, unsigned, size_t, const size_t *,
                                  const size_t *, caq_level)
    caq_status caq_find_tables(const caq_table_job *, size_t, size_t, const void *, float *, void *)
    caq_status caq_table_encode(const caq_table_job *, size_t, size_t, const void *, const float *,
                                uint8_t *, void *)
    caq_status caq_table_decode(const caq_table_job *, size_t, size_t, const uint8_t *,
                                const float *, caq_source, void *)


def find_tables(weight, unsigned bits, block_sizes, *, size_t num_threads):
    """Find tables as ``reference.tables.find_tables`` does, in C.

    Args:
        weight: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        bits: of an index: 1, 2, 3, 4, 6 or 8.
        block_sizes: a block's length along each axis; 0 stands for the whole axis. Blocks are
            shorter than the axis along one axis at the most.
        num_threads: threads to use at the most; small arrays take fewer.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
        RuntimeError: there was a NaN or infinity in the weight, but there is no more.
    """
    shape = scale_shape(weight.shape, block_sizes)
    tables = np.empty((*shape, 1 << bits), np.float32)
    work = _TableWork(weight, bits, block_sizes, tables)
    if work.find(num_threads) == CAQ_NOT_FINITE:
        check_finite(weight)
        raise RuntimeError("weight was changed, by another thread, while it was palettized")
    return tables.astype(weight.dtype)


def encode_table(weight, tables, *, size_t num_threads):
    """Find indices as ``reference.tables.encode`` does, in C, for such blocks as
    :func:`find_tables` has.

    Args:
        weight: as for :func:`find_tables`, finite.
        tables: one for each block, ascending.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    *blocks, entries = tables.shape
    sizes = [n // count for n, count in zip(weight.shape, blocks, strict=True)]
    work = _TableWork(weight, entries.bit_length() - 1, sizes,
                      np.ascontiguousarray(tables, np.float32))
    return work.encode(weight.size, num_threads)


def decode_table(packed, tables, out, *, size_t num_threads):
    """Decode as ``reference.tables.decode`` does, in C, into ``out``.

    Args:
        packed: C-contiguous array of packed indices.
        tables: one for each block.
        out: C-contiguous array in native byte order, not empty, float32, float16 or bfloat16.
        num_threads: threads to use at the most; small arrays take fewer.
    """
    *blocks, entries = tables.shape
    sizes = [n // count for n, count in zip(out.shape, blocks, strict=True)]
    work = _TableWork(out, entries.bit_length() - 1, sizes,
                      np.ascontiguousarray(tables, np.float32))
    work.decode(packed, out, num_threads)


cdef class _TableWork:
    """One array's look-up tables, shared by the threads that work on them."""

    cdef caq_table_job job
    cdef caq_source target
    cdef const uint8_t[::1] weight, stored
    cdef uint8_t[::1] packed, out
    cdef float[::1] tables
    cdef size_t size

    def __init__(self, weight, unsigned bits, block_sizes, tables):
        cdef size_t[MAX_RANK] shape
        cdef size_t[MAX_RANK] sizes
        cdef Py_ssize_t axis
        for axis in range(weight.ndim):
            shape[axis] = weight.shape[axis]
            sizes[axis] = block_sizes[axis]
        status = caq_table_job_init(
            &self.job, <caq_source><int>WEIGHT_DTYPES.index(weight.dtype), bits, weight.ndim,
            shape, sizes, <caq_level><int>_LEVELS.index(level()))
        if status != CAQ_OK:
            raise ValueError(f"block_sizes {block_sizes} do not fit the shape {weight.shape}")
        self.weight = weight.reshape(-1).view(np.uint8)
        self.tables = tables.reshape(-1)
        self.size = weight.itemsize

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

    def encode(self, size_t elements, size_t num_threads):
        """Find and return all indices, packed."""
        packed = memory.empty(self.job.packed_size, np.uint8)
        self.packed = packed
        in_parallel(self.encode_some, _bounds(elements, num_threads))
        return packed

    cpdef int encode_some(self, size_t first, size_t end) except -1:
        """Find the indices of the elements first .. end - 1 without the GIL."""
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
        in_parallel(self.decode_some, _bounds(out.size, num_threads))

    cpdef int decode_some(self, size_t first, size_t end) except -1:
        """Decode the elements first .. end - 1 without the GIL."""
        cdef caq_status status
        with nogil:
            status = caq_table_decode(&self.job, first, end - first, &self.stored[0],
                                      &self.tables[0], self.target, &self.out[first * self.size])
        assert status == CAQ_OK, status
        return status


cdef size_t _shares(size_t work, size_t num_threads):
    """How many threads to share the work of so many elements."""
    return max(1, min(num_threads, work // <size_t>SMALLEST_SHARE))


cdef list _bounds(size_t elements, size_t num_threads):
    """Where the parts of an array begin, at multiples of 8, and its end."""
    cdef size_t i, threads = _shares(elements, num_threads)
    return [elements * i // threads // 8 * 8 for i in range(threads)] + [elements]


TABLE_COST = 16
"""How many times as much work an element is, at the least, when tables are searched for."""
