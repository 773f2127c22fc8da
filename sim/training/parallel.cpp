#include "sim/training/parallel.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

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

}  // namespace narrowmac
