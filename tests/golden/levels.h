/*
 * levels.h - compare the digests of a corpus at every level there is
 *
 * It is included last, by a file that has corpus, CASES, digest_case() and TABLE, the name of the
 * file that the corpus is in.
 */
static const char *const level_names[CAQ_LEVELS] = {
    [CAQ_PORTABLE] = "portable",
    [CAQ_NEON] = "neon",
    [CAQ_AVX2] = "avx2",
    [CAQ_AVX512] = "avx512",
};

static int count_right(caq_level level) {
    int right = 0;
    for (int i = 0; i < CASES; i++) {
        char digest[65];
        digest_case(&corpus[i], level, digest);
        if (strcmp(digest, corpus[i].digest) == 0)
            right++;
        else
            printf(TABLE ":%d: %s gives %s\n", corpus[i].line, level_names[level], digest);
    }
    return right;
}

int main(void) {
    int failed = 0;
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        int right = count_right((caq_level)level);
        printf("%s: %d of %d digests are right\n", level_names[level], right, CASES);
        failed |= right != CASES;
    }
    return failed;
}
