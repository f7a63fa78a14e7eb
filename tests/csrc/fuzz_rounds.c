/*
 * fuzz_rounds.c - run fuzz_api.c without libFuzzer
 *
 * fuzz_rounds FIRST COUNT [INPUT...]
 *
 * Runs the inputs given in hexadecimal, then COUNT inputs that depend on nothing but their numbers,
 * from FIRST on. The input that fails is printed, and the exit code is 1.
 */
#include "fuzz_api.c"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The input that is being run. */
typedef struct current {
    size_t size;
    uint8_t bytes[4096];
} current;

/* On a copy of its exact size, so that ASan sees a step beyond it. */
static void run(const current *input) {
    uint8_t *copy = malloc(input->size);
    if (!copy && input->size)
        abort();
    for (size_t i = 0; i < input->size; i++)
        copy[i] = input->bytes[i];
    LLVMFuzzerTestOneInput(copy, input->size);
    free(copy);
}

static void run_line(current *input, const char *line) {
    unsigned byte;
    size_t size = 0;
    while (size < sizeof input->bytes && sscanf(line + 2 * size, "%2x", &byte) == 1)
        input->bytes[size++] = (uint8_t)byte;
    input->size = size;
    run(input);
}

/* Sebastiano Vigna's splitmix64. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void run_number(current *input, uint64_t number) {
    uint64_t state = number << 32;
    input->size = next_random(&state) % 512;
    for (size_t i = 0; i < input->size; i++)
        input->bytes[i] = (uint8_t)next_random(&state);
    run(input);
}

static void run_all(current *input, int count, char **arguments) {
    uint64_t first = strtoull(arguments[1], NULL, 10), inputs = strtoull(arguments[2], NULL, 10);
    for (int i = 3; i < count; i++)
        run_line(input, arguments[i]);
    for (uint64_t i = 0; i < inputs; i++)
        run_number(input, first + i);
}

/* Inputs are run in a child, whose death, of whatever kind, leaves the one that it ran behind. */
int main(int count, char **arguments) {
    current *input =
        mmap(NULL, sizeof *input, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count < 3 || input == MAP_FAILED)
        return 64;
    pid_t child = fork();
    if (child == 0) {
        run_all(input, count, arguments);
        return 0;
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (status == 0)
        return 0;
    printf("status %d; the input that failed:\n", status);
    for (size_t i = 0; i < input->size; i++)
        printf("%02x", input->bytes[i]);
    printf("\n");
    return 1;
}
