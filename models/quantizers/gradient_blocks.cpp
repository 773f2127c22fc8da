#include "models/quantizers/gradient_blocks.h"

#include <algorithm>

#include "models/numerics/parallel_rows.h"

namespace narrowmac {

namespace {

/// Elements per task at least.
constexpr std::int64_t kTaskElements = std::int64_t{1} << 14;

}  // namespace

void for_runs(std::int64_t rows, std::int64_t columns,
              const std::function<void(std::int64_t, std::int64_t, std::size_t)>& body) {
  const std::int64_t runs = (columns + kTaskElements - 1) / kTaskElements;
  for_rows(rows * runs, std::min(columns, kTaskElements), [&](std::int64_t task) {
    const std::int64_t first = task % runs * kTaskElements;
    body(task / runs, first, static_cast<std::size_t>(std::min(kTaskElements, columns - first)));
  });
}

void for_group_blocks(
    const std::vector<HouseholderGroup>& groups, std::int64_t columns,
    const std::function<void(const HouseholderGroup&, std::int64_t, std::size_t)>& body) {
  const std::int64_t blocks = (columns + kReflectedColumns - 1) / kReflectedColumns;
  const auto count = static_cast<std::int64_t>(groups.size());
  for_rows(count * blocks, kReflectedColumns, [&](std::int64_t task) {
    const std::int64_t first = task % blocks * kReflectedColumns;
    body(groups[static_cast<std::size_t>(task / blocks)], first,
         static_cast<std::size_t>(std::min(kReflectedColumns, columns - first)));
  });
}

}  // namespace narrowmac
