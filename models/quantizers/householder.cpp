#include "models/quantizers/householder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace narrowmac {

namespace {

/// How many rows are big. `sorted` falls and starts above 0. As every big row's share of the small
/// rows is more than one, every group gets a small row.
std::size_t count_big_rows(const std::vector<double>& sorted) {
  std::vector<double> sums(sorted.size());
  std::partial_sum(sorted.begin(), sorted.end(), sums.begin());
  for (std::size_t big = sorted.size() - 1; big > 1; --big) {
    const auto small = static_cast<double>(sorted.size() - big);
    if (small * sorted[big - 1] > sums[big - 1]) return big;
  }
  return 1;
}

/// Where the small rows of each big row end, in order: shares in proportion to the big ranges.
std::vector<std::size_t> share_small_rows(const std::vector<double>& sorted, std::size_t big) {
  const std::size_t small = sorted.size() - big;
  const double sum = std::accumulate(sorted.begin(), sorted.begin() + static_cast<long>(big), 0.0);
  std::vector<std::size_t> ends;
  double cumulative = 0;
  std::size_t last = 0;
  for (std::size_t g = 0; g < big; ++g) {
    cumulative += sorted[g];
    const auto share =
        static_cast<std::size_t>(std::round(static_cast<double>(small) * cumulative / sum));
    // One small row each, whatever rounding does to a share next to one.
    last = std::clamp(share, last + 1, small - (big - 1 - g));
    ends.push_back(last);
  }
  ends.back() = small;
  return ends;
}

void choose_scales(HouseholderGroup& group, double big_range, double small_range) {
  if (small_range == 0) return;  // the small rows are constant: their scale decides nothing
  const auto size = static_cast<double>(group.size());
  group.big_scale = 1 / std::cbrt(big_range / std::sqrt(size));
  group.small_scale = 1 / std::cbrt(small_range * group.largest_entry() / (size - 1));
}

}  // namespace

double HouseholderGroup::normal(std::int64_t i) const {
  const double share = 1 / std::sqrt(static_cast<double>(size()));
  return i == 0 ? share - 1 : share;
}

double HouseholderGroup::normal_divisor() const {
  return 1 - 1 / std::sqrt(static_cast<double>(size()));
}

double HouseholderGroup::reflection(std::int64_t i, std::int64_t j) const {
  return (i == j ? 1.0 : 0.0) - normal(i) * normal(j) / normal_divisor();
}

double HouseholderGroup::largest_entry() const {
  double largest = std::max(std::abs(reflection(0, 0)), std::abs(reflection(1, 1)));
  if (size() > 2) largest = std::max(largest, std::abs(reflection(1, 2)));
  return largest;
}

std::vector<HouseholderGroup> householder_groups(std::span<const double> ranges) {
  if (ranges.size() < 3) return {};
  std::vector<std::size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ranges[a] > ranges[b]; });
  if (!(ranges[order.front()] > 0)) return {};
  std::vector<double> sorted;
  sorted.reserve(ranges.size());
  for (const std::size_t row : order) sorted.push_back(ranges[row]);

  const std::size_t big = count_big_rows(sorted);
  std::vector<HouseholderGroup> groups;
  std::size_t first = 0;
  for (const std::size_t end : share_small_rows(sorted, big)) {
    HouseholderGroup group;
    const std::size_t leader = groups.size();
    group.rows.push_back(static_cast<std::int64_t>(order[leader]));
    for (std::size_t i = first; i < end; ++i) {
      group.rows.push_back(static_cast<std::int64_t>(order[big + i]));
    }
    choose_scales(group, sorted[leader], sorted[big + first]);
    first = end;
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace narrowmac
