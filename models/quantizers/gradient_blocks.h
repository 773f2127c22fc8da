#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "models/quantizers/gradient_quantizer.h"

namespace narrowmac {

// How the work of the gradient quantizers is cut into tasks, which run on several threads.

/// Columns that a group is reflected for at a time: their sums and rows stay in the cache.
inline constexpr std::int64_t kReflectedColumns = 512;
using BlockSums = std::array<double, static_cast<std::size_t>(kReflectedColumns)>;

/// Calls body(row, first column, count) for runs that make up every row.
void for_runs(std::int64_t rows, std::int64_t columns,
              const std::function<void(std::int64_t, std::int64_t, std::size_t)>& body);

/// Calls body(group, first column, count) for every group and block of columns.
void for_group_blocks(
    const std::vector<HouseholderGroup>& groups, std::int64_t columns,
    const std::function<void(const HouseholderGroup&, std::int64_t, std::size_t)>& body);

}  // namespace narrowmac
