#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace narrowmac {

/// Rows that BHQ mixes: S = H diag(big_scale, small_scale, ..., small_scale), where H is the
/// symmetric orthogonal reflection that maps the first unit vector to the constant vector. So the
/// group's one row of large range is spread evenly over all its rows.
struct HouseholderGroup {
  std::vector<std::int64_t> rows;  ///< the big row first, then small ones, all by falling range
  double big_scale = 1;            ///< s1
  double small_scale = 1;          ///< s2; only s1 / s2 matters
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(rows.size()); }
  /// Entry (i, j) of H; i and j count within the group.
  [[nodiscard]] double reflection(std::int64_t i, std::int64_t j) const;
  /// The largest |entry| of H.
  [[nodiscard]] double largest_entry() const;
  /// Component i of the vector v in H = I - v v^T / c, and c.
  [[nodiscard]] double normal(std::int64_t i) const;
  [[nodiscard]] double normal_divisor() const;
  [[nodiscard]] double scale(std::int64_t i) const { return i == 0 ? big_scale : small_scale; }
};

/// The groups of BHQ from the ranges of the rows (steps 1 to 5 in docs/quantizers.md), by falling
/// range of their big rows. None if there are fewer than three rows or no range is above 0: PSQ
/// serves then.
std::vector<HouseholderGroup> householder_groups(std::span<const double> ranges);

}  // namespace narrowmac
