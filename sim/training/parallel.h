#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace narrowmac {

/// Calls body(begin, end) for every block of `block` consecutive indices of [0, count), in
/// parallel. The blocks depend on `count` and `block` only, never on the number of threads.
void for_blocks(std::int64_t count, std::int64_t block,
                const std::function<void(std::int64_t begin, std::int64_t end)>& body);

/// Sums `width` quantities over rows: body(begin, end, sums) adds the rows of one block to `sums`
/// (zeroed); the blocks' sums are then added serially in order, so the result depends on `count`
/// and `width` only.
std::vector<double> sum_rows(
    std::int64_t count, std::int64_t width,
    const std::function<void(std::int64_t begin, std::int64_t end, double* sums)>& body);

}  // namespace narrowmac
