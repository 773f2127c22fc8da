#include "sim/training/parallel.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>

namespace narrowmac {

void for_blocks(std::int64_t count, std::int64_t block,
                const std::function<void(std::int64_t begin, std::int64_t end)>& body) {
  const std::int64_t blocks = (count + block - 1) / block;
  if (blocks <= 1) {
    if (count > 0) body(0, count);
    return;
  }
  tbb::parallel_for(std::int64_t{0}, blocks, [&](std::int64_t index) {
    body(index * block, std::min(count, (index + 1) * block));
  });
}

std::vector<double> sum_rows(
    std::int64_t count, std::int64_t width,
    const std::function<void(std::int64_t begin, std::int64_t end, double* sums)>& body) {
  constexpr std::int64_t kBlock = 1024;
  const std::int64_t blocks = (count + kBlock - 1) / kBlock;
  const auto stride = static_cast<std::size_t>(width);
  std::vector<double> partial(static_cast<std::size_t>(blocks) * stride, 0.0);
  for_blocks(count, kBlock, [&](std::int64_t begin, std::int64_t end) {
    body(begin, end, partial.data() + static_cast<std::size_t>(begin / kBlock) * stride);
  });
  std::vector<double> sums(stride, 0.0);
  for (std::size_t block = 0; block < static_cast<std::size_t>(blocks); ++block) {
    for (std::size_t i = 0; i < stride; ++i) sums[i] += partial[block * stride + i];
  }
  return sums;
}

}  // namespace narrowmac
