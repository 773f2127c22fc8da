#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// One addition of a dot product, as `explain` shows it.
struct ExplainedStep {
  /// 0: a product on its way into a group or an exact sum; 1: a product, a group's or the exact sum
  /// into the accumulator; 2: a chunk's sum into the second accumulator
  int level = 1;
  bool has_product = true;  ///< a, b and the product are meaningful
  bool has_sum = true;      ///< before, exact_sum and after are
  std::int64_t k = 0;       ///< index of the product, chunk or group; of the last product if exact
  double a_input = 0;       ///< as given
  double a = 0;             ///< rounded to the operand format
  double b_input = 0;
  double b = 0;
  std::string exact_product;  ///< decimal
  /// The product as rounded by the design or aligned in its group; or the sum of the chunk, the
  /// group or all products. To the nearest double.
  double addend = 0;
  double before = 0;
  std::string exact_sum;       ///< decimal, with "~" in front where 17 digits do not hold it
  std::string exact_sum_bits;  ///< binary
  double after = 0;
  std::string before_bits;  ///< the accumulator's significand in binary
  std::string after_bits;
  /// Bit positions of the exact sum below the accumulator's last one; of a product below the last
  /// one of its group.
  std::int64_t bits_lost = 0;
  std::string what;  ///< exact, partial swamping, full swamping, overflow, underflow, ...
};

/// A whole dot product, with the counts of GemmStatistics.
struct ExplainedDotProduct {
  std::vector<ExplainedStep> steps;
  double result = 0;
  std::string exact;               ///< the sum of the exact products; empty if not finite
  std::optional<double> error;     ///< result - exact
  std::int64_t counted_steps = 0;  ///< additions of something finite and not zero
  std::int64_t full_swamped = 0;
  std::int64_t partial_swamped = 0;
  std::int64_t overflowed = 0;
  std::int64_t underflowed = 0;
};

/// Computes sum a_k b_k by the exact reference, one step at a time. Random words are those of GEMM
/// 0, output (0, 0).
ExplainedDotProduct explain_dot_product(const MacDesign& mac, const AccumulationOrder& order,
                                        const std::vector<double>& a, const std::vector<double>& b,
                                        std::uint64_t seed);

}  // namespace narrowmac
