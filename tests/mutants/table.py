"""The mutants: edits that each break one rule, which some test has to notice.

A mutant is anchored on a short text that occurs once in its file, so that it survives work around
it. Where the same rule stands in C and in ``reference/``, each has a mutant of its own: the
reference's must be noticed by the contract tests alone, without its twin.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One edit.

    Attributes:
        name: a name to tell it by.
        file: the file that it changes.
        text: a text that occurs in the file exactly once.
        replacement: what takes its place.
        rule: the rule that this breaks.
    """

    name: str
    file: str
    text: str
    replacement: str
    rule: str

    def apply(self, source: str) -> str:
        """Return ``source`` with the edit.

        Raises:
            ValueError: the text does not occur exactly once.
        """
        if source.count(self.text) != 1:
            raise ValueError(
                f"mutant {self.name}: {self.text!r} occurs {source.count(self.text)} times in "
                f"{self.file}, not once"
            )
        return source.replace(self.text, self.replacement)


def _mutants(file: str, *edits: tuple[str, str, str, str]) -> tuple[Mutant, ...]:
    """Return mutants of one file from (name, text, replacement, rule)."""
    return tuple(
        Mutant(name, file, text, replacement, rule) for name, text, replacement, rule in edits
    )


_SCALES = _mutants(
    "csrc/templates/scales.h",
    (
        "smallest-scale-f32",
        "0x1.000008p-128f, FLT_MAX",
        "0x1p-128f, FLT_MAX",
        "the reciprocal of the smallest float32 scale is finite",
    ),
    (
        "smallest-scale-f16",
        "{0x1p-24f, 65504.0f",
        "{0x1p-23f, 65504.0f",
        "float16 scales go down to the smallest subnormal",
    ),
    (
        "smallest-scale-bf16",
        "{0x1.08p-128f",
        "{0x1p-127f",
        "bfloat16 scales go down to the first whose reciprocal is finite",
    ),
    (
        "smallest-scale-e8m0-f16",
        "is_f16(job) ? 0x1p-24f : 0x1p-127f",
        "0x1p-127f",
        "an E8M0 scale of float16 weights is at least 2^-24",
    ),
    (
        "smallest-scale-e8m0",
        "is_f16(job) ? 0x1p-24f : 0x1p-127f",
        "is_f16(job) ? 0x1p-24f : 0x1p-126f",
        "an E8M0 scale goes down to 2^-127",
    ),
    (
        "smallest-scale-unused",
        "scale[i] < smallest ? smallest : scale[i]",
        "scale[i]",
        "scales too small to divide by are raised",
    ),
    (
        "overflow-f16",
        "65520.0f",
        "65536.0f",
        "a decoded number of 65520 is infinite in float16",
    ),
    (
        "overflow-bf16",
        "0x1.FFp127f",
        "0x1.FFFFFEp127f",
        "a decoded number half a step above bfloat16's largest is infinite",
    ),
    (
        "danger-f16",
        "0x1p15f, 0x2000",
        "0x1p17f, 0x2000",
        "blocks at the top of float16 are looked at",
    ),
    (
        "ulp-f16",
        "0x1p15f, 0x2000",
        "0x1p15f, 0x1000",
        "a lowered scale is a float16 number",
    ),
    (
        "ulp-e8m0",
        "type.ulp_bits = 0x800000;",
        "type.ulp_bits = 0x400000;",
        "a lowered E8M0 scale is a power of two",
    ),
    (
        "lower-once",
        "while (scale * code >= type.overflow)",
        "if (scale * code >= type.overflow)",
        "a scale is lowered until its block decodes to finite numbers",
    ),
    (
        "lower-to-next",
        "scale = bound < below ? bound : below;",
        "scale = below;",
        "a lowered scale is what the code allows",
    ),
    (
        "round-scale-f16",
        "scale[i] = round_to_f16(scale[i]);",
        "scale[i] = scale[i] + 0.0f;",
        "codes are computed from the scale as stored in float16",
    ),
    (
        "round-scale-bf16",
        "scale[i] = round_to_bf16(scale[i]);",
        "scale[i] = scale[i] + 0.0f;",
        "codes are computed from the scale as stored in bfloat16",
    ),
    (
        "round-scale-after-codes",
        "tile->reciprocal[i] = 1.0f / tile->scale[i];",
        "tile->reciprocal[i] = job->scheme == CAQ_SYMMETRIC && job->scale != CAQ_SCALE_E8M0 &&"
        " !caq_describe_format(job->format).mantissa && tile->absmax[i] >= 0x1p-10f"
        " ? 1.0f / (tile->absmax[i] / (float)symmetric_max(caq_describe_format(job->format)))"
        " : 1.0f / tile->scale[i];",
        "the scale is rounded before codes are computed from it",
    ),
    (
        "e8m0-tie-up",
        "0x17FFFF",
        "0x180000",
        "a significand of exactly 29/16 keeps its exponent",
    ),
    (
        "e8m0-floor",
        "0x17FFFF",
        "0",
        "E8M0 exponents round up above 29/16",
    ),
    (
        "e8m0-up",
        "0x17FFFF",
        "0x7FFFFF",
        "E8M0 exponents round down below 29/16",
    ),
    (
        "epsilon",
        "tile->scale[i] = tile->absmax[i] / divisor;",
        "tile->scale[i] = (tile->absmax[i] + 1e-6f) / divisor;",
        "there is no epsilon",
    ),
    (
        "zero-block",
        "tile->absmax[i] == 0.0f ? 1.0f : tile->scale[i]",
        "tile->scale[i]",
        "a block of zeros has the scale 1",
    ),
    (
        "infinity-accepted",
        "float_bits(most) >= INFINITE",
        "float_bits(most) > INFINITE",
        "infinities are refused",
    ),
    (
        "nan-accepted",
        "float_bits(most) >= INFINITE",
        "most == float_from_bits(INFINITE)",
        "NaNs are refused",
    ),
    (
        "spread-overflows",
        "int too_far = above + below > FLT_MAX;",
        "int too_far = 0;",
        "a range that overflows is halved",
    ),
    (
        "asymmetric-absmax",
        "tile->above[i] > tile->below[i] ? tile->above[i] : tile->below[i]",
        "tile->above[i]",
        "both ends of the range say how large the weights are",
    ),
    (
        "zero-point-tie",
        "return (x + 0x1.8p23f) - 0x1.8p23f;",
        "return (float)(int32_t)(x + 0.5f);",
        "the zero point's half rounds to even",
    ),
    (
        "zero-point-reciprocal",
        "(uint32_t)tile->below[i]) / tile->scale[i]",
        "(uint32_t)tile->below[i]) * tile->reciprocal[i]",
        "the zero point is a quotient by the scale",
    ),
    (
        "zero-point-clip",
        "zero < levels ? zero : levels",
        "zero",
        "the zero point is clipped",
    ),
    (
        "zero-point-offset",
        "(uint8_t)(tile->zero[i] + offset)",
        "(uint8_t)tile->zero[i]",
        "INT's zero point is UINT's shifted down",
    ),
    (
        "float-code-tie",
        "((bits >> dropped) & 1)",
        "0",
        "the largest weight's FP code is rounded half even before its scale is lowered",
    ),
)

_FORMATS = _mutants(
    "csrc/formats.c",
    ("e4m3-bias", ".bias = 7", ".bias = 8", "E4M3's exponent bias"),
    ("e2m1-emax", ".emax = 2", ".emax = 3", "E2M1's emax, which its E8M0 scales are relative to"),
    ("e5m2-largest", "57344.0f", "49152.0f", "E5M2 saturates at its largest number"),
    ("int2-signed", "{.bits = 2, .is_signed = 1}", "{.bits = 2}", "INT2 is signed"),
)

_FLOAT_BITS = _mutants(
    "csrc/float_bits.h",
    (
        "f16-tie",
        "bits + 0xFFF + ((bits >> 13) & 1)",
        "bits + 0x1000",
        "scales round half even to float16",
    ),
    (
        "bf16-tie",
        "0x7FFF + ((bits >> 16) & 1)",
        "0x8000",
        "scales round half even to bfloat16",
    ),
    (
        "bf16-truncates",
        "0x7FFF + ((bits >> 16) & 1)",
        "0",
        "scales round to nearest in bfloat16",
    ),
    (
        "f16-subnormal",
        "float_bits((x + 0.5f) - 0.5f)",
        "normal",
        "scales round to float16's subnormals",
    ),
    (
        "f16-widen-subnormal",
        "select_bits(magnitude < 0x0400, subnormal, normal)",
        "select_bits(magnitude < 0x0001, subnormal, normal)",
        "float16 subnormals are widened exactly",
    ),
    (
        "f16-widen-infinity",
        "magnitude >= 0x7C00",
        "magnitude > 0x7C00",
        "a float16 infinity is infinite in float32",
    ),
)

_KERNELS = _mutants(
    "csrc/templates/source_type.h",
    (
        "absmax-sign",
        "return v_and(bits, v_set_i(IS_HALF ? 0x7FFF7FFF : INT32_MAX));",
        "return bits;",
        "absmax is of magnitudes",
    ),
    (
        "range-sides",
        "return side ? v_xor(bits, v_set_i(signs)) : bits;",
        "return bits;",
        "a range has two ends",
    ),
    (
        "padding",
        "padded[i] = 0;",
        "padded[i] = (ELEMENT)0x4000;",
        "what fills a vector up changes no statistic",
    ),
)

_REDUCE = _mutants(
    "csrc/templates/reduce.h",
    (
        "block-stride",
        "KERNEL(load_bits)(p + row * stride)",
        "KERNEL(load_bits)(p + row)",
        "rows of a block lie a stride apart",
    ),
    (
        "several-rows",
        "stats[k][block] > most ? stats[k][block] : most",
        "most",
        "a block's statistics are over all its rows",
    ),
    (
        "four-of-side",
        "KERNEL(raise_4)(stats[k] + block, four[k]);",
        "KERNEL(raise_4)(stats[0] + block, four[k]);",
        "each side of four blocks is kept apart",
    ),
    (
        "tail-statistics",
        "KERNEL(pad)(padded, WIDTH, p + i, length - i);",
        "KERNEL(pad)(padded, WIDTH, p + i, length - i - 1);",
        "the last elements of a block count",
    ),
    (
        "tail-columns",
        "KERNEL(pad)(padded, WIDTH, p + row * stride, count);",
        "KERNEL(pad)(padded, WIDTH, p, count);",
        "rows of few columns lie a stride apart",
    ),
    (
        "elements-behind",
        "v_and(KERNEL(load_bits)(p + i), rest)",
        "KERNEL(load_bits)(p + i)",
        "elements behind a block do not count",
    ),
    (
        "even-columns",
        "v_from_bits(v_shift_up(found, 16))",
        "v_from_bits(v_shift_up(found, 0))",
        "of two columns of 16 bits each has its own statistic",
    ),
    (
        "rows-of-statistics",
        "REDUCER(raise)(stats[k] + first, found[k])",
        "v_store_i(stats[k] + first, found[k])",
        "a column's statistics are over all its rows",
    ),
)

_ENCODE = _mutants(
    "csrc/templates/encode.h",
    (
        "zero-of-column",
        "v_load_i(zero + i + v * LANES);",
        "v_load_i(zero + i);",
        "every column has a zero point of its own",
    ),
    (
        "scale-of-last-columns",
        "v_set_f(reciprocal[i])",
        "v_set_f(reciprocal[0])",
        "every column has a scale of its own",
    ),
    (
        "packed-rows",
        "codes + row * code_stride + (i >> to->halvings)",
        "codes + row * code_stride + i",
        "rows of columns are stored packed",
    ),
    (
        "zero-of-block",
        "v_set_i(zero[block]), to,",
        "v_set_i(zero[0]), to,",
        "every block has a zero point of its own",
    ),
    (
        "scale-in-group",
        "block = at / length;",
        "block = i / length;",
        "blocks of a group have scales of their own",
    ),
    (
        "tail-of-block",
        "ENCODER(few)(p + i, length - i, reciprocal, zero, to, codes + i);",
        "ENCODER(few)(p + i, length - i - 1, reciprocal, zero, to, codes + i);",
        "the last elements of a block are encoded",
    ),
)

_QUANTIZE = _mutants(
    "csrc/quantize.c",
    (
        "range-has-zero",
        "tile->above[i] = tile->below[i] = 0;",
        "tile->above[i] = tile->below[i] = 0x3F000000;",
        "an asymmetric range includes zero",
    ),
)

_TOGETHER = _mutants(
    "csrc/direct.h",
    (
        "bytes-of-steps",
        "% (8 / bits))",
        "% 1)",
        "only codes that begin at a byte are stored packed by the encoder",
    ),
    (
        "whole-steps",
        "blocks / step * step",
        "blocks",
        "columns behind the last whole step are encoded too",
    ),
    (
        "whole-groups",
        "blocks - blocks % (GROUP / length)",
        "blocks",
        "blocks behind the last whole group are encoded too",
    ),
)

_CODES = _mutants(
    "csrc/codes.h",
    (
        "e5m2-f16-divisor",
        "largest / 16.0f",
        "largest / 8.0f",
        "with float16 scales E5M2 aims at 3584",
    ),
    (
        "symmetric-q",
        "return (1 << (format.bits - 1)) - 1;",
        "return 1 << (format.bits - 1);",
        "Q is 2^(n-1) - 1",
    ),
    (
        "asymmetric-l",
        "return (1 << format.bits) - 1;",
        "return (1 << format.bits) - 2;",
        "L is 2^n - 1",
    ),
    (
        "asymmetric-shift",
        "is_asymmetric(job) ? -(1 << (format.bits - 1))",
        "is_asymmetric(job) ? -symmetric_max(format)",
        "asymmetric INT is UINT shifted by 2^(n-1)",
    ),
    (
        "uint-zero",
        "if (!format.is_signed)",
        "if (!format.is_signed && is_asymmetric(job))",
        "symmetric UINT has the zero point Q",
    ),
    (
        "symmetric-largest",
        ": symmetric_zero(job) + symmetric_max(format);",
        ": asymmetric_levels(format);",
        "symmetric codes are clipped to -Q .. Q",
    ),
)

_ENCODINGS = _mutants(
    "csrc/codes.c",
    (
        "step-of-codes",
        ".adder = dropped * (1 << 23)",
        ".adder = (dropped - 1) * (1 << 23)",
        "the step of FP codes in a binade",
    ),
    (
        "float-bias",
        ".smallest = (128 - format.bias) * (1 << 23)",
        ".smallest = (127 - format.bias) * (1 << 23)",
        "FP codes are subnormal from 2^(1 - bias) down",
    ),
    (
        "float-sign-place",
        ".sign_down = 32 - format.bits",
        ".sign_down = 24",
        "the sign of an FP4 code is bit 3",
    ),
    (
        "code-offset",
        "(uint8_t)integer_offset(job)",
        "0",
        "stored INT codes are two's complement",
    ),
    (
        "decode-sign",
        "is_float(format) || format.is_signed ?",
        "is_float(format) ?",
        "INT codes decode with their sign",
    ),
)

_TO_CODES = _mutants(
    "csrc/templates/to_codes.h",
    (
        "zero-point-before-rounding",
        "v_add_i(v_round(v_mul(w, reciprocal)), zero)",
        "v_round(v_add(v_mul(w, reciprocal), v_add("
        "v_from_bits(v_add_i(zero, v_set_i(0x4B000000))), "
        "v_set_f(-0x1p23f))))",
        "the product is rounded before the zero point is added",
    ),
    (
        "clip-largest",
        "b_lesser(b_narrow(codes), b_set(to->largest))",
        "b_narrow(codes)",
        "codes are clipped at the top",
    ),
    (
        "float-saturation",
        "magnitude = v_lesser(magnitude, v_set_f(to->saturation));",
        "",
        "FP codes saturate",
    ),
    (
        "float-subnormal",
        "binade = v_max(binade, v_set_i(to->smallest));",
        "",
        "FP codes have subnormals",
    ),
    (
        "float-binade",
        "v_add_i(v_sub_i(sum, adder), v_shift_down(below, to->dropped))",
        "v_sub_i(sum, adder)",
        "an FP code counts the codes of the binades below",
    ),
    (
        "sign-of-zero",
        "vi sign = v_and(bits, v_set_i(INT32_MIN));",
        "vi sign = v_and(bits, v_sub_i(v_set_i(0), code)); sign = v_and(sign, v_set_i(INT32_MIN));",
        "FP codes keep the sign of zero",
    ),
)

_GEOMETRY = _mutants(
    "csrc/geometry.c",
    (
        "axis-stride",
        "stride *= job->blocks[axis] * job->length[axis];",
        "stride *= job->blocks[axis];",
        "strides of merged axes",
    ),
)

_PACKING = _mutants(
    "csrc/packing.c",
    (
        "nibble-order-at-edges",
        "(unsigned)element % (8 / bits) * bits",
        "(8 / bits - 1 - (unsigned)element % (8 / bits)) * bits",
        "the first code is in the lowest bits",
    ),
    (
        "neighbours-in-a-byte",
        "(*byte & ~mask)",
        "0",
        "rows that share a byte leave each other's codes alone",
    ),
    (
        "unused-bits",
        "put_code(packed, element, bits, 0);",
        "put_code(packed, element, bits, 1);",
        "unused bits of the last byte are zero",
    ),
    (
        "decode-within-a-byte",
        "element % codes_per_byte; count--)\n        *codes++ = get_code",
        "0; count--)\n        *codes++ = get_code",
        "a run of elements may begin within a byte",
    ),
    (
        "unpack-sign",
        "(uint8_t)((codes[i] ^ sign) - sign)",
        "(uint8_t)(codes[i] ^ (sign & 0))",
        "unpacked INT codes have the sign of their bits",
    ),
)

_ENCODER = _mutants(
    "csrc/encoder.c",
    (
        "columns-behind-steps",
        "tile->reciprocal + first",
        "tile->reciprocal",
        "what is encoded by way of the tile has its own scales",
    ),
    (
        "rows-of-tile-codes",
        "tile->codes + row * count",
        "tile->codes",
        "rows by way of the tile have codes of their own",
    ),
)

_STREAM = _mutants(
    "csrc/stream.c",
    (
        "join-threads",
        "tile->below[i] = below[block + i]",
        "tile->below[i] = 0",
        "the scale of what was measured in parts knows both ends",
    ),
)

_PARAMETERS = _mutants(
    "csrc/parameters.c",
    (
        "decode-smallest-e8m0",
        "select_bits(stored[i] == 0, 0x400000",
        "select_bits(stored[i] == 0, 0x200000",
        "the E8M0 scale 0 stands for 2^-127",
    ),
    (
        "decode-nan-e8m0",
        "0x7FC00000",
        "0x7F800000",
        "the E8M0 scale 255 is a NaN",
    ),
)

_DECODE = (
    *_mutants(
        "csrc/dequantize.c",
        (
            "decode-zero-point",
            "& mask) ^ with->decoding.sign",
            "& mask)",
            "INT zero points decode with their sign",
        ),
        (
            "decode-columns-of-a-band",
            "length, first / job->row)",
            "length, 0)",
            "rows of columns decode together only with the same parameters",
        ),
    ),
    *_mutants(
        "csrc/templates/decode.h",
        (
            "decode-tail",
            "KERNEL(decode_few)(codes + i, length - i, scale, zero, from, is_float, to + i);",
            "KERNEL(decode_few)(codes + i, length - i - 1, scale, zero, from, is_float, to + i);",
            "the last elements of a block are decoded",
        ),
        (
            "decode-scale-of-column",
            "KERNEL(load_parameters)(scale + i)",
            "KERNEL(load_parameters)(scale)",
            "every column is decoded with a scale of its own",
        ),
        (
            "decode-zero-of-column",
            "v_set_f(scale[i]), v_set_i(zero[i])",
            "v_set_f(scale[i]), v_set_i(zero[0])",
            "every column is decoded with a zero point of its own",
        ),
        (
            "decode-scale-of-block",
            "length, v_set_f(scale[block])",
            "length, v_set_f(scale[0])",
            "every block is decoded with a scale of its own",
        ),
        (
            "look-up-group",
            "tables[(i + v) / USUAL_LENGTH]",
            "tables[0]",
            "blocks of a group have tables of their own",
        ),
        (
            "look-up-codes",
            "(codes + v, scale, zero, from, is_float, 0, table + v);",
            "(codes, scale, zero, from, is_float, 0, table + v);",
            "a table has all codes",
        ),
        (
            "decode-scale-in-group",
            "size_t block = (i + v * LANES) / length;",
            "size_t block = i / length;",
            "blocks of a group are decoded with scales of their own",
        ),
        (
            "decode-rows",
            "codes + row * code_stride + (i >> from->halvings)",
            "codes + row * code_stride + i",
            "rows of columns are read packed",
        ),
    ),
    *_mutants(
        "csrc/templates/from_codes.h",
        (
            "decode-bf16-tie",
            "v_add_i(odd, v_set_i(0x7FFF))",
            "v_set_i(0x8000)",
            "decoded bfloat16 numbers are rounded half to even",
        ),
    ),
)

_LAYOUT = _mutants(
    "csrc/job.c",
    (
        "merge-axes",
        "(blocks == 1 || job->length[last] == 1)",
        "(blocks == 1 || job->blocks[last] == 1 || job->length[last] == 1)",
        "axes that blocks tell apart are not merged",
    ),
    (
        "granule",
        "return bands * job->tiles;",
        "return job->tiles;",
        "parts of the work do not share bytes",
    ),
    (
        "tile-ends-on-byte",
        "return length * bits % 8 == 0 ? tile : 8;",
        "return tile;",
        "tiles of a row do not share bytes",
    ),
    (
        "packed-size",
        "(job->elements % codes_per_byte != 0)",
        "0",
        "the last byte may be partly filled",
    ),
    (
        "scale-size",
        "job->scale == CAQ_SCALE_E8M0 ? 1 : is_f32(job)",
        "is_f32(job)",
        "an E8M0 scale is a byte",
    ),
    (
        "block-divides",
        "shape[axis] % length != 0 ||",
        "0 ||",
        "a block's length divides its axis",
    ),
    (
        "elements-overflow",
        "job->elements > SIZE_MAX / sizeof(float) / shape[axis]",
        "0",
        "shapes whose size overflows are refused",
    ),
    (
        "importance-sign",
        "importance[i] >= 0.0f &&",
        "importance[i] >= -1.0f &&",
        "importances are not negative",
    ),
)

_PORTABLE = _mutants(
    "csrc/kernels/portable.c",
    (
        "portable-round",
        "v_lesser(x, 0x1p22f) + 0x1.8p23f",
        "v_lesser(x, 0x1p22f) + (x < 0 ? -0x1p-2f : 0x1p-2f) + 0x1.8p23f",
        "portable: round half even",
    ),
    (
        "portable-nibbles",
        "(codes[0] & 15) | codes[1] << 4",
        "(codes[1] & 15) | codes[0] << 4",
        "portable: the first 4-bit code is in the lowest bits",
    ),
    (
        "portable-crumbs",
        "(codes[1] & 3) << 2 | (codes[2] & 3) << 4",
        "(codes[2] & 3) << 2 | (codes[1] & 3) << 4",
        "portable: the order of 2-bit codes",
    ),
    (
        "portable-crumb-mask",
        "(codes[0] & 3)",
        "codes[0]",
        "portable: only the low bits of a code are stored",
    ),
    (
        "portable-shift",
        "return (vi)((uint32_t)a >> n);",
        "return a >> n;",
        "portable: the sign bit moves alone",
    ),
    (
        "portable-clip",
        "v_max(codes[0], 0)",
        "codes[0]",
        "portable: codes below zero are clipped",
    ),
)

_AVX2 = _mutants(
    "csrc/kernels/avx2.c",
    (
        "avx2-round",
        "v_round(vf x) { return _mm256_cvtps_epi32(x); }",
        "v_round(vf x) { return _mm256_cvttps_epi32(x); }",
        "AVX2: round, not truncate",
    ),
    (
        "avx2-stream",
        "return stream && (uintptr_t)p % bytes == 0;",
        "return stream;",
        "AVX2: only whole vectors go past the caches",
    ),
    (
        "avx2-half-special",
        "_mm_cmpgt_epi16(magnitude,",
        "_mm_cmpgt_epi16(_mm_setzero_si128(),",
        "AVX2: codes of infinities and NaNs decode to these",
    ),
    (
        "avx2-largest-pairs",
        "x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));",
        "x = _mm_max_epi16(x, x);",
        "AVX2: the largest of a block is over all of its numbers of 16 bits",
    ),
    (
        "avx2-nibbles",
        "_mm256_set1_epi16(0x1001)",
        "_mm256_set1_epi16(0x0110)",
        "AVX2: the first 4-bit code is in the lowest bits",
    ),
    (
        "avx2-pack-lanes",
        "_mm256_permute4x64_epi64(bytes, 0xD8)",
        "bytes",
        "AVX2: packing leaves bytes in order",
    ),
    (
        "avx2-step-lanes",
        "0, 4, 1, 5, 2, 6, 3, 7",
        "0, 1, 2, 3, 4, 5, 6, 7",
        "AVX2: a step's codes are in order",
    ),
    (
        "avx2-largest-lane",
        "_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1))",
        "x",
        "AVX2: the largest of all lanes",
    ),
    (
        "avx2-clip",
        "_mm256_packus_epi16(_mm256_packs_epi32(x[0], x[1])",
        "_mm256_packs_epi16(_mm256_packs_epi32(x[0], x[1])",
        "AVX2: codes below zero are clipped",
    ),
)

_AVX512 = _mutants(
    "csrc/kernels/avx512.c",
    (
        "avx512-round",
        "v_round(vf x) { return _mm512_cvtps_epi32(x); }",
        "v_round(vf x) { return _mm512_cvttps_epi32(x); }",
        "AVX-512: round, not truncate",
    ),
    (
        "avx512-stream",
        "return stream && (uintptr_t)p % bytes == 0;",
        "return stream;",
        "AVX-512: only whole vectors go past the caches",
    ),
    (
        "avx512-half-special",
        "_mm256_cmpgt_epi16(magnitude,",
        "_mm256_cmpgt_epi16(_mm256_setzero_si256(),",
        "AVX-512: codes of infinities and NaNs decode to these",
    ),
    (
        "avx512-largest-pairs",
        "x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));",
        "x = _mm_max_epi16(x, x);",
        "AVX-512: the largest of a block is over all of its numbers of 16 bits",
    ),
    (
        "avx512-nibbles",
        "_mm512_set1_epi16(0x1001)",
        "_mm512_set1_epi16(0x0110)",
        "AVX-512: the first 4-bit code is in the lowest bits",
    ),
    (
        "avx512-crumbs",
        "_mm512_set1_epi16(0x0401)",
        "_mm512_set1_epi16(0x0104)",
        "AVX-512: the order of 2-bit codes",
    ),
    (
        "avx512-step-lanes",
        "0, 4, 8, 12, 1, 5, 9, 13",
        "0, 1, 2, 3, 4, 5, 6, 7",
        "AVX-512: a step's codes are in order",
    ),
    (
        "avx512-largest-4",
        "_mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1))",
        "_mm512_castsi512_si256(all)",
        "AVX-512: the largest of all quarters",
    ),
    (
        "avx512-bf16",
        "_mm512_cvtepu16_epi32(load_halves(p)), 16)",
        "_mm512_cvtepu16_epi32(load_halves(p)), 15)",
        "AVX-512: bfloat16 is the upper half of float32",
    ),
    (
        "avx512-clip",
        "_mm512_packus_epi16(_mm512_packs_epi32(codes[0]",
        "_mm512_packs_epi16(_mm512_packs_epi32(codes[0]",
        "AVX-512: codes below zero are clipped",
    ),
)

_NEON = _mutants(
    "csrc/kernels/neon.c",
    (
        "neon-round",
        "v_round(vf x) { return vcvtnq_s32_f32(x); }",
        "v_round(vf x) { return vcvtaq_s32_f32(x); }",
        "NEON: halves round to even",
    ),
    (
        "neon-nibbles",
        "vandq_u8(c.val[0], vdupq_n_u8(15)), c.val[1], 4",
        "vandq_u8(c.val[1], vdupq_n_u8(15)), c.val[0], 4",
        "NEON: the first 4-bit code is in the lowest bits",
    ),
    (
        "neon-largest-4",
        "vpmaxq_s32(most[2], most[3])",
        "vpmaxq_s32(most[2], most[2])",
        "NEON: the largest of four blocks",
    ),
    (
        "neon-clip",
        "vqmovun_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)))",
        "vreinterpret_u8_s8(vqmovn_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))))",
        "NEON: codes below zero are clipped",
    ),
)

_SEARCH = (
    *_mutants(
        "csrc/search/search.c",
        (
            "search-zero-point",
            "best - first + best",
            "best",
            "MSE: the zero point moves on to where the best was found",
        ),
        (
            "search-zero-points",
            "job->scheme == CAQ_SYMMETRIC ? 2 : 4",
            "job->scheme == CAQ_SYMMETRIC ? 2 : 1",
            "MSE: the zero point's neighbours are tried",
        ),
        (
            "search-float-unit",
            "is_float ? 0.875f : 1.0f",
            "1.0f",
            "MSE: the significand of the largest FP8 code is 7/8",
        ),
        (
            "search-margin",
            "error + (error >> 20) + (int64_t)elements < least",
            "error < least",
            "MSE: a scale must be better than MINMAX's by more than errors are rounded",
        ),
        (
            "search-too-small",
            "absmax < 0x1p-100f || absmax",
            "absmax",
            "MSE: tiny blocks are left to MINMAX",
        ),
        (
            "search-too-large",
            "? 0x1p15f : 0x1p127f",
            "? 0x1p127f : 0x1p127f",
            "MSE: blocks at the top of float16 are left to MINMAX",
        ),
        (
            "search-exponents",
            "minmax * 2.0f",
            "minmax",
            "MSE: both neighbours of an exponent are tried",
        ),
        (
            "search-equals",
            "score > search->score[lane]",
            "score >= search->score[lane]",
            "MSE: the first of equal scores is kept",
        ),
        (
            "search-reach",
            "(uint64_t)(grid.reach * grid.reach) * elements_of_block(job)",
            "(uint64_t)(grid.reach * grid.reach) * 4",
            "MSE: the longer a block is, the smaller scales are tried",
        ),
        (
            "search-lanes",
            "space->b[i][0] += space->b[i][lane];",
            "",
            "MSE: a long block's sums are over all lanes",
        ),
        (
            "search-rows",
            "row % rows ? element + job->row",
            "row % rows ? element + run.length",
            "MSE: a block's rows lie a whole row apart",
        ),
        (
            "search-held",
            "(side_by_side ? PANEL_DEPTH : PANEL_DEPTH * lanes)",
            "PANEL_DEPTH * lanes",
            "MSE: blocks that do not fit into the panel are read in each pass",
        ),
        (
            "search-extent",
            "(uint32_t)tile->below[block])) *\n                 0.5f",
            "(uint32_t)tile->below[block])) *\n                 1.0f",
            "MSE: asymmetric weights are measured by half their range",
        ),
        (
            "importance-zeros",
            "search->least[lane] = most > 0.0f ? 0.0f : 1.0f;",
            "search->least[lane] = 0.0f;",
            "importances that are all zero count as equal ones",
        ),
        (
            "importance-repeat",
            "job->repeat - element % job->repeat",
            "job->repeat",
            "element e has importance[e / repeat % count]",
        ),
        (
            "importance-largest",
            "search->most[lane] = most > 0.0f ? most : 1.0f;",
            "search->most[lane] = most > 1.0f ? most : 1.0f;",
            "importances are divided by the largest of their block",
        ),
    ),
    *_mutants(
        "csrc/search/search.h",
        (
            "importance-unit",
            "#define IMPORTANCE_UNIT 2048.0f",
            "#define IMPORTANCE_UNIT 1024.0f",
            "what importances are rounded to",
        ),
        (
            "search-grid-first",
            "22, 40, 3, 32",
            "24, 40, 3, 32",
            "MSE: which scales are tried",
        ),
        (
            "search-grid-last",
            "3, 32, 1024",
            "3, 32, 512",
            "MSE: long blocks are tried with smaller scales",
        ),
        (
            "search-grid-growth",
            "step < grid.dense",
            "step <= grid.dense",
            "MSE: where the steps between scales grow",
        ),
    ),
    *_mutants(
        "csrc/templates/score.h",
        (
            "search-float-steps",
            "0.875f * (float)(2 * FLOAT_STEPS - candidate)",
            "(float)(2 * FLOAT_STEPS - candidate)",
            "MSE: which FP8 scales are tried",
        ),
        (
            "search-decode-bf16",
            "v_add_i(v_add_i(bits, v_set_i(0x7FFF)), odd)",
            "v_add_i(bits, v_add_i(odd, v_set_i(0)))",
            "MSE: errors are those of decoded bfloat16 weights",
        ),
        (
            "search-decode-f16",
            "(127 - 14) * (1 << 23), 13",
            "(127 - 14) * (1 << 23), 12",
            "MSE: errors are those of decoded float16 weights",
        ),
        (
            "search-error-limit",
            "v_set_f(0x1p30f)",
            "v_set_f(0x1p20f)",
            "MSE: how large an error counts",
        ),
        (
            "importance-errors",
            "square = v_mul(square, v_load_floats(space->importance + i));",
            "square = v_mul(square, v_set_f(1.0f));",
            "MINMAX stays where its weighed error is the least",
        ),
        (
            "importance-halves",
            "k ? 0x10000 : 1",
            "1",
            "products of 8-bit integers are weighed one by one",
        ),
    ),
    *_mutants(
        "reference/mse.py",
        (
            "reference-search-grid",
            "first=22, dense=40",
            "first=32, dense=40",
            "MSE: which scales are tried",
        ),
        (
            "reference-search-zero-points",
            "2 if blocks.symmetric else 4",
            "2 if blocks.symmetric else 1",
            "MSE: the zero point moves",
        ),
        (
            "reference-search-too-large",
            "F32(2.0**15 if dtype == np.float16 else 2.0**127)",
            "F32(2.0**127)",
            "MSE: blocks at the top of float16 are left to MINMAX",
        ),
        (
            "reference-search-exponents",
            "steps = (-1, 1)",
            "steps = (-1,)",
            "MSE: both neighbours of an exponent are tried",
        ),
        (
            "reference-search-extent",
            "(hi - lo) * F32(0.5)",
            "(hi - lo)",
            "MSE: asymmetric weights are measured by half their range",
        ),
        (
            "reference-search-refit",
            "found = self.a / np.where(self.best > 0, self.b, F32(1)) * unit",
            "found = self.a / np.where(self.best > 0, self.a, F32(1)) * unit",
            "MSE: the scale is A / B",
        ),
        (
            "reference-search-minmax",
            "np.where(better, candidate[0], scales)",
            "candidate[0]",
            "MSE: never worse than MINMAX",
        ),
        (
            "reference-importance-zeros",
            "np.where(largest > 0, importance, F32(1))",
            "np.where(largest > 0, importance, F32(0))",
            "importances that are all zero count as equal ones",
        ),
        (
            "reference-importance-errors",
            "squares = squares * blocks.importance",
            "squares = squares * F32(1)",
            "MINMAX stays where its weighed error is the least",
        ),
        (
            "reference-importance-products",
            "np.rint(weights * (h / IMPORTANCE_UNIT)), one",
            "x, one",
            "the scale is Σ h·x·c / Σ h·c²",
        ),
    ),
)

_DISPATCH = _mutants(
    "csrc/kernels/dispatch.c",
    (
        "best-level",
        "int level = CAQ_LEVELS - 1;",
        "int level = CAQ_LEVELS - 2;",
        "the best instruction set is used",
    ),
)

_REFERENCE = (
    *_mutants(
        "reference/codes.py",
        (
            "reference-round",
            "np.rint(widen(weight) * reciprocal(scales)) + zero_points",
            "np.floor(widen(weight) * reciprocal(scales) + F32(0.5)) + zero_points",
            "codes round half even",
        ),
        (
            "reference-zero-point-order",
            "np.rint(widen(weight) * reciprocal(scales)) + zero_points",
            "np.rint(widen(weight) * reciprocal(scales) + zero_points)",
            "the product is rounded before the zero point is added",
        ),
        (
            "reference-division",
            "widen(weight) * reciprocal(scales)",
            "widen(weight) / widen(scales)",
            "weights are multiplied by the rounded reciprocal",
        ),
        (
            "reference-sign-of-zero",
            "np.clip(scaled, -largest, largest)",
            "(np.clip(scaled, -largest, largest) + F32(0))",
            "FP codes keep the sign of zero",
        ),
        (
            "reference-saturation",
            "np.clip(scaled, -largest, largest)",
            "np.maximum(scaled, -largest)",
            "FP codes saturate",
        ),
        (
            "reference-decode",
            "widen(scales) * (widen(codes) - widen(zero_points))",
            "widen(scales) * widen(codes) - widen(scales) * widen(zero_points)",
            "the zero point is taken off before the product",
        ),
    ),
    *_mutants(
        "reference/minmax.py",
        (
            "reference-epsilon",
            "_usable(absmax / largest,",
            "_usable((absmax + F32(1e-6)) / largest,",
            "there is no epsilon",
        ),
        (
            "reference-e8m0-tie",
            "0x17FFFF",
            "0x180000",
            "a significand of exactly 29/16 keeps its exponent",
        ),
        (
            "reference-zero-point",
            "np.rint(-lo / widen(scales))",
            "np.rint(-lo * reciprocal(scales))",
            "the zero point is a quotient by the scale",
        ),
        (
            "reference-zero-point-clip",
            "np.clip(np.rint(-lo / widen(scales)), F32(0), F32(format.levels))",
            "np.rint(-lo / widen(scales))",
            "the zero point is clipped",
        ),
        (
            "reference-e5m2-divisor",
            "target / F32(16)",
            "target / F32(8)",
            "with float16 scales E5M2 aims at 3584",
        ),
        (
            "reference-zero-block",
            "np.where(extent == 0, dtype.type(1), round_scales(scales, dtype))",
            "round_scales(scales, dtype)",
            "a block of zeros has the scale 1",
        ),
        (
            "reference-zero-block-e8m0",
            "np.where(absmax == 0, E8M0.type(1), from_biased_exponents(biased, dtype))",
            "from_biased_exponents(biased, dtype)",
            "a block of zeros has the E8M0 scale 1",
        ),
        (
            "reference-smallest-e8m0",
            "-24 if dtype == np.float16 else -127",
            "-127",
            "an E8M0 scale of float16 weights is at least 2^-24",
        ),
        (
            "reference-smallest-scale",
            "_next_bits(exponent_only, +1)",
            "exponent_only",
            "the reciprocal of the smallest scale is finite",
        ),
        (
            "reference-toward-zero",
            "np.where(widen(rounded) > positive, _next_bits(rounded, -1), rounded)",
            "rounded",
            "a lowered scale is rounded down",
        ),
        (
            "reference-lower-once",
            "scales = np.where(infinite, smaller, scales)",
            "return np.where(infinite, smaller, scales)",
            "a scale is lowered until its block decodes to finite numbers",
        ),
        (
            "reference-halved",
            "np.where(np.isinf(spread), halved, spread / levels)",
            "spread / levels",
            "a range that overflows is halved",
        ),
    ),
    *_mutants(
        "reference/minmax.py",
        (
            "reference-range-has-zero",
            "np.minimum(blocks.min(axis=1), F32(0))",
            "blocks.min(axis=1)",
            "an asymmetric range includes zero",
        ),
        (
            "reference-clip-bound",
            "return -format.symmetric_max",
            "return -format.symmetric_max - 1",
            "symmetric codes are clipped to -Q",
        ),
    ),
    *_mutants(
        "reference/quantize.py",
        (
            "reference-shift",
            "return codes + offset, zero_point + offset",
            "return codes + offset, zero_point",
            "INT's zero point is UINT's shifted down",
        ),
    ),
    *_mutants(
        "reference/packing.py",
        (
            "reference-nibble-order",
            "<< (position * format.bits)",
            "<< (8 - format.bits - position * format.bits)",
            "the first code is in the lowest bits",
        ),
        (
            "reference-sign-extension",
            "(raw ^ sign) - sign",
            "raw",
            "negative codes are two's complement in their bits",
        ),
    ),
)

_ARRAYS = (
    *_mutants(
        "coreai_opt/_native.pyx",
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
        (
            "thread-extents",
            "np.maximum.reduce(in_parallel(self.measure, bounds))",
            "in_parallel(self.measure, bounds)[0]",
            "threads that share a scale share their extents",
        ),
        (
            "status-ignored",
            "status == CAQ_NOT_FINITE",
            "status == CAQ_BAD_LEVEL",
            "a weight that is not finite is an error that says where",
        ),
    ),
    *_mutants(
        "coreai_opt/arrays/quantize.py",
        (
            "not-contiguous",
            "np.ascontiguousarray(weight, dtype=native)",
            "np.asarray(weight, dtype=native)",
            "an array may lie in memory in any way",
        ),
    ),
    *_mutants(
        "coreai_opt/arrays/backends.py",
        (
            "validate-by-value",
            "np.ascontiguousarray(got).view(np.uint8) != np.ascontiguousarray(want).view(np.uint8)",
            "(got != want).repeat(got.itemsize)",
            "the validator compares bytes",
        ),
    ),
)

_FIGURES = (
    *_mutants(
        "coreai_opt/evaluation/weight_error.py",
        (
            "error-squares",
            "mean_square = signal / flat.size or",
            "mean_square = signal or",
            "errors are relative to the root of the mean square",
        ),
        (
            "error-edges",
            "*range(1023 - 30, 1024, 2)",
            "*range(1023 - 30 + 1, 1025, 2)",
            "histograms have an edge at each power of two of the error, not of its square",
        ),
        (
            "error-blocks",
            "if scales > 1 else slice(None)",
            "if scales < 0 else slice(None)",
            "runs of rows are decoded with the scales of their rows",
        ),
        (
            "error-bytes",
            "step = math.lcm(block, 8 // math.gcd(8, bits))",
            "step = block",
            "runs of rows begin at a byte",
        ),
    ),
    *_mutants(
        "coreai_opt/evaluation/output_comparison.py",
        (
            "sqnr-sides",
            "np.sum(signal**2) / noise",
            "np.sum(np.asarray(approximation, np.float64) ** 2) / noise",
            "the signal of an SQNR is the reference",
        ),
        (
            "quality-nan",
            "if not c.sqnr_db >= min_sqnr_db",
            "if c.sqnr_db < min_sqnr_db",
            "an output whose SQNR is NaN has too little",
        ),
        (
            "top-1-axis",
            "r.argmax(-1) == y.argmax(-1)",
            "r.argmax(0) == y.argmax(0)",
            "top-1 is along the last axis",
        ),
    ),
    *_mutants(
        "coreai_opt/planning/knapsack.py",
        (
            "budget-rounding",
            "left = Fraction(budget) - sum(Fraction(option.size) for option in chosen)",
            "left = Fraction(budget - sum(option.size for option in chosen))",
            "sizes are added without rounding",
        ),
        (
            "budget-order",
            "key=lambda step: step.saving / step.size, reverse=True",
            "key=lambda step: step.saving, reverse=True",
            "steps that save the most for their size come first",
        ),
        (
            "budget-hull",
            "_rate(options, *hull[-2:]) <= _rate(options, hull[-1], number)",
            "_rate(options, *hull[-2:]) > _rate(options, hull[-1], number)",
            "only options on the lower convex hull are steps",
        ),
        (
            "budget-fill",
            "    _fill(items, picks, left)\n",
            "",
            "what is left of the budget is used",
        ),
        (
            "budget-limit",
            "if saving > 0 and size <= left",
            "if saving > 0",
            "a selection keeps to the budget",
        ),
    ),
)

_FILES = (
    *_mutants(
        "coreai_opt/program/assets.py",
        (
            "digest-unchecked",
            'hashlib.file_digest(file, "sha256").digest() != digest.read_bytes()',
            "False",
            "an asset whose program is not that of its digest is damaged",
        ),
        (
            "file-in-place",
            '        new.write_text(text, "utf-8")\n        os.replace(new, path)\n',
            '        path.write_text(text, "utf-8")\n',
            "a report or plan that is there stays until the new one is complete",
        ),
        (
            "existing-output",
            "if os.path.lexists(path) and not force:",
            "if False:",
            "an output that exists needs --force",
        ),
        (
            "old-asset-lost",
            "discarded if os.path.lexists(path) else path",
            "discarded",
            "the old asset comes back where the new one cannot be moved",
        ),
        (
            "no-turns",
            "        fcntl.flock(descriptor, fcntl.LOCK_EX)\n",
            "",
            "writers of one output take turns",
        ),
    ),
    *_mutants(
        "coreai_opt/cli/quantize.py",
        (
            "report-after-asset",
            "            path = outputs.enter_context(replacing(destination, force=force))\n"
            "            save_asset(program, path, asset)\n"
            "            _check_size(path, goal.target_size)\n",
            "            with replacing(destination, force=force) as path:\n"
            "                save_asset(program, path, asset)\n"
            "                _check_size(path, goal.target_size)\n",
            "an asset stays where its report cannot be written",
        ),
    ),
)

_PROGRAMS = (
    *_mutants(
        "coreai_opt/program/forms/blockwise.py",
        (
            "stored-offset",
            "if ir.read_constant(offset2).any():",
            "if False:",
            "a weight whose decoder adds something else is not decoded",
        ),
    )
    + _mutants(
        "coreai_opt/program/forms/blockwise.py",
        (
            "stored-scheme",
            "is_neutral and bool((zero_point == first).all())",
            "bool((zero_point == first).all())",
            "only neutral zero points are symmetric",
        ),
        (
            "stored-blocks",
            "if is_channel and all(w or size == 1",
            "if is_channel or all(w or size == 1",
            "per channel, blocks are whole axes and single channels",
        ),
    ),
    *_mutants(
        "coreai_opt/planning/measure.py",
        (
            "plan-alone",
            "    with alone_with(program):\n",
            "    if True:\n",
            "no plan is made for a program that another thread changes",
        ),
    ),
    *_mutants(
        "coreai_opt/arrays/threads.py",
        (
            "unjoined",
            "        for task in tasks:\n            task.join()\n",
            "        pass\n",
            "all parts have ended when one fails",
        ),
        (
            "busy-parts",
            "say_busy(tasks)",
            "say_busy()",
            "a call is busy when all its parts are",
        ),
        (
            "busy-early",
            "    _this_thread.task = task\n",
            "    task.mark_busy()\n",
            "a call is busy when it needs the interpreter no more",
        ),
        (
            "task-kept",
            "            del task  #",
            "            #",
            "threads that wait keep nothing of the last call",
        ),
    ),
    *_mutants(
        "coreai_opt/program/weights.py",
        (
            "threshold",
            "tensor.size > weight_num_threshold",
            "tensor.size >= weight_num_threshold",
            "the threshold is exclusive",
        ),
        (
            "every-user",
            "all(as_weight)",
            "any(as_weight)",
            "every user must use a weight as its weight",
        ),
        (
            "unused",
            "bool(site.uses) and (",
            "(",
            "a constant without users is no weight",
        ),
        (
            "convolution-operand",
            "TRANSPOSED_CONVOLUTIONS, frozenset({1})",
            "TRANSPOSED_CONVOLUTIONS, frozenset({0, 1})",
            "a convolution's weight is operand 1",
        ),
        (
            "gather",
            "GATHER: frozenset({0})",
            "GATHER: frozenset()",
            "tables of embeddings are weights",
        ),
    ),
    *_mutants(
        "coreai_opt/program/names.py",
        (
            "computed-data",
            "return ir.operand_constant(op, 0) is not None",
            "return True",
            "what decodes something computed is not a quantized weight",
        ),
        (
            "decoded-constants",
            "return all(use.op.name != ir.BLOCKWISE_SHIFT_SCALE for use in uses)",
            "return True",
            "the scales of quantized weights do not change the numbers of names",
        ),
        (
            "same-name",
            "name if seen[name] == 1 else",
            "name if True else",
            "no two weights of a program have the same name",
        ),
        (
            "order-of-uses",
            "in sorted(found)",
            "in found",
            "a name does not depend on the order of a weight's uses",
        ),
    ),
    *_mutants(
        "coreai_opt/program/channel_axes.py",
        (
            "matmul-axes",
            "ChannelAxes(output=columns, input=rows, batch=batch)",
            "ChannelAxes(output=rows, input=columns, batch=batch)",
            "a matmul's right operand is [K, N]",
        ),
        (
            "transposed-convolution-axes",
            "ChannelAxes(output=1, input=0, groups=_groups(use.op))",
            "ChannelAxes(output=0, input=1, groups=_groups(use.op))",
            "a transposed convolution's weight is [I, O, ...]",
        ),
        (
            "permutation",
            "output=source[axes.output]",
            "output=source.index(axes.output)",
            "axis i behind a transpose is axis permutation[i] in front of it",
        ),
        (
            "group-of-blocks",
            "group = weight.shape[axes.input] // axes.groups",
            "group = weight.shape[axes.input]",
            "a block stays within a group",
        ),
        (
            "heads",
            "(axes.output, *axes.batch)",
            "(axes.output,)",
            "matrices of a batch do not share scales",
        ),
        (
            "groups",
            "whole = group if axes.groups > 1 else 0",
            "whole = 0",
            "groups of a transposed convolution do not share scales",
        ),
        (
            "disagreement",
            "len(meanings) > 1",
            "len(meanings) > 2",
            "users that disagree give output 0, input 1 and a warning",
        ),
        (
            "fit-largest",
            "range(longest, 0, -1)",
            "range(longest // 2, 0, -1)",
            "blocks that fit are the largest that divide the channels",
        ),
        (
            "fit-per-channel",
            "if divisor == 1:",
            "if divisor == 0:",
            "where no block size but 1 divides the channels they have one scale",
        ),
        (
            "fit-only-when-asked",
            "if not fit:",
            "if False:",
            "indivisible weights are left as they are unless blocks that fit are asked for",
        ),
    ),
    *_mutants(
        "coreai_opt/settings/checked.py",
        (
            "fit-mxfp4",
            "indivisible is Indivisible.FIT and not _is_mxfp4(spec)",
            "indivisible is Indivisible.FIT",
            "MXFP4 has blocks of 32 and no others",
        ),
    ),
    *_mutants(
        "coreai_opt/settings/rules.py",
        (
            "whole-name",
            "re.fullmatch(pattern.removeprefix(_REGEX), text)",
            "re.match(pattern.removeprefix(_REGEX), text)",
            "a regular expression matches from end to end",
        ),
        (
            "case",
            "fnmatch.fnmatchcase(text, pattern)",
            "fnmatch.fnmatchcase(text.lower(), pattern.lower())",
            "a glob tells upper from lower case",
        ),
        (
            "any-consumer",
            "or any(_matches_op(rule.consumer, op) for op in consumers)",
            "or all(_matches_op(rule.consumer, op) for op in consumers)",
            "one consumer that matches is enough",
        ),
        (
            "dialect",
            'matches(pattern, op) or matches(pattern, op.rsplit(".", 1)[-1])',
            "matches(pattern, op)",
            "consumers match with or without their dialect",
        ),
        (
            "rank",
            "len(pattern) == len(shape) and all(",
            "all(",
            "a shape has an entry for each axis",
        ),
        (
            "comparison",
            '"<": operator.lt',
            '"<": operator.le',
            "< excludes its bound",
        ),
        (
            "rest-of-the-call",
            "    if rule.dtype is not None:\n        call",
            "    if False:\n        call",
            "a dtype brings its own scheme and scale dtype",
        ),
        (
            "block-size-without-blocks",
            "settings.granularity is not CompressionGranularity.PER_BLOCK",
            "False",
            "a block size without blocks is refused",
        ),
        (
            "keep-and-settings",
            "if rule.keep == bool(rule.said()):",
            "if not rule.keep and not rule.said():",
            "a rule either keeps or has settings",
        ),
    ),
    *_mutants(
        "coreai_opt/program/jobs.py",
        (
            "last-rule",
            "rules[matching[-1] - 1].settings",
            "rules[matching[0] - 1].settings",
            "the last rule that matches counts",
        ),
        (
            "unused-rule",
            "if number not in used:",
            "if False:",
            "a rule that matches no weight is an error",
        ),
        (
            "behind-transposes",
            "for use in consumers(weight.uses)}",
            "for use in weight.uses}",
            "a rule's consumers are those behind transposes",
        ),
    ),
    *_mutants(
        "coreai_opt/program/forms/blockwise.py",
        (
            "zero-point-splat",
            "codes.argmin() == codes.argmax()",
            "codes.argmin() >= 0",
            "zero points that differ are all stored",
        ),
        (
            "zero-point-packing",
            "packed = pack(zero_point, FORMATS[quantized.dtype])",
            "packed = np.resize(zero_point.view(np.uint8), "
            "FORMATS[quantized.dtype].packed_size(zero_point.size))",
            "zero points are packed as codes are",
        ),
        (
            "result-type",
            "element_type(quantized.weight_dtype)",
            "element_type(scale.dtype)",
            "offset2 has the dtype that the weight decodes to",
        ),
    ),
    *_mutants(
        "coreai_opt/program/ir/builder.py",
        (
            "shared-memory",
            "array.flags.writeable = False",
            "array = array.copy()",
            "a constant protects the memory that it shares",
        ),
        (
            "alignment",
            "alignment=_ALIGNMENT",
            "alignment=1",
            "constants are aligned as Core AI's own are",
        ),
        (
            "failed-ops",
            "        if error is not None:\n            self.erase()\n",
            "        pass\n",
            "an op that does not verify is not left behind",
        ),
    ),
    *_mutants(
        "coreai_opt/program/quantize.py",
        (
            "one-buffer",
            "cycle((Buffer(), Buffer()))",
            "cycle((Buffer(),))",
            "a weight is not read into the memory that another is quantized from",
        ),
        (
            "read-at-once",
            "                task.wait_until_busy()  # Core AI",
            "                # Core AI",
            "the next weight is read when this one is being quantized",
        ),
        (
            "mismatch-unnamed",
            'raise BackendMismatchError(f"{weight}: {error}") from error',
            "raise",
            "a mismatch names its weight",
        ),
    ),
)

_PLANS = (
    *_mutants(
        "coreai_opt/planning/knapsack.py",
        (
            "budget-to-the-byte",
            "if saving > 0 and size <= left",
            "if saving > 0 and size < left",
            "what is left of a budget is used to the last byte",
        ),
        (
            "budget-rounded",
            "    left = Fraction(budget) - sum(Fraction(option.size) for option in chosen)",
            "    left = Fraction(budget - sum(option.size for option in chosen))",
            "sizes are added without rounding",
        ),
        (
            "budget-worst-first",
            "saving / step.size, reverse=True)",
            "saving / step.size)",
            "the steps that save the most per size are taken first",
        ),
        (
            "budget-not-filled",
            "    _fill(items, picks, left)\n",
            "",
            "what still fits is not left out",
        ),
        (
            "budget-above-the-hull",
            "<= _rate(options, hull[-1], number)",
            "< 0 * _rate(options, hull[-1], number)",
            "an option above the hull is no corner",
        ),
    ),
    *_mutants(
        "coreai_opt/planning/plan.py",
        (
            "plan-amplitudes",
            "select(by_cost, 10 ** (-min_sqnr / 10))",
            "select(by_cost, 10 ** (-min_sqnr / 20))",
            "an SQNR is of powers",
        ),
        (
            "plan-first-name",
            "for name in w.names\n        )",
            "for name in w.names[:1]\n        )",
            "weights that are identical all get their rule",
        ),
        (
            "plan-nan",
            "elif not (math.isfinite(min_sqnr) and min_sqnr >= 0)",
            "elif not min_sqnr >= 0",
            "a floor of NaN or infinity is refused",
        ),
    ),
    *_mutants(
        "coreai_opt/planning/measure.py",
        (
            "plan-all-alike",
            "weight.shape, weight.dtype, digest, tuple(blocks)",
            "weight.shape, weight.dtype, tuple(blocks)",
            "only weights of the same bytes are identical",
        ),
        (
            "plan-any-blocks",
            "weight.shape, weight.dtype, digest, tuple(blocks)",
            "weight.shape, weight.dtype, digest",
            "weights with other blocks are not identical",
        ),
        (
            "plan-splats",
            "stored_bytes(weight.op), math.inf",
            "weight.nbytes, math.inf",
            "a weight of one value takes no room",
        ),
        (
            "plan-by-elements",
            "sum(math.sqrt(weight.tensor.size)",
            "sum(float(weight.tensor.size)",
            "a weight counts by the square root of its elements",
        ),
        (
            "plan-one-probe",
            "for settings in probes:",
            "for settings in probes[:1]:",
            "a weight that is exact in INT4 is probed in INT2",
        ),
        (
            "plan-first-sample",
            "self._samples = split_samples(program, inputs)",
            "self._samples = split_samples(program, inputs)[:1]",
            "all samples count",
        ),
    ),
    *_mutants(
        "coreai_opt/coreai_utils/format_planning.py",
        (
            "plan-settings-of-the-call",
            "DEFAULTS.merge(_parse_candidate(number, candidate))",
            "_parse_candidate(number, candidate)",
            "a plan's rules leave nothing to the call",
        ),
    ),
)

_REPORTS = (
    *_mutants(
        "coreai_opt/reports/charts.py",
        (
            "unescaped-bar",
            "{escape(bar.name)}",
            "{bar.name}",
            "names beside bars are escaped",
        ),
        (
            "bars-by-themselves",
            "bar.length / longest)",
            "1.0)",
            "bars are to one scale",
        ),
    ),
    *_mutants(
        "coreai_opt/reports/html.py",
        (
            "unescaped-title",
            "title = escape(summary.title)",
            "title = report.title",
            "the title is escaped",
        ),
        (
            "unescaped-cell",
            "{escape(t)}",
            "{t}",
            "the cells of a page's tables are escaped",
        ),
        (
            "unescaped-reason",
            "{escape(said)}",
            "{said}",
            "reasons are escaped",
        ),
        (
            "open-policy",
            "default-src 'none'",
            "default-src *",
            "a page may fetch nothing",
        ),
    ),
    *_mutants(
        "coreai_opt/reports/markdown.py",
        (
            "unescaped-pipe",
            "<>|#",
            "<>#",
            "a pipe does not end a cell",
        ),
        (
            "unescaped-tag",
            "<>|#",
            "|#",
            "Markdown's HTML is escaped",
        ),
        (
            "broken-row",
            '" ".join(text.split()))',
            "text)",
            "a row is one line",
        ),
    ),
    *_mutants(
        "coreai_opt/reports/terminal.py",
        (
            "markup",
            "Text(column.cell(record))",
            "column.cell(record)",
            "brackets in names are no markup",
        ),
    ),
    *_mutants(
        "coreai_opt/reports/summary.py",
        (
            "largest-added",
            "max(error.largest for error in errors)",
            "sum(error.largest for error in errors)",
            "the largest error of all is that of one",
        ),
        (
            "best-first",
            "key=lambda pair: pair[1].sqnr_db)",
            "key=lambda pair: -pair[1].sqnr_db)",
            "the worst come first",
        ),
    )
    + _mutants(
        "coreai_opt/reports/report.py",
        (
            "json-infinity",
            "finite(record.error.sqnr_db)",
            "record.error.sqnr_db",
            "JSON has no infinity",
        ),
    ),
    *_mutants(
        "coreai_opt/cli/quantize.py",
        (
            "file-size-unchecked",
            "size > target:",
            "size > 2 * target:",
            "a file that is larger than --target-size is not left",
        ),
        (
            "ops-for-nothing",
            " + IR_BYTES * (names + 1)",
            "",
            "what a quantized weight takes beside its bytes counts",
        ),
        (
            "dry-run-writes",
            "    if dry_run:\n        return None",
            "    if dry_run and output is None:\n        return None",
            "a dry run writes no asset",
        ),
        (
            "options-ignored",
            "    useless += map(option_of, settings.said())\n",
            "    useless += [option_of(name) for name in settings.said() if name == 'dtype']\n",
            "an option that would do nothing is refused",
        ),
    ),
)

MUTANTS = (
    *_SCALES,
    *_KERNELS,
    *_REDUCE,
    *_ENCODE,
    *_SEARCH,
    *_QUANTIZE,
    *_TOGETHER,
    *_CODES,
    *_ENCODINGS,
    *_TO_CODES,
    *_GEOMETRY,
    *_PACKING,
    *_ENCODER,
    *_STREAM,
    *_PARAMETERS,
    *_DECODE,
    *_LAYOUT,
    *_FORMATS,
    *_FLOAT_BITS,
    *_DISPATCH,
    *_PORTABLE,
    *_AVX2,
    *_AVX512,
    *_NEON,
    *_REFERENCE,
    *_ARRAYS,
    *_FIGURES,
    *_FILES,
    *_PROGRAMS,
    *_PLANS,
    *_REPORTS,
)
