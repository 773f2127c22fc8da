#include "models/numerics/parallel_rows.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

namespace narrowmac {
namespace {

constexpr std::int64_t kElementsPerTask = 16384;

}  // namespace

void for_rows(std::int64_t rows, std::int64_t width,
              const std::function<void(std::int64_t)>& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, width));
  tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, rows, static_cast<std::size_t>(grain)),
                    [&](const tbb::blocked_range<std::int64_t>& range) {
                      for (std::int64_t r = range.begin(); r < range.end(); ++r) body(r);
                    });
}

}  // namespace narrowmac
