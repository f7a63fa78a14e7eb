/*
 * exhaustive.c - every binary32 number through every encoder and decoder, beside exact integers
 *
 * exhaustive [NAME...]
 *
 * Without names, everything; else these proofs. Prints a line for each proof; ends
 * with the exit code 1 at the first wrong code or weight.
 *
 *   encode   every finite weight, as caq_encode() rounds it at a given scale and zero point
 *   quantize every weight up to a largest one, as caq_quantize() rounds it with that one in its block
 *   decode   every scale there is, with codes that change from scale to scale
 *   refuse   every NaN and both infinities, as the only weight of a tensor
 *
 * What is right is worked out here in integers alone: a number is m * 2^e, a product has 48 bits, a
 * quotient its remainder. Nothing is shared with the library, and no floating-point operation can
 * round. Codes never fall while weights grow, because each step from one to the other never does:
 * so the weights with one code are found by bisection, and each of them is compared.
 */
#include "coreai_quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((uint32_t)0x10000)
#define BEHIND ((uint32_t)64)
#define FINITE_END ((uint32_t)0x7F800000) /* bits of infinity: magnitudes are below */
#define SIGN ((uint32_t)0x80000000)

/* A magnitude: significand * 2^exponent. */
typedef struct number {
    uint64_t significand;
    int exponent;
} number;

/* |x| of a finite binary32 number, by its bits. */
static number of_bits(uint32_t bits) {
    uint32_t biased = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
    number x = {biased ? fraction | 0x800000 : fraction, (int)(biased ? biased : 1) - 150};
    return x;
}

/* n / 2^shift, halves to even. */
static uint64_t halve(uint64_t n, int shift) {
    if (shift <= 0)
        return n << -shift;
    if (shift > 63)
        return 0; /* n is below 2^62 */
    uint64_t quotient = n >> shift, rest = n & (((uint64_t)1 << shift) - 1);
    uint64_t half = (uint64_t)1 << (shift - 1);
    return quotient + (rest > half || (rest == half && (quotient & 1)));
}

/* The binary32 number that is nearest, halves to even, but for an exponent without upper end. */
static number round_binary32(number x) {
    int width = 0;
    while (width < 64 && x.significand >> width)
        width++;
    int shift = width - 24 > -149 - x.exponent ? width - 24 : -149 - x.exponent;
    if (shift <= 0)
        return x;
    number rounded = {halve(x.significand, shift), x.exponent + shift};
    return rounded;
}

static number multiply(number x, number y) {
    number product = {x.significand * y.significand, x.exponent + y.exponent};
    return round_binary32(product);
}

/* 1 / x for a normal x whose reciprocal is normal: 2^47 / significand has 24 bits or is 2^24. */
static number reciprocal(number x) {
    uint64_t dividend = (uint64_t)1 << 47;
    uint64_t quotient = dividend / x.significand, rest = dividend % x.significand;
    quotient += 2 * rest > x.significand; /* no halves: the significand would divide 2^48 */
    number result = {quotient, -47 - x.exponent};
    return result;
}

/* The bits of a magnitude, or those of infinity. */
static uint32_t to_bits(number x) {
    while (x.significand && x.significand < 0x800000 && x.exponent > -149) {
        x.significand *= 2;
        x.exponent--;
    }
    while (x.significand > 0xFFFFFF) { /* only of 2^24: it is even */
        x.significand /= 2;
        x.exponent++;
    }
    if (x.significand < 0x800000)
        return (uint32_t)x.significand;
    return x.exponent > 104
               ? FINITE_END
               : ((uint32_t)(x.exponent + 150) << 23) + (uint32_t)x.significand - 0x800000;
}

/* A format as the header describes it. */
typedef struct code_format {
    const char *name;
    caq_format number;
    int bits, is_signed;
    int mantissa, bias; /* of floating point; of integers 0 */
    unsigned codes;     /* of floating point: magnitudes that are finite */
} code_format;

static const code_format formats[] = {
    {"INT2", CAQ_INT2, 2, 1, 0, 0, 0},
    {"UINT2", CAQ_UINT2, 2, 0, 0, 0, 0},
    {"INT4", CAQ_INT4, 4, 1, 0, 0, 0},
    {"UINT4", CAQ_UINT4, 4, 0, 0, 0, 0},
    {"INT8", CAQ_INT8, 8, 1, 0, 0, 0},
    {"UINT8", CAQ_UINT8, 8, 0, 0, 0, 0},
    {"FP4_E2M1FN", CAQ_FP4_E2M1FN, 4, 0, 1, 1, 8},
    {"FP8_E4M3FN", CAQ_FP8_E4M3FN, 8, 0, 3, 7, 127},
    {"FP8_E5M2", CAQ_FP8_E5M2, 8, 0, 2, 15, 124},
};
#define FORMATS (sizeof formats / sizeof *formats)

/* The magnitude of a floating-point code, counted in the smallest magnitude above zero. */
static uint64_t float_steps(const code_format *f, unsigned code) {
    unsigned exponent = code >> f->mantissa, fraction = code & ((1u << f->mantissa) - 1);
    return exponent ? (uint64_t)((1u << f->mantissa) | fraction) << (exponent - 1) : fraction;
}

/* The code of a magnitude: the nearest, of two that are as near the even one. */
static unsigned float_code(const code_format *f, number x) {
    int shift = x.exponent - (1 - f->bias - f->mantissa); /* to count in the same steps */
    unsigned code = 0;
    if (!x.significand || shift < -25) /* no more than half a step */
        return 0;
    if (shift > 32) /* beyond all formats: E5M2 has the most steps, 7 * 2^29 */
        return f->codes - 1;
    for (; code + 1 < f->codes; code++) { /* up, while x is beyond the middle */
        uint64_t twice_middle = float_steps(f, code) + float_steps(f, code + 1);
        uint64_t twice = shift > 0 ? 2 * x.significand << shift : 2 * x.significand;
        uint64_t middle = shift > 0 ? twice_middle : twice_middle << -shift;
        if (twice < middle || (twice == middle && code % 2 == 0))
            break;
    }
    return code;
}

/* What codes of one kind are made by. */
typedef struct kind {
    const code_format *format;
    caq_scheme scheme;
    caq_observer observer;
    uint32_t scale;            /* bits */
    int zero, largest, lowest; /* integers: the zero point and the ends, as unsigned codes; and what
                                  stored codes have for 0 */
} kind;

/* The code of a weight, in the low bits. */
static uint8_t code_of(const kind *k, number inverse, uint32_t weight) {
    number scaled = multiply(of_bits(weight), inverse);
    unsigned mask = (1u << k->format->bits) - 1;
    if (k->format->mantissa) {
        unsigned sign = weight & SIGN ? 1u << (k->format->bits - 1) : 0;
        return (uint8_t)(sign | float_code(k->format, scaled));
    }
    int far = scaled.exponent > 8 && scaled.significand;
    int magnitude = far ? 1 << 20 : (int)halve(scaled.significand, -scaled.exponent);
    if (magnitude > 1 << 20)
        magnitude = 1 << 20;
    int code = k->zero + (weight & SIGN ? -magnitude : magnitude);
    code = code < 0 ? 0 : code > k->largest ? k->largest : code;
    return (uint8_t)((unsigned)(code + k->lowest) & mask);
}

/* The first weight behind the one at hand whose code is another, or the end: all have one sign. */
static uint32_t end_of_code(const kind *k, number inverse, uint32_t weight, uint32_t end) {
    uint8_t code = code_of(k, inverse, weight);
    uint32_t same = weight; /* the last that is known to have the code */
    for (uint32_t step = SIGN; step; step /= 2)
        if (step < end - same && code_of(k, inverse, same + step) == code)
            same += step;
    return same + 1;
}

static const char *level_names[CAQ_LEVELS] = {"portable", "NEON", "AVX2", "AVX-512"};

static void fail(const char *what, int level, uint32_t number, unsigned got, unsigned want) {
    printf("%s, %s: of %08X there is %X, right is %X\n", what, level_names[level], (unsigned)number,
           got, want);
    exit(1);
}

static caq_job make_job(const kind *k, int level, caq_scale scale, size_t count, size_t block) {
    caq_job job;
    const caq_target target = {.source = CAQ_F32,
                               .format = k->format->number,
                               .scheme = k->scheme,
                               .scale = scale,
                               .observer = k->observer,
                               .level = (caq_level)level};
    if (caq_job_init(&job, &target, 1, &count, &block) != CAQ_OK)
        abort();
    return job;
}

static uint32_t numbers[CHUNK + BEHIND];
static uint8_t codes[CHUNK], packed[CHUNK + BEHIND], right[CHUNK], zero_points[CHUNK];
static uint32_t decoded[CHUNK];
static int64_t scratch[CAQ_MSE_SCRATCH_SIZE / sizeof(int64_t)];

/* Pack codes into `to`: the first in the lowest bits. */
static void pack(const uint8_t *from, int bits, uint8_t *to) {
    unsigned per_byte = 8 / (unsigned)bits;
    for (uint32_t i = 0; i < CHUNK / per_byte; i++) {
        unsigned byte = 0;
        for (unsigned j = 0; j < per_byte; j++)
            byte |= (unsigned)from[per_byte * i + j] << (j * (unsigned)bits);
        to[i] = (uint8_t)byte;
    }
}

static void compare_packed(const char *what, int level, int bits) {
    uint32_t size = CHUNK * (uint32_t)bits / 8;
    if (!memcmp(packed, right, size))
        return;
    for (uint32_t i = 0; i < CHUNK; i++) {
        uint32_t byte = i * (uint32_t)bits / 8, shift = i * (uint32_t)bits % 8;
        unsigned got = packed[byte] >> shift & ((1u << bits) - 1);
        if (got != codes[i])
            fail(what, level, numbers[i], got, codes[i]);
    }
}

/* Write the right codes of the weights from first on: all have one sign. A run of weights with one
 * code goes on from call to call. */
static void find_right_codes(const kind *k, number inverse, uint32_t first) {
    static uint32_t run_end;
    static uint8_t code;
    uint32_t sign = first & SIGN;
    if (first == sign)
        run_end = first;
    for (uint32_t next = first, end; next < first + CHUNK; next = end) {
        if (next == run_end) {
            code = code_of(k, inverse, next);
            run_end = end_of_code(k, inverse, next, sign + FINITE_END);
        }
        end = run_end < first + CHUNK ? run_end : first + CHUNK;
        memset(codes + (next - first), code, end - next);
    }
}

/* Encode every finite weight, at every level. */
static void prove_encode(const kind *k, caq_scale stored_as) {
    char what[99];
    float one_scale;
    number inverse = reciprocal(of_bits(k->scale));
    uint8_t zero_point = (uint8_t)(k->zero + k->lowest), e8m0 = (uint8_t)(k->scale >> 23);
    const void *scale = stored_as == CAQ_SCALE_E8M0 ? (const void *)&e8m0 : &one_scale;
    memcpy(&one_scale, &k->scale, sizeof one_scale);
    snprintf(what, sizeof what, "encode %s %s%s, scale %08X", k->format->name,
             k->scheme == CAQ_ASYMMETRIC ? "asymmetric" : "symmetric",
             k->observer == CAQ_MSE ? ", one more code" : "", (unsigned)k->scale);
    for (uint32_t sign = 0, half = 0; half < 2; half++, sign = SIGN)
        for (uint32_t first = sign; first < sign + FINITE_END; first += CHUNK) {
            for (uint32_t i = 0; i < CHUNK; i++)
                numbers[i] = first + i;
            find_right_codes(k, inverse, first);
            pack(codes, k->format->bits, right);
            for (int level = 0; level < CAQ_LEVELS; level++) {
                if (!caq_has_level((caq_level)level))
                    continue;
                caq_job job = make_job(k, level, stored_as, CHUNK, 0);
                memset(packed, 0xA5, sizeof packed);
                if (caq_encode(&job, 0, CHUNK, numbers, scale, &zero_point, packed, scratch))
                    abort();
                compare_packed(what, level, k->format->bits);
            }
        }
    printf("%s: right\n", what);
    fflush(stdout);
}

/* Quantize every weight whose magnitude is not above the largest one, which stands behind each
 * chunk, so that the scale is always one and the same. The chunks end with it. */
static void prove_quantize(kind *k, uint32_t largest) {
    char what[99];
    snprintf(what, sizeof what, "quantize %s, largest weight %08X", k->format->name,
             (unsigned)largest);
    for (uint32_t sign = 0, half = 0; half < 2; half++, sign = SIGN)
        for (uint32_t first = sign; first < sign + largest; first += CHUNK) {
            for (uint32_t i = 0; i < CHUNK; i++)
                numbers[i] = first + i;
            for (uint32_t i = CHUNK; i < CHUNK + BEHIND; i++)
                numbers[i] = largest;
            for (int level = 0; level < CAQ_LEVELS; level++) {
                if (!caq_has_level((caq_level)level))
                    continue;
                caq_job job = make_job(k, level, CAQ_SCALE_AS_WEIGHT, CHUNK + BEHIND, 0);
                memset(packed, 0xA5, sizeof packed);
                if (caq_quantize(&job, 0, job.units, numbers, packed, &k->scale, zero_points,
                                 scratch))
                    abort();
                if (level == CAQ_PORTABLE) {
                    find_right_codes(k, reciprocal(of_bits(k->scale)), first);
                    pack(codes, k->format->bits, right);
                }
                compare_packed(what, level, k->format->bits);
            }
        }
    printf("%s: right\n", what);
    fflush(stdout);
}

static kind describe(const code_format *f, caq_scheme scheme, caq_observer observer,
                     uint32_t scale) {
    int half = 1 << (f->bits - 1), more = observer == CAQ_MSE;
    kind k = {f, scheme, observer, scale, 0, 0, 0};
    if (f->mantissa)
        return k;
    if (scheme == CAQ_ASYMMETRIC) {
        k.zero = half - 1 - half / 4;
        k.largest = 2 * half - 1;
        k.lowest = f->is_signed ? -half : 0;
    } else {
        k.zero = half - 1 + more;
        k.largest = 2 * half - 2 + more;
        k.lowest = f->is_signed ? -k.zero : 0;
    }
    return k;
}

/* With the scale 1 every half is met. The reciprocal of 3 is rounded, and so is each product. */
static void prove_encoders(void) {
    static const uint32_t scales[] = {0x3F800000, 0x40400000};
    for (size_t i = 0; i < 2 * FORMATS; i++) {
        const code_format *f = formats + i % FORMATS;
        uint32_t scale = scales[i / FORMATS];
        int is_fp4 = f->bits == 4 && f->mantissa;
        kind k = describe(f, CAQ_SYMMETRIC, CAQ_MINMAX, is_fp4 && i > FORMATS ? 0x3E000000 : scale);
        prove_encode(&k, is_fp4 ? CAQ_SCALE_E8M0 : CAQ_SCALE_AS_WEIGHT);
        if (f->mantissa)
            continue;
        k = describe(f, CAQ_ASYMMETRIC, CAQ_MINMAX, scale);
        prove_encode(&k, CAQ_SCALE_AS_WEIGHT);
        k = describe(f, CAQ_SYMMETRIC, CAQ_MSE, scale);
        if (f->bits < 8)
            prove_encode(&k, CAQ_SCALE_AS_WEIGHT);
    }
}

/* One scale is a few units, the other so large that the smallest weights give products that are
 * subnormal. */
static void prove_quantizers(void) {
    for (size_t i = 0; i < FORMATS && !formats[i].mantissa; i++) {
        kind k = describe(formats + i, CAQ_SYMMETRIC, CAQ_MINMAX, 0);
        prove_quantize(&k, 0x43BEFFFF); /* 381.9 */
        prove_quantize(&k, 0x7E80FFFF); /* 2^126 and some */
    }
}

#define NOT_A_NUMBER ((uint32_t)0x7FC00000)

/* A weight, of its code, zero point and scale. Any NaN is given as one. */
static uint32_t weight_of(const code_format *f, unsigned code, unsigned zero_point,
                          uint32_t scale) {
    number x = {0, 0};
    uint32_t sign = scale & SIGN;
    int is_nan = (scale & ~SIGN) > FINITE_END, is_infinite = (scale & ~SIGN) == FINITE_END;
    if (f->mantissa) {
        unsigned magnitude = code & ((1u << (f->bits - 1)) - 1);
        x.significand = float_steps(f, magnitude);
        x.exponent = 1 - f->bias - f->mantissa;
        sign ^= code >> (f->bits - 1) ? SIGN : 0;
        if (magnitude >= f->codes) { /* infinity, or NaN behind it */
            int infinite = f->number == CAQ_FP8_E5M2 && magnitude == f->codes;
            is_nan |= !infinite || !(scale & ~SIGN);
            is_infinite |= infinite;
        }
    } else {
        int half = f->is_signed ? 1 << (f->bits - 1) : 0, mask = (1 << f->bits) - 1;
        int steps = (((int)code ^ half) & mask) - (((int)zero_point ^ half) & mask);
        x.significand = (uint64_t)(steps < 0 ? -steps : steps);
        sign ^= steps < 0 ? SIGN : 0;
    }
    if (is_nan || (is_infinite && !x.significand))
        return NOT_A_NUMBER;
    return sign | (is_infinite ? FINITE_END : to_bits(multiply(x, of_bits(scale))));
}

/* Decode a chunk whose scales and codes stand in numbers, zero_points and codes. */
static void decode_chunk(const kind *k, const char *what, caq_scale stored_as, const void *scales,
                         const uint32_t *values) {
    pack(codes, k->format->bits, packed);
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        caq_job job = make_job(k, level, stored_as, CHUNK, 1);
        if (caq_dequantize(&job, 0, CHUNK, packed, scales, zero_points, CAQ_F32, decoded, scratch))
            abort();
        for (uint32_t i = 0; i < CHUNK; i++) {
            uint32_t got = (decoded[i] & ~SIGN) > FINITE_END ? NOT_A_NUMBER : decoded[i];
            if (got != values[i])
                fail(what, level, numbers[i], (unsigned)got, (unsigned)values[i]);
        }
    }
}

/* Decode with every scale, those included that the library never makes. Codes and zero points come
 * from the bits of scales: by a multiplication that spreads them. */
static void prove_decode(const code_format *f) {
    static uint32_t values[CHUNK];
    char what[99];
    kind k = {f, CAQ_SYMMETRIC, CAQ_MINMAX, 0, 0, 0, 0};
    unsigned mask = (1u << f->bits) - 1;
    uint32_t first = 0;
    snprintf(what, sizeof what, "decode %s", f->name);
    do {
        for (uint32_t i = 0; i < CHUNK; i++) {
            uint32_t spread = (first + i) * 0x9E3779B1u;
            numbers[i] = first + i;
            codes[i] = (uint8_t)(spread >> 24 & mask);
            zero_points[i] = (uint8_t)(f->mantissa ? 0 : spread >> 16 & mask);
            values[i] = weight_of(f, codes[i], zero_points[i], numbers[i]);
        }
        decode_chunk(&k, what, CAQ_SCALE_AS_WEIGHT, numbers, values);
        first += CHUNK;
    } while (first);
    printf("%s: right\n", what);
    fflush(stdout);
}

/* Decode every code with every scale of E8M0: there are 2^16 pairs. */
static void prove_decode_e8m0(const code_format *f) {
    static uint32_t values[CHUNK];
    static uint8_t scales[CHUNK];
    char what[99];
    kind k = {f, CAQ_SYMMETRIC, CAQ_MINMAX, 0, 0, 0, 0};
    unsigned mask = (1u << f->bits) - 1;
    snprintf(what, sizeof what, "decode %s with E8M0", f->name);
    for (uint32_t i = 0; i < CHUNK; i++) {
        scales[i] = (uint8_t)(i >> 8);
        codes[i] = (uint8_t)(i & mask);
        zero_points[i] = 0;
        /* 2^-127 is subnormal, and 255 is NaN */
        numbers[i] = scales[i] == 255 ? NOT_A_NUMBER
                     : scales[i]      ? (uint32_t)scales[i] << 23
                                      : 0x400000;
        values[i] = weight_of(f, codes[i], 0, numbers[i]);
    }
    decode_chunk(&k, what, CAQ_SCALE_E8M0, scales, values);
    printf("%s: right\n", what);
}

static void prove_decoders(void) {
    for (size_t i = 0; i < FORMATS; i++) {
        if (formats[i].mantissa)
            prove_decode_e8m0(formats + i);
        if (formats[i].number != CAQ_FP4_E2M1FN)
            prove_decode(formats + i);
    }
}

/* Quantize a tensor of one weight that is not finite. */
static void prove_refused(caq_scheme scheme) {
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        kind k = describe(formats + CAQ_INT4, scheme, CAQ_MINMAX, 0);
        caq_job job = make_job(&k, level, CAQ_SCALE_AS_WEIGHT, 1, 0);
        for (uint32_t sign = 0, half = 0; half < 2; half++, sign = SIGN)
            for (uint32_t magnitude = FINITE_END; magnitude < SIGN; magnitude++) {
                uint32_t weight = sign | magnitude, scale;
                caq_status status =
                    caq_quantize(&job, 0, 1, &weight, packed, &scale, zero_points, scratch);
                if (status != CAQ_NOT_FINITE)
                    fail("refuse", level, weight, (unsigned)status, CAQ_NOT_FINITE);
            }
    }
    printf("refuse %s: right\n", scheme == CAQ_ASYMMETRIC ? "asymmetric" : "symmetric");
    fflush(stdout);
}

static int is_asked_for(int count, char **arguments, const char *part) {
    int asked = count == 1;
    for (int i = 1; i < count; i++)
        asked |= !strcmp(arguments[i], part);
    return asked;
}

int main(int count, char **arguments) {
    if (is_asked_for(count, arguments, "refuse")) {
        prove_refused(CAQ_SYMMETRIC);
        prove_refused(CAQ_ASYMMETRIC);
    }
    if (is_asked_for(count, arguments, "encode"))
        prove_encoders();
    if (is_asked_for(count, arguments, "quantize"))
        prove_quantizers();
    if (is_asked_for(count, arguments, "decode"))
        prove_decoders();
    return 0;
}
