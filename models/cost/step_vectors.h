#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/design/mac_design.h"

namespace narrowmac {

/// One step of a MAC as codes, and what the exact reference makes of it.
struct StepVector {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t accumulator = 0;
  std::uint32_t random_product = 0;
  std::uint32_t random_sum = 0;
  std::uint64_t next = 0;
};

/// Fills in `next`.
void evaluate(const MacDesign& mac, StepVector& vector);

/// Codes of an operand or accumulator format as the design meets them: flushed without subnormals,
/// and no infinity or NaN where the design has no place for them.
class CodeSource {
 public:
  CodeSource(const MacDesign& mac, const NumberFormat& format);
  /// The code that the design has in the place of any bits of the format's width; false if there is
  /// none.
  [[nodiscard]] bool legalise(std::uint64_t& code) const;
  [[nodiscard]] const NumberFormat& format() const { return format_; }

 private:
  NumberFormat format_;
  bool subnormals_ = true;
  bool specials_ = true;
};

/// True if the design's operands may be infinite or NaN and its sums hold them.
bool meets_special_values(const MacDesign& mac);

/// A generator of steps that look for trouble: any codes, extremes and their neighbours, sums that
/// cancel, ties, sums around the end of the range and around the smallest values, accumulators and
/// products whose exponents are close. Depends on the design and the seed only.
class StepGenerator {
 public:
  StepGenerator(const MacDesign& mac, std::uint64_t seed);
  /// The next step, with what the reference makes of it.
  StepVector next();
  /// The next step with given operands: an accumulator that suits them.
  StepVector next_with(std::uint64_t a, std::uint64_t b);
  /// A code of the accumulator's format.
  std::uint64_t any_accumulator() { return code(accumulator_); }

 private:
  std::uint64_t word();
  std::uint64_t below(std::uint64_t bound) { return word() % bound; }
  std::uint64_t code(const CodeSource& source);
  std::uint64_t accumulator_for(double product);

  MacDesign mac_;
  CodeSource a_, b_, accumulator_;
  std::uint64_t state_;
};

std::vector<StepVector> step_vectors(const MacDesign& mac, std::size_t count, std::uint64_t seed);

/// Lines for $readmemh: a, b, accumulator, random_product, random_sum, next, from the top.
std::string steps_hex(const MacDesign& mac, const std::vector<StepVector>& steps);
int step_bits(const MacDesign& mac);

/// Roundings of products and of chunk sums; without random bits where the design has none.
Rounding product_rounding(const MacDesign& mac);
Rounding second_rounding(const MacDesign& mac);

/// Fields of a word of any width, put together from the top, as hexadecimal digits.
class HexWord {
 public:
  void append(std::uint64_t value, int bits);
  [[nodiscard]] std::string text() const;

 private:
  std::string bits_;  ///< '0' and '1', the first at the top
};

}  // namespace narrowmac
