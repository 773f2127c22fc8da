#pragma once

#include <cstdint>
#include <optional>

#include "models/numerics/exact_sum.h"
#include "models/numerics/exact_value.h"

// Sums of many terms that are rounded once: the dot unit and the exact sum. Internal to the room.

namespace narrowmac {

/// What decides a sum of terms beside their finite values.
class SpecialTerms {
 public:
  void add(const ExactValue& x);
  /// NaN or an infinity, if the sum is one.
  [[nodiscard]] std::optional<ExactValue> special() const;
  [[nodiscard]] bool all_negative() const { return !positive_; }
  [[nodiscard]] bool any_negative() const { return negative_; }

 private:
  bool nan_ = false, positive_infinity_ = false, negative_infinity_ = false;
  bool positive_ = false, negative_ = false;  ///< signs seen, those of zeros too
};

/// An exact sum of products on its way into one rounding.
class ExactTotal {
 public:
  void add(const ExactValue& product) {
    terms_.add(product);
    if (product.kind == ValueKind::Finite) sum_.add(product);
  }
  /// A step of the statistics, if the accumulator is finite: the sum is finite and not zero.
  [[nodiscard]] bool is_counted() const { return !terms_.special() && !sum_.is_zero(); }
  /// R(start + sum). `start` becomes one more term.
  StepOutcome round(const RoundingTarget& target, double start, std::uint32_t random);

 private:
  SpecialTerms terms_;
  ExactSum sum_;
};

/// The dot unit of one design: groups of products into an accumulator.
class DotUnit {
 public:
  DotUnit(const MacDesign& mac, const Dot& dot);

  /// acc and `count` products, at most `terms`, become the next acc. With `judge`, the outcome is
  /// told against the exact sum; otherwise only its value is meaningful.
  [[nodiscard]] DotOutcome step(double acc, const double* a, const double* b, std::int64_t count,
                                std::uint32_t random, bool judge) const;
  [[nodiscard]] int random_bits() const { return target_.conversion.rounding.random_bits; }

 private:
  struct Group;
  [[nodiscard]] StepOutcome round(const Group& group, double acc, std::uint32_t random) const;
  void judge_lost_bits(const double* a, const double* b, std::int64_t count, double acc,
                       DotOutcome& outcome) const;

  Dot dot_;
  RoundingTarget target_;
  int a_min_exponent_, b_min_exponent_;
  std::optional<int> accumulator_min_exponent_;  ///< floats
};

}  // namespace narrowmac
