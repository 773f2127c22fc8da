#include "sim/training/weight_residual.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "models/numerics/convert.h"
#include "models/quantizers/round_kernel.h"
#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kElementsPerTask = std::int64_t{1} << 14;

/// convert() to a fixed-point format; what saturates and is not stochastic without its generality.
class FixedRounding {
 public:
  FixedRounding(const Conversion& to, std::uint64_t seed, std::uint64_t number)
      : to_(to),
        mode_(to.rounding.mode),
        is_simple_(to.overflow == Overflow::Saturate && mode_ != RoundingMode::Stochastic),
        unit_(to.format.smallest_value()),
        per_unit_(1.0 / unit_),
        lowest_(to.format.lowest_value() * per_unit_),
        highest_(to.format.max_value() * per_unit_),
        key_(tensor_random_key(seed, number)),
        step_word_(random_step_word(key_, 0)) {}

  /// Element i of the tensor; x is finite.
  [[nodiscard]] double round(double x, std::int64_t i) const {
    if (!is_simple_) {
      const std::uint32_t word = combine_random(random_column_word(key_, i), step_word_);
      return convert(x, to_, top_random_bits(word, to_.rounding.random_bits));
    }
    // One unit beyond the ends is as good as any more, and keeps the integers below 2^51.
    const double units = std::clamp(x * per_unit_, lowest_ - 1, highest_ + 1);
    return std::clamp(to_integer(units), lowest_, highest_) * unit_;
  }

 private:
  [[nodiscard]] double to_integer(double units) const {
    // Adding 1.5 * 2^52 leaves no fraction bits: the sum is rounded to nearest even.
    constexpr double kInteger = 0x1.8p52;
    const double even = (units + kInteger) - kInteger;
    const double rest = units - even;  // exact
    switch (mode_) {
      case RoundingMode::NearestAway:
        if (std::abs(rest) == 0.5 && (rest > 0) == (units > 0)) return even + 2 * rest;
        return even;
      case RoundingMode::TowardZero:
        if (rest != 0 && (rest > 0) != (units > 0)) return even + (rest > 0 ? 1 : -1);
        return even;
      case RoundingMode::Down:
        return rest < 0 ? even - 1 : even;
      default:
        return even;
    }
  }

  Conversion to_;
  RoundingMode mode_;
  bool is_simple_;
  double unit_, per_unit_, lowest_, highest_;
  RandomRowKey key_;
  std::uint32_t step_word_;
};

}  // namespace

bool residual_update(const ResidualStep& step, const float* gradient, std::int64_t size,
                     float* velocity, float* weights, float* residuals) {
  const SgdStep& sgd = step.sgd;
  const auto rate = static_cast<double>(sgd.learning_rate);
  const double clip = step.clip.value_or(std::numeric_limits<double>::max());
  const FixedRounding to_weight(step.weight, step.seed, step.weight_number);
  const FixedRounding to_residual(step.residual, step.seed, step.residual_number);
  std::atomic<bool> finite{true};
  for_blocks(size, kElementsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] / sgd.loss_scale + sgd.weight_decay * weights[i];
      velocity[i] = sgd.momentum * velocity[i] + g;
      const double below =
          static_cast<double>(residuals[i]) - rate * static_cast<double>(velocity[i]);
      const double moved = static_cast<double>(weights[i]) + below;
      if (!std::isfinite(moved)) {
        finite.store(false, std::memory_order_relaxed);
        continue;
      }
      const double target = std::clamp(moved, -clip, clip);
      const double weight = to_weight.round(target, i);
      weights[i] = static_cast<float>(weight);
      residuals[i] = static_cast<float>(to_residual.round(target - weight, i));
    }
  });
  return finite.load();
}

}  // namespace narrowmac
