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
  int level =
      1;  ///< 1: a product into the accumulator; 2: a chunk's sum into the second accumulator
  std::int64_t k = 0;  ///< index of the product or of the chunk
  double a_input = 0;  ///< as given (level 1)
  double a = 0;        ///< rounded to the operand format (level 1)
  double b_input = 0;
  double b = 0;
  std::string exact_product;  ///< decimal (level 1)
  double addend =
      0;  ///< the product as rounded by the design, to the nearest double; or the chunk's sum
  double before = 0;
  std::string exact_sum;       ///< decimal, with "~" in front where 17 digits do not hold it
  std::string exact_sum_bits;  ///< binary
  double after = 0;
  std::string before_bits;  ///< the accumulator's significand in binary
  std::string after_bits;
  std::int64_t bits_lost = 0;  ///< bit positions of the exact sum below the accumulator's last one
  std::string what;            ///< exact, partial swamping, full swamping, overflow, underflow, ...
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
