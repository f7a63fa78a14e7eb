// host.cpp - quantize a matrix, then use it: the product of its rows with a vector, decoded block by block
//
//     c++ -std=c++17 host.cpp $(pkg-config --cflags --libs coreai_quant)
#include <coreai_quant.h>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr std::size_t rows = 8, columns = 256, block = 32;

// The sum of decoded weights times a vector's elements, without ever holding a decoded row.
double dot_row(const caq_job &job, std::size_t row, const std::vector<std::uint8_t> &packed,
               const std::vector<std::uint8_t> &scales, const std::vector<std::uint8_t> &zero_points,
               const std::vector<float> &x, std::vector<std::uint32_t> &scratch) {
    float decoded[block];
    double sum = 0;
    for (std::size_t i = 0; i < columns; i += block) {
        caq_dequantize(&job, row * columns + i, block, packed.data(), scales.data(),
                       zero_points.data(), CAQ_F32, decoded, scratch.data());
        for (std::size_t k = 0; k < block; k++)
            sum += static_cast<double>(decoded[k]) * x[i + k];
    }
    return sum;
}

} // namespace

int main() {
    std::vector<float> weight(rows * columns), x(columns, 0.5f);
    for (std::size_t i = 0; i < weight.size(); i++)
        weight[i] = static_cast<float>(static_cast<int>(i * 7919 % 255) - 127) / 1024;

    const std::size_t shape[] = {rows, columns}, block_sizes[] = {1, block};
    caq_target target = {};
    target.format = CAQ_INT4;
    target.level = caq_best_level();
    caq_job job;
    caq_status status = caq_job_init(&job, &target, 2, shape, block_sizes);
    if (status != CAQ_OK) {
        std::printf("%s\n", caq_strerror(status));
        return 1;
    }
    std::vector<std::uint8_t> packed(job.packed_size), zero_points(job.scale_count);
    std::vector<std::uint8_t> scales(job.scale_count * job.scale_size);
    std::vector<std::uint32_t> scratch(caq_scratch_size(&job) / 4);
    status = caq_quantize(&job, 0, job.units, weight.data(), packed.data(), scales.data(),
                          zero_points.data(), scratch.data());
    if (status != CAQ_OK) {
        std::printf("%s\n", caq_strerror(status));
        return 1;
    }
    for (std::size_t row = 0; row < rows; row++) {
        double exact = 0;
        for (std::size_t i = 0; i < columns; i++)
            exact += static_cast<double>(weight[row * columns + i]) * x[i];
        std::printf("row %zu: %+.6f, exactly %+.6f\n", row,
                    dot_row(job, row, packed, scales, zero_points, x, scratch), exact);
    }
    return 0;
}
