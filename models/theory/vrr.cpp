#include "models/theory/vrr.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "models/design/error.h"
#include "models/theory/smooth_sum.h"

namespace narrowmac {
namespace {

/// 2Q(x) and 1 - 2Q(x), Q the tail of the normal distribution.
double outside(double x) { return std::erfc(x / std::numbers::sqrt2); }
double inside(double x) { return std::erf(x / std::numbers::sqrt2); }

/// Sums over i in a range of q_i, the probability that swamping starts at the i-th term.
struct SwampingSums {
  double probability = 0;  ///< sum q_i
  double lost = 0;         ///< sum (n - i + alpha) q_i: the variance that is lost, times n
};

/// q_i = 2Q(2^m / sqrt i) (1 - 2Q(2^m / sqrt(i - 1))) for terms first..length-1.
class SwampingSeries {
 public:
  SwampingSeries(int mantissa, std::int64_t length, double alpha)
      : reach_(std::ldexp(1.0, mantissa)),
        length_(static_cast<double>(length)),
        alpha_(alpha),
        last_(length - 1) {
    if (alpha < length_) first_ = std::max<std::int64_t>(2, static_cast<std::int64_t>(alpha) + 1);
  }

  /// From the last term down, panel by panel, until the rest cannot matter.
  [[nodiscard]] SwampingSums sum() const {
    SwampingSums sums;
    if (first_ == 0) return sums;
    for (std::int64_t end = last_ + 1; end > first_;) {
      const std::int64_t begin = panel_begin(end);
      if (end - begin < kDirect) {
        for (std::int64_t i = end - 1; i >= begin; --i) add(static_cast<double>(i), 1, sums);
      } else {
        const SumRule rule = sum_rule(end - begin);
        for (std::size_t i = kSumNodes; i-- > 0;) {
          add(static_cast<double>(begin) + rule.node[i], rule.weight[i], sums);
        }
      }
      end = begin;
      if (is_negligible(end, sums)) break;
    }
    return sums;
  }

 private:
  /// Fewer terms than this are added one by one.
  static constexpr std::int64_t kDirect = 256;

  [[nodiscard]] double probability(double i) const {
    return outside(reach_ / std::sqrt(i)) * inside(reach_ / std::sqrt(i - 1));
  }

  void add(double i, double weight, SwampingSums& sums) const {
    const double q = weight * probability(i);
    sums.probability += q;
    sums.lost += (length_ - i + alpha_) * q;
  }

  /// q varies like exp(-4^m / 2i) times a power of i. A panel halves i at most, and changes the
  /// exponent by 8 at most: 16 nodes then sum it to the last bits of a double.
  [[nodiscard]] std::int64_t panel_begin(std::int64_t end) const {
    const auto x = static_cast<double>(end);
    const double exponent = 0.5 * reach_ * reach_ / x;
    const double size = x * std::min(0.5, 8 / (exponent + 8));
    return std::max(first_,
                    end - std::max(static_cast<std::int64_t>(size), std::int64_t{kDirect - 1}));
  }

  /// Below 4^m, q grows with i: no term below `end` exceeds the one at `end`.
  [[nodiscard]] bool is_negligible(std::int64_t end, const SwampingSums& sums) const {
    const auto x = static_cast<double>(end);
    if (x > 0.25 * reach_ * reach_) return false;
    const double bound = (x - static_cast<double>(first_)) * probability(x);
    return bound <= 1e-15 * sums.probability &&
           bound * (length_ - static_cast<double>(first_) + alpha_) <= 1e-15 * sums.lost;
  }

  double reach_, length_, alpha_;
  std::int64_t last_, first_ = 0;
};

/// alpha_J = 2^(m - 3 m_p) / 3 sum_{j=1}^{J-1} 2^j (2^j - 1) (2^(j+1) - 1).
double partial_loss(int mantissa, int product_mantissa, int stage) {
  double sum = 0;
  for (int j = 1; j < stage; ++j) {
    const double power = std::ldexp(1.0, j);
    sum += power * (power - 1) * (2 * power - 1) / 3;
  }
  return std::ldexp(sum, mantissa - 3 * product_mantissa);
}

void require_mantissa(const char* what, int value, int low) {
  if (value < low || value > kMaxTheoryMantissa) {
    throw Error(
        fmt::format("{}: found {}; accepted: {} to {} bits", what, value, low, kMaxTheoryMantissa));
  }
}

void require_length(const char* what, std::int64_t value, std::int64_t low) {
  if (value < low || value > kMaxTheoryLength) {
    throw Error(
        fmt::format("{}: found {}; accepted: {} to {}", what, value, low, kMaxTheoryLength));
  }
}

/// Half up, and two at least: with a single term nothing is added to anything.
std::int64_t thinned(std::int64_t length, double ratio) {
  return std::max<std::int64_t>(
      2, static_cast<std::int64_t>(std::floor(static_cast<double>(length) * ratio + 0.5)));
}

}  // namespace

double full_swamping_loss(int accumulator_mantissa, std::int64_t length) {
  require_mantissa("accumulator mantissa", accumulator_mantissa, 0);
  require_length("length", length, 2);
  const auto n = static_cast<double>(length);
  const SwampingSums full = SwampingSeries(accumulator_mantissa, length, 0).sum();
  const double never = inside(std::ldexp(1.0, accumulator_mantissa) / std::sqrt(n));
  return full.lost / (n * (full.probability + never));
}

double swamping_loss(int accumulator_mantissa, int product_mantissa, std::int64_t length) {
  require_mantissa("accumulator mantissa", accumulator_mantissa, 0);
  require_mantissa("product mantissa", product_mantissa, 0);
  require_length("length", length, 2);
  const auto n = static_cast<double>(length);
  const int margin = accumulator_mantissa - product_mantissa;
  const double alpha = partial_loss(accumulator_mantissa, product_mantissa, product_mantissa + 1);
  SwampingSums sums = SwampingSeries(accumulator_mantissa, length, alpha).sum();
  for (int stage = 2; stage <= product_mantissa; ++stage) {
    const double stage_alpha = partial_loss(accumulator_mantissa, product_mantissa, stage);
    if (n <= stage_alpha) continue;
    const double reach = std::ldexp(1.0, margin + stage);
    const double q = reach * outside(0.5 * reach / std::sqrt(n)) * inside(reach / std::sqrt(n));
    sums.probability += q;
    sums.lost += stage_alpha * q;
  }
  const double never = inside(std::ldexp(1.0, margin + 1) / std::sqrt(n));
  return sums.lost / (n * (sums.probability + never));
}

AccumulationLevels levels(int accumulator_mantissa, const Accumulation& sum) {
  require_mantissa("accumulator mantissa", accumulator_mantissa, 0);
  require_mantissa("product mantissa", sum.product_mantissa, 0);
  require_length("length", sum.length, 1);
  if (!(sum.nonzero_ratio >= 0 && sum.nonzero_ratio <= 1)) {
    throw Error(
        fmt::format("non-zero ratio: found {}; accepted: a number from 0 to 1", sum.nonzero_ratio));
  }
  AccumulationLevels result;
  result.first.product_mantissa = sum.product_mantissa;
  if (sum.chunk == 0) {
    result.first.length = thinned(sum.length, sum.nonzero_ratio);
    return result;
  }
  require_length("chunk", sum.chunk, 1);
  const int growth = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(sum.chunk - 1)));
  result.chunked = true;
  result.first.length = thinned(std::min(sum.chunk, sum.length), sum.nonzero_ratio);
  result.second.product_mantissa = std::min(accumulator_mantissa, sum.product_mantissa + growth);
  result.second.length = std::max<std::int64_t>(2, (sum.length + sum.chunk - 1) / sum.chunk);
  return result;
}

double swamping_loss(int accumulator_mantissa, const Accumulation& sum) {
  return swamping_loss(accumulator_mantissa, accumulator_mantissa, sum);
}

double swamping_loss(int first_mantissa, int second_mantissa, const Accumulation& sum) {
  const AccumulationLevels parts = levels(first_mantissa, sum);
  const double first =
      swamping_loss(first_mantissa, parts.first.product_mantissa, parts.first.length);
  if (!parts.chunked) return first;
  const int chunk_mantissa = std::min(second_mantissa, parts.second.product_mantissa);
  const double second = swamping_loss(second_mantissa, chunk_mantissa, parts.second.length);
  return first + second - first * second;
}

double log_v(int accumulator_mantissa, const Accumulation& sum) {
  return static_cast<double>(thinned(sum.length, sum.nonzero_ratio)) *
         swamping_loss(accumulator_mantissa, sum);
}

double log_v(int accumulator_mantissa, const AccumulationLevel& level) {
  return static_cast<double>(level.length) *
         swamping_loss(accumulator_mantissa, level.product_mantissa, level.length);
}

}  // namespace narrowmac
