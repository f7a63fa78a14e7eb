"""Mutants of the kernels: templates and instruction sets."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "describe_scale",
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
    ),
    *mutants(
        "scales.h:round_scales",
        (
            "smallest-scale-unused",
            "scale[i] < smallest ? smallest : scale[i]",
            "scale[i]",
            "scales too small to divide by are raised",
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
    ),
    *mutants(
        "decodable_scale",
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
    ),
    *mutants(
        "finish_scales",
        (
            "round-scale-after-codes",
            "tile->reciprocal[i] = 1.0f / tile->scale[i];",
            "tile->reciprocal[i] = job->scheme == CAQ_SYMMETRIC && job->scale != "
            "CAQ_SCALE_E8M0 && !caq_describe_format(job->format).mantissa && "
            "tile->absmax[i] >= 0x1p-10f ? 1.0f / (tile->absmax[i] / "
            "(float)symmetric_max(caq_describe_format(job->format))) : 1.0f / "
            "tile->scale[i];",
            "the scale is rounded before codes are computed from it",
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
    ),
    *mutants(
        "e8m0_scale",
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
    ),
    *mutants(
        "find_symmetric",
        (
            "epsilon",
            "tile->scale[i] = tile->absmax[i] / divisor;",
            "tile->scale[i] = (tile->absmax[i] + 1e-6f) / divisor;",
            "there is no epsilon",
        ),
    ),
    *mutants(
        "asymmetric_quotient",
        (
            "spread-overflows",
            "int too_far = above + below > FLT_MAX;",
            "int too_far = 0;",
            "a range that overflows is halved",
        ),
    ),
    *mutants(
        "find_asymmetric",
        (
            "asymmetric-absmax",
            "tile->above[i] > tile->below[i] ? tile->above[i] : tile->below[i]",
            "tile->above[i]",
            "both ends of the range say how large the weights are",
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
    ),
    *mutants(
        "round_integer",
        (
            "zero-point-tie",
            "return (x + 0x1.8p23f) - 0x1.8p23f;",
            "return (float)(int32_t)(x + 0.5f);",
            "the zero point's half rounds to even",
        ),
        (
            "float-code-tie",
            "((bits >> dropped) & 1)",
            "0",
            "the largest weight's FP code is rounded half even before its scale is lowered",
        ),
    ),
    *mutants(
        "side_absmax",
        (
            "absmax-sign",
            "return v_and(bits, v_set_i(IS_HALF ? 0x7FFF7FFF : INT32_MAX));",
            "return bits;",
            "absmax is of magnitudes",
        ),
    ),
    *mutants(
        "side_range",
        (
            "range-sides",
            "return side ? v_xor(bits, v_set_i(signs)) : bits;",
            "return bits;",
            "a range has two ends",
        ),
    ),
    *mutants(
        "pad",
        (
            "padding",
            "padded[i] = 0;",
            "padded[i] = (ELEMENT)0x4000;",
            "what fills a vector up changes no statistic",
        ),
    ),
    *mutants(
        "rows",
        (
            "block-stride",
            "KERNEL(load_bits)(p + row * stride)",
            "KERNEL(load_bits)(p + row)",
            "rows of a block lie a stride apart",
        ),
    ),
    *mutants(
        "blocks",
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
    ),
    *mutants(
        "reduce:block",
        (
            "tail-statistics",
            "KERNEL(pad)(padded, WIDTH, p + i, length - i);",
            "KERNEL(pad)(padded, WIDTH, p + i, length - i - 1);",
            "the last elements of a block count",
        ),
        (
            "elements-behind",
            "v_and(KERNEL(load_bits)(p + i), rest)",
            "KERNEL(load_bits)(p + i)",
            "elements behind a block do not count",
        ),
    ),
    *mutants(
        "reduce:few",
        (
            "tail-columns",
            "KERNEL(pad)(padded, WIDTH, p + row * stride, count);",
            "KERNEL(pad)(padded, WIDTH, p, count);",
            "rows of few columns lie a stride apart",
        ),
    ),
    *mutants(
        "raise",
        (
            "even-columns",
            "v_from_bits(v_shift_up(found, 16))",
            "v_from_bits(v_shift_up(found, 0))",
            "of two columns of 16 bits each has its own statistic",
        ),
    ),
    *mutants(
        "vector",
        (
            "rows-of-statistics",
            "REDUCER(raise)(stats[k] + first, found[k])",
            "v_store_i(stats[k] + first, found[k])",
            "a column's statistics are over all its rows",
        ),
    ),
    *mutants(
        "encode:columns",
        (
            "zero-of-column",
            "v_load_i(zero + i + v * LANES);",
            "v_load_i(zero + i);",
            "every column has a zero point of its own",
        ),
        (
            "packed-rows",
            "codes + row * code_stride + (i >> to->halvings)",
            "codes + row * code_stride + i",
            "rows of columns are stored packed",
        ),
    ),
    *mutants(
        "rest",
        (
            "scale-of-last-columns",
            "v_set_f(reciprocal[i])",
            "v_set_f(reciprocal[0])",
            "every column has a scale of its own",
        ),
    ),
    *mutants(
        "row",
        (
            "zero-of-block",
            "v_set_i(zero[block]), to,",
            "v_set_i(zero[0]), to,",
            "every block has a zero point of its own",
        ),
    ),
    *mutants(
        "group",
        (
            "scale-in-group",
            "block = at / length;",
            "block = i / length;",
            "blocks of a group have scales of their own",
        ),
    ),
    *mutants(
        "encode:block",
        (
            "tail-of-block",
            "ENCODER(few)(p + i, length - i, reciprocal, zero, to, codes + i);",
            "ENCODER(few)(p + i, length - i - 1, reciprocal, zero, to, codes + i);",
            "the last elements of a block are encoded",
        ),
    ),
    *mutants(
        "code_integer",
        (
            "zero-point-before-rounding",
            "v_add_i(v_round(v_mul(w, reciprocal)), zero)",
            "v_round(v_add(v_mul(w, reciprocal), v_add(v_from_bits(v_add_i(zero, "
            "v_set_i(0x4B000000))), v_set_f(-0x1p23f))))",
            "the product is rounded before the zero point is added",
        ),
    ),
    *mutants(
        "bytes_integer",
        (
            "clip-largest",
            "b_lesser(b_narrow(codes), b_set(to->largest))",
            "b_narrow(codes)",
            "codes are clipped at the top",
        ),
    ),
    *mutants(
        "code_float",
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
            "vi sign = v_and(bits, v_sub_i(v_set_i(0), code)); sign = v_and(sign, "
            "v_set_i(INT32_MIN));",
            "FP codes keep the sign of zero",
        ),
    ),
    *mutants(
        "decode_block",
        (
            "decode-tail",
            "KERNEL(decode_few)(codes + i, length - i, scale, zero, from, is_float, to + i);",
            "KERNEL(decode_few)(codes + i, length - i - 1, scale, zero, from, is_float, to + i);",
            "the last elements of a block are decoded",
        ),
    ),
    *mutants(
        "decode_rest",
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
    ),
    *mutants(
        "decode_row",
        (
            "decode-scale-of-block",
            "length, v_set_f(scale[block])",
            "length, v_set_f(scale[0])",
            "every block is decoded with a scale of its own",
        ),
    ),
    *mutants(
        "look_up_group",
        (
            "look-up-group",
            "tables[(i + v) / USUAL_LENGTH]",
            "tables[0]",
            "blocks of a group have tables of their own",
        ),
    ),
    *mutants(
        "make_table",
        (
            "look-up-codes",
            "(codes + v, scale, zero, from, is_float, 0, table + v);",
            "(codes, scale, zero, from, is_float, 0, table + v);",
            "a table has all codes",
        ),
    ),
    *mutants(
        "decode_group",
        (
            "decode-scale-in-group",
            "size_t block = (i + v * LANES) / length;",
            "size_t block = i / length;",
            "blocks of a group are decoded with scales of their own",
        ),
    ),
    *mutants(
        "decode:decode_columns",
        (
            "decode-rows",
            "codes + row * code_stride + (i >> from->halvings)",
            "codes + row * code_stride + i",
            "rows of columns are read packed",
        ),
    ),
    *mutants(
        "v_round_bf16",
        (
            "decode-bf16-tie",
            "v_add_i(odd, v_set_i(0x7FFF))",
            "v_set_i(0x8000)",
            "decoded bfloat16 numbers are rounded half to even",
        ),
    ),
    *mutants(
        "caq_best_level",
        (
            "best-level",
            "int level = CAQ_LEVELS - 1;",
            "int level = CAQ_LEVELS - 2;",
            "the best instruction set is used",
        ),
    ),
    *mutants(
        "portable:v_set_f",
        (
            "portable-round",
            "v_lesser(x, 0x1p22f) + 0x1.8p23f",
            "v_lesser(x, 0x1p22f) + (x < 0 ? -0x1p-2f : 0x1p-2f) + 0x1.8p23f",
            "portable: round half even",
        ),
    ),
    *mutants(
        "portable:pack",
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
    ),
    *mutants(
        "v_set_i",
        (
            "portable-shift",
            "return (vi)((uint32_t)a >> n);",
            "return a >> n;",
            "portable: the sign bit moves alone",
        ),
    ),
    *mutants(
        "portable:b_narrow",
        (
            "portable-clip",
            "v_max(codes[0], 0)",
            "codes[0]",
            "portable: codes below zero are clipped",
        ),
    ),
    *mutants(
        "avx2:v_set_f",
        (
            "avx2-round",
            "v_round(vf x) { return _mm256_cvtps_epi32(x); }",
            "v_round(vf x) { return _mm256_cvttps_epi32(x); }",
            "AVX2: round, not truncate",
        ),
    ),
    *mutants(
        "avx2:v_max_pairs",
        (
            "avx2-stream",
            "return stream && (uintptr_t)p % bytes == 0;",
            "return stream;",
            "AVX2: only whole vectors go past the caches",
        ),
    ),
    *mutants(
        "avx2:v_float_numbers",
        (
            "avx2-half-special",
            "_mm_cmpgt_epi16(magnitude,",
            "_mm_cmpgt_epi16(_mm_setzero_si128(),",
            "AVX2: codes of infinities and NaNs decode to these",
        ),
    ),
    *mutants(
        "avx2:v_raise_4_pairs",
        (
            "avx2-largest-pairs",
            "x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));",
            "x = _mm_max_epi16(x, x);",
            "AVX2: the largest of a block is over all of its numbers of 16 bits",
        ),
    ),
    *mutants(
        "pair_4_bits",
        (
            "avx2-nibbles",
            "_mm256_set1_epi16(0x1001)",
            "_mm256_set1_epi16(0x0110)",
            "AVX2: the first 4-bit code is in the lowest bits",
        ),
    ),
    *mutants(
        "avx2:join_4_bits",
        (
            "avx2-pack-lanes",
            "_mm256_permute4x64_epi64(bytes, 0xD8)",
            "bytes",
            "AVX2: packing leaves bytes in order",
        ),
    ),
    *mutants(
        "avx2:b_narrow",
        (
            "avx2-step-lanes",
            "0, 4, 1, 5, 2, 6, 3, 7",
            "0, 1, 2, 3, 4, 5, 6, 7",
            "AVX2: a step's codes are in order",
        ),
        (
            "avx2-clip",
            "_mm256_packus_epi16(_mm256_packs_epi32(x[0], x[1])",
            "_mm256_packs_epi16(_mm256_packs_epi32(x[0], x[1])",
            "AVX2: codes below zero are clipped",
        ),
    ),
    *mutants(
        "avx2:v_largest",
        (
            "avx2-largest-lane",
            "_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1))",
            "x",
            "AVX2: the largest of all lanes",
        ),
    ),
    *mutants(
        "avx512:v_set_f",
        (
            "avx512-round",
            "v_round(vf x) { return _mm512_cvtps_epi32(x); }",
            "v_round(vf x) { return _mm512_cvttps_epi32(x); }",
            "AVX-512: round, not truncate",
        ),
    ),
    *mutants(
        "avx512:v_load_pairs",
        (
            "avx512-stream",
            "return stream && (uintptr_t)p % bytes == 0;",
            "return stream;",
            "AVX-512: only whole vectors go past the caches",
        ),
    ),
    *mutants(
        "numbers_of",
        (
            "avx512-half-special",
            "_mm256_cmpgt_epi16(magnitude,",
            "_mm256_cmpgt_epi16(_mm256_setzero_si256(),",
            "AVX-512: codes of infinities and NaNs decode to these",
        ),
    ),
    *mutants(
        "avx512:v_raise_4_pairs",
        (
            "avx512-largest-pairs",
            "x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));",
            "x = _mm_max_epi16(x, x);",
            "AVX-512: the largest of a block is over all of its numbers of 16 bits",
        ),
    ),
    *mutants(
        "avx512:join_4_bits",
        (
            "avx512-nibbles",
            "_mm512_set1_epi16(0x1001)",
            "_mm512_set1_epi16(0x0110)",
            "AVX-512: the first 4-bit code is in the lowest bits",
        ),
    ),
    *mutants(
        "avx512:join_2_bits",
        (
            "avx512-crumbs",
            "_mm512_set1_epi16(0x0401)",
            "_mm512_set1_epi16(0x0104)",
            "AVX-512: the order of 2-bit codes",
        ),
    ),
    *mutants(
        "avx512:b_narrow",
        (
            "avx512-step-lanes",
            "0, 4, 8, 12, 1, 5, 9, 13",
            "0, 1, 2, 3, 4, 5, 6, 7",
            "AVX-512: a step's codes are in order",
        ),
        (
            "avx512-clip",
            "_mm512_packus_epi16(_mm512_packs_epi32(codes[0]",
            "_mm512_packs_epi16(_mm512_packs_epi32(codes[0]",
            "AVX-512: codes below zero are clipped",
        ),
    ),
    *mutants(
        "avx512:v_largest",
        (
            "avx512-largest-4",
            "_mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1))",
            "_mm512_castsi512_si256(all)",
            "AVX-512: the largest of all quarters",
        ),
    ),
    *mutants(
        "avx512:v_load_f16",
        (
            "avx512-bf16",
            "_mm512_cvtepu16_epi32(load_halves(p)), 16)",
            "_mm512_cvtepu16_epi32(load_halves(p)), 15)",
            "AVX-512: bfloat16 is the upper half of float32",
        ),
    ),
    *mutants(
        "neon:v_set_f",
        (
            "neon-round",
            "v_round(vf x) { return vcvtnq_s32_f32(x); }",
            "v_round(vf x) { return vcvtaq_s32_f32(x); }",
            "NEON: halves round to even",
        ),
    ),
    *mutants(
        "neon:join_4_bits",
        (
            "neon-nibbles",
            "vandq_u8(c.val[0], vdupq_n_u8(15)), c.val[1], 4",
            "vandq_u8(c.val[1], vdupq_n_u8(15)), c.val[0], 4",
            "NEON: the first 4-bit code is in the lowest bits",
        ),
    ),
    *mutants(
        "neon:v_largest",
        (
            "neon-largest-4",
            "vpmaxq_s32(most[2], most[3])",
            "vpmaxq_s32(most[2], most[2])",
            "NEON: the largest of four blocks",
        ),
    ),
    *mutants(
        "narrow",
        (
            "neon-clip",
            "vqmovun_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)))",
            "vreinterpret_u8_s8(vqmovn_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))))",
            "NEON: codes below zero are clipped",
        ),
    ),
)
