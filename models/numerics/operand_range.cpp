#include "models/numerics/operand_range.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace narrowmac {
namespace {

/// Largest and smallest non-zero exponent field, in place, and the count of zeros: integers only,
/// so that the loop vectorises.
template <typename Word>
struct ExponentFields {
  Word largest = 0;
  Word smallest_nonzero = std::numeric_limits<Word>::max();
  std::int64_t zeros = 0;

  void merge(const ExponentFields& other) {
    largest = std::max(largest, other.largest);
    smallest_nonzero = std::min(smallest_nonzero, other.smallest_nonzero);
    zeros += other.zeros;
  }
};

template <typename T, typename Word, Word kMagnitude>
ExponentFields<Word> scan_run(const T* data, std::int64_t count, std::int64_t stride) {
  ExponentFields<Word> fields;
  Word largest = 0;
  Word smallest = std::numeric_limits<Word>::max();
  Word zeros = 0;
  const auto visit = [&](T value) {
    const Word magnitude = std::bit_cast<Word>(value) & kMagnitude;
    largest = std::max(largest, magnitude);
    // Zero wraps around to the largest word and so never wins.
    smallest = std::min<Word>(smallest, magnitude - 1);
    zeros += magnitude == 0 ? Word{1} : Word{0};
  };
  if (stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) visit(data[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) visit(data[i * stride]);
  }
  fields.largest = largest;
  fields.smallest_nonzero = smallest;
  fields.zeros = static_cast<std::int64_t>(zeros);
  return fields;
}

/// A matrix as contiguous runs: (count of runs, length, distance between runs, stride in a run).
struct Runs {
  std::int64_t count, length, distance, stride;
};

Runs runs_of(const OperandView& operand) {
  if (operand.is_patches()) {
    const ConvolutionPatches& c = operand.convolution();
    return {c.images * c.height, c.width * c.channels, c.width * c.channels, 1};
  }
  const bool along_rows = operand.column_stride() <= operand.row_stride();
  if (along_rows)
    return {operand.rows(), operand.columns(), operand.row_stride(), operand.column_stride()};
  return {operand.columns(), operand.rows(), operand.column_stride(), operand.row_stride()};
}

template <typename T, typename Word, int kFraction, int kBias>
OperandRange scan(const T* data, const Runs& runs, const NumberFormat& format) {
  constexpr Word kMagnitude = std::numeric_limits<Word>::max() >> 1;
  const std::int64_t grain =
      std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, runs.length));
  const auto fields = tbb::parallel_reduce(
      tbb::blocked_range<std::int64_t>(0, runs.count, static_cast<std::size_t>(grain)),
      ExponentFields<Word>{},
      [&](const tbb::blocked_range<std::int64_t>& range, ExponentFields<Word> found) {
        for (std::int64_t r = range.begin(); r < range.end(); ++r) {
          found.merge(
              scan_run<T, Word, kMagnitude>(data + r * runs.distance, runs.length, runs.stride));
        }
        return found;
      },
      [](ExponentFields<Word> left, const ExponentFields<Word>& right) {
        left.merge(right);
        return left;
      });
  OperandRange range;
  range.values = runs.count * runs.length;
  range.zeros = fields.zeros;
  const auto exponent_field = [](Word word) { return static_cast<int>(word >> kFraction); };
  range.finite = exponent_field(fields.largest) != 2 * kBias + 1;
  range.zero = fields.largest == 0;
  const int format_quantum = format.min_quantum_exponent();
  range.quantum_exponent = format_quantum;
  if (range.zero) return range;
  const int largest_field = exponent_field(fields.largest);
  range.max_exponent = std::max(largest_field, 1) - kBias;
  if (format.is_float()) {
    const int smallest = std::max(exponent_field(fields.smallest_nonzero + 1), 1) - kBias;
    range.quantum_exponent = std::max(format_quantum, smallest - format.fraction_bits);
  }
  return range;
}

}  // namespace

OperandRange scan_operand(const OperandView& operand, const NumberFormat& format) {
  const Runs runs = runs_of(operand);
  if (operand.is_double()) {
    return scan<double, std::uint64_t, 52, 1023>(operand.double_data(), runs, format);
  }
  return scan<float, std::uint32_t, 23, 127>(operand.float_data(), runs, format);
}

}  // namespace narrowmac
