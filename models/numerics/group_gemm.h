#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/numerics/gemm.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/plan.h"

// GEMMs of dot units and of exact sums, in lanes. Internal to the room.

namespace narrowmac {

/// Runs a GEMM whose plan has a kernel for its groups.
void group_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);

/// Statistics of all outputs. `row_numbers` says which row of the whole GEMM each row of A is, for
/// the random function. Empty if a sum left the range, in which case only the reference can count.
std::optional<GemmStatistics> group_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                               const std::vector<std::int64_t>& row_numbers);

void dot_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);
std::optional<GemmStatistics> dot_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                             const std::vector<std::int64_t>& row_numbers);
void exact_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);
GemmStatistics exact_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                const std::vector<std::int64_t>& row_numbers);

/// Reads pieces of rows of A one after the other, side by side in memory.
template <typename T>
class RowPacker {
 public:
  explicit RowPacker(const OperandView& a) : lanes_(a, 0) {}

  /// Elements k .. k + count of row m.
  void pack(std::int64_t m, std::int64_t k, std::int64_t count, T* to) const {
    const T* row = lanes_.row(m);
    const std::int64_t step = lanes_.step();
    const std::vector<Segment>& segments = lanes_.segments();
    auto segment =
        std::upper_bound(segments.begin(), segments.end(), k,
                         [](std::int64_t place, const Segment& other) { return place < other.k; });
    --segment;
    while (count > 0) {
      const std::int64_t first = k - segment->k;
      const std::int64_t run = std::min(count, segment->length - first);
      const T* from = row + segment->a_offset + first * step;
      for (std::int64_t i = 0; i < run; ++i) to[i] = from[i * step];
      to += run;
      k += run;
      count -= run;
      ++segment;
    }
  }

 private:
  LaneA<T> lanes_;
};

}  // namespace narrowmac
