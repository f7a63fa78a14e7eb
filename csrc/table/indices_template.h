/*
 * indices_template.h - the index of the nearest entry, for small tables
 *
 * Included once per instruction set and type of weight, with TARGET, TABLE, SOURCE, ELEMENT, and
 *   FLOATS  lanes of a vector of binary32, vf, and of indices, vi; and the operations on them: load_SOURCE,
 *           bounds, look_up(bounds, indices), add_if_above(indices, weights, bounds, step), start,
 *           store_codes
 */

TARGET static void TABLE(CONCAT(indices_, SOURCE))(const void *weight, size_t count,
                                                   const float *bounds, uint8_t *codes) {
    const ELEMENT *from = weight;
    vbounds all = TABLE(bounds)(bounds);
    size_t i = 0;
    for (; i + FLOATS <= count; i += FLOATS)
        TABLE(store_codes)(codes + i, TABLE(above)(all, TABLE(CONCAT(load_, SOURCE))(from + i)));
    if (i < count) {
        ELEMENT rest[FLOATS] = {0};
        uint8_t codes_of_rest[FLOATS];
        for (size_t k = 0; k < count - i; k++)
            rest[k] = load_element(from + i + k);
        TABLE(store_codes)(codes_of_rest, TABLE(above)(all, TABLE(CONCAT(load_, SOURCE))(rest)));
        for (size_t k = 0; k < count - i; k++)
            codes[i + k] = codes_of_rest[k];
    }
}
#undef SOURCE
#undef ELEMENT
