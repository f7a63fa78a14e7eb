"""Mutants of the C library around the kernels."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "reduce_unit",
        (
            "range-has-zero",
            "tile->above[i] = tile->below[i] = 0;",
            "tile->above[i] = tile->below[i] = 0x3F000000;",
            "an asymmetric range includes zero",
        ),
    ),
    *mutants(
        "caq_count_direct",
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
    ),
    *mutants(
        "codes:float_target",
        (
            "e5m2-f16-divisor",
            "largest / 16.0f",
            "largest / 8.0f",
            "with float16 scales E5M2 aims at 3584",
        ),
    ),
    *mutants(
        "symmetric_max",
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
    ),
    *mutants(
        "integer_offset",
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
    ),
    *mutants(
        "integer_largest",
        (
            "symmetric-largest",
            ": symmetric_zero(job) + symmetric_max(format);",
            ": asymmetric_levels(format);",
            "symmetric codes are clipped to -Q .. Q",
        ),
    ),
    *mutants(
        "caq_describe_encoding",
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
    ),
    *mutants(
        "caq_describe_decoding",
        (
            "decode-sign",
            "is_float(format) || format.is_signed ?",
            "is_float(format) ?",
            "INT codes decode with their sign",
        ),
    ),
    *mutants(
        "caq_run_start",
        (
            "axis-stride",
            "stride *= job->blocks[axis] * job->length[axis];",
            "stride *= job->blocks[axis];",
            "strides of merged axes",
        ),
    ),
    *mutants(
        "shift_of",
        (
            "nibble-order-at-edges",
            "(unsigned)element % (8 / bits) * bits",
            "(8 / bits - 1 - (unsigned)element % (8 / bits)) * bits",
            "the first code is in the lowest bits",
        ),
    ),
    *mutants(
        "put_code",
        (
            "neighbours-in-a-byte",
            "(*byte & ~mask)",
            "0",
            "rows that share a byte leave each other's codes alone",
        ),
    ),
    *mutants(
        "caq_pack_codes",
        (
            "unused-bits",
            "put_code(packed, element, bits, 0);",
            "put_code(packed, element, bits, 1);",
            "unused bits of the last byte are zero",
        ),
    ),
    *mutants(
        "caq_unpack_codes",
        (
            "decode-within-a-byte",
            "element % codes_per_byte; count--)\n        *codes++ = get_code",
            "0; count--)\n        *codes++ = get_code",
            "a run of elements may begin within a byte",
        ),
    ),
    *mutants(
        "caq_unpack",
        (
            "unpack-sign",
            "(uint8_t)((codes[i] ^ sign) - sign)",
            "(uint8_t)(codes[i] ^ (sign & 0))",
            "unpacked INT codes have the sign of their bits",
        ),
    ),
    *mutants(
        "encode_packing",
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
    ),
    *mutants(
        "caq_scale_blocks",
        (
            "join-threads",
            "tile->below[i] = below[block + i]",
            "tile->below[i] = 0",
            "the scale of what was measured in parts knows both ends",
        ),
    ),
    *mutants(
        "widen_e8m0",
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
    ),
    *mutants(
        "load_zero_points",
        (
            "decode-zero-point",
            "& mask) ^ with->decoding.sign",
            "& mask)",
            "INT zero points decode with their sign",
        ),
    ),
    *mutants(
        "dequantize:decode_columns",
        (
            "decode-columns-of-a-band",
            "length, first / job->row)",
            "length, 0)",
            "rows of columns decode together only with the same parameters",
        ),
    ),
    *mutants(
        "add_axis",
        (
            "merge-axes",
            "(blocks == 1 || job->length[last] == 1)",
            "(blocks == 1 || job->blocks[last] == 1 || job->length[last] == 1)",
            "axes that blocks tell apart are not merged",
        ),
    ),
    *mutants(
        "choose_granule",
        (
            "granule",
            "return bands * job->tiles;",
            "return job->tiles;",
            "parts of the work do not share bytes",
        ),
    ),
    *mutants(
        "at_least_1",
        (
            "tile-ends-on-byte",
            "return length * bits % 8 == 0 ? tile : 8;",
            "return tile;",
            "tiles of a row do not share bytes",
        ),
    ),
    *mutants(
        "cut_into_units",
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
    ),
    *mutants(
        "merge_axes",
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
    ),
    *mutants(
        "caq_set_importance",
        (
            "importance-sign",
            "importance[i] >= 0.0f &&",
            "importance[i] >= -1.0f &&",
            "importances are not negative",
        ),
    ),
    *mutants(
        "caq_describe_format",
        (
            "e4m3-bias",
            ".bias = 7",
            ".bias = 8",
            "E4M3's exponent bias",
        ),
        (
            "e2m1-emax",
            ".emax = 2",
            ".emax = 3",
            "E2M1's emax, which its E8M0 scales are relative to",
        ),
        (
            "e5m2-largest",
            "57344.0f",
            "49152.0f",
            "E5M2 saturates at its largest number",
        ),
        (
            "int2-signed",
            "{.bits = 2, .is_signed = 1}",
            "{.bits = 2}",
            "INT2 is signed",
        ),
    ),
    *mutants(
        "round_to_f16",
        (
            "f16-tie",
            "bits + 0xFFF + ((bits >> 13) & 1)",
            "bits + 0x1000",
            "scales round half even to float16",
        ),
        (
            "f16-subnormal",
            "float_bits((x + 0.5f) - 0.5f)",
            "normal",
            "scales round to float16's subnormals",
        ),
    ),
    *mutants(
        "round_to_bf16",
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
    ),
    *mutants(
        "float_from_f16",
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
    ),
)
