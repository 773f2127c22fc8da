#include "sim/experiment/gaussian_operands.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/numerics/convert.h"
#include "sim/training/random_stream.h"

namespace narrowmac {
namespace {

constexpr int kTableWidth = 16;  ///< formats of so many bits are drawn from a table
constexpr std::int64_t kBlock = 4096;

double unit(std::uint64_t word) { return (static_cast<double>(word >> 11) + 1.0) * 0x1p-53; }

std::uint64_t word_at(std::uint64_t key, std::uint64_t index) {
  return split_mix(key + (index + 1) * kSplitMixStep);
}

Conversion saturating(Conversion conversion) {
  conversion.overflow = Overflow::Saturate;
  return conversion;
}

/// All finite values of a format, ascending, zero once; flushed where the conversion flushes.
std::vector<double> values_of(const Conversion& conversion) {
  std::vector<double> values;
  const std::uint64_t codes = std::uint64_t{1} << conversion.format.width;
  for (std::uint64_t code = 0; code < codes; ++code) {
    const double value = decode(code, conversion.format);
    if (std::isfinite(value)) values.push_back(convert(value, conversion) + 0.0);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// Where rounding changes from one value to the next. Flushing moves the borders of zero.
double border(double low, double high, const Conversion& conversion) {
  const double value = low;
  if (low != 0 && high != 0) return low + (high - low) / 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (convert(middle, conversion) <= value ? low : high) = middle;
  }
}

double upper_tail(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

/// P(low < x < high) of N(0, 1), to full precision in both tails.
double probability(double low, double high) {
  if (low >= 0) return upper_tail(low) - upper_tail(high);
  if (high <= 0) return upper_tail(-high) - upper_tail(-low);
  return 1 - upper_tail(high) - upper_tail(-low);
}

}  // namespace

GaussianOperands::GaussianOperands(const NumberFormat& format, const MacDesign& mac,
                                   double nonzero_ratio)
    : conversion_(saturating(mac.operand_conversion(format))),
      sigma_(format.is_fixed() ? format.max_value() / 4 : 1),
      nonzero_ratio_(nonzero_ratio) {
  if (format.width <= kTableWidth) make_table(nonzero_ratio);
}

void GaussianOperands::make_table(double nonzero_ratio) {
  const std::vector<double> values = values_of(conversion_);
  const std::size_t size = values.size();
  std::vector<double> share(size);  // of a cell: probability times their number
  double low = -HUGE_VAL;
  for (std::size_t i = 0; i < size; ++i) {
    const double high = i + 1 < size ? border(values[i], values[i + 1], conversion_) : HUGE_VAL;
    share[i] = nonzero_ratio * probability(low / sigma_, high / sigma_);
    if (values[i] == 0) share[i] += 1 - nonzero_ratio;
    share[i] *= static_cast<double>(size);
    low = high;
  }
  table_.resize(size);
  std::vector<std::size_t> small, large;
  for (std::size_t i = 0; i < size; ++i) {
    table_[i] = {{values[i], values[i]}, 0};
    (share[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const std::size_t poor = small.back(), rich = large.back();
    small.pop_back();
    table_[poor].threshold = static_cast<std::uint32_t>(
        std::min(std::ldexp(std::max(share[poor], 0.0), 32), 4294967295.0));
    table_[poor].values[1] = values[rich];
    share[rich] -= 1 - share[poor];
    if (share[rich] >= 1) continue;
    large.pop_back();
    small.push_back(rich);
  }
}

inline double GaussianOperands::draw(std::uint64_t key, std::uint64_t index) const {
  if (!table_.empty()) {
    const std::uint64_t word = word_at(key, index);
    const Cell& cell = table_[((word >> 32) * table_.size()) >> 32];
    // Indexed, since a branch on a coin is predicted wrongly half of the time.
    return cell.values[static_cast<std::uint32_t>(word) >= cell.threshold ? 1 : 0];
  }
  if (nonzero_ratio_ < 1 && unit(word_at(~key, index)) > nonzero_ratio_) return 0;
  // Box and Muller's transform.
  const double radius = std::sqrt(-2.0 * std::log(unit(word_at(key, 2 * index))));
  const double angle = 2.0 * std::numbers::pi * unit(word_at(key, 2 * index + 1));
  return convert(sigma_ * radius * std::cos(angle), conversion_);
}

template <typename Value>
void GaussianOperands::fill(std::int64_t length, std::int64_t streams, bool transposed,
                            std::uint64_t key, OperandMatrix& to) const {
  if (!std::holds_alternative<std::vector<Value>>(to.values)) to.values = std::vector<Value>();
  auto& values = std::get<std::vector<Value>>(to.values);
  values.resize(static_cast<std::size_t>(length * streams));
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(streams));
  for (std::size_t s = 0; s < keys.size(); ++s) keys[s] = split_mix(key + s);
  tbb::parallel_for(std::int64_t{0}, (length + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t begin = block * kBlock;
    const std::int64_t end = std::min(length, begin + kBlock);
    const auto value_at = [&](std::size_t s, std::int64_t k) {
      return static_cast<Value>(draw(keys[s], static_cast<std::uint64_t>(k)));
    };
    if (transposed) {
      Value* next = values.data() + begin * streams;
      for (std::int64_t k = begin; k < end; ++k) {
        for (std::size_t s = 0; s < keys.size(); ++s) *next++ = value_at(s, k);
      }
      return;
    }
    for (std::size_t s = 0; s < keys.size(); ++s) {
      Value* row = values.data() + static_cast<std::int64_t>(s) * length;
      for (std::int64_t k = begin; k < end; ++k) row[k] = value_at(s, k);
    }
  });
}

void GaussianOperands::fill_matrix(std::int64_t length, std::int64_t streams, bool transposed,
                                   std::uint64_t key, OperandMatrix& to) const {
  to.rows = transposed ? length : streams;
  to.columns = transposed ? streams : length;
  if (conversion_.format.fits_float32()) {
    fill<float>(length, streams, transposed, key, to);
  } else {
    fill<double>(length, streams, transposed, key, to);
  }
}

void GaussianOperands::fill_rows(std::int64_t rows, std::int64_t length, std::uint64_t key,
                                 OperandMatrix& to) const {
  fill_matrix(length, rows, false, key, to);
}

void GaussianOperands::fill_columns(std::int64_t length, std::int64_t columns, std::uint64_t key,
                                    OperandMatrix& to) const {
  fill_matrix(length, columns, true, key, to);
}

}  // namespace narrowmac
