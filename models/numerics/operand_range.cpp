#include "models/numerics/operand_range.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>

#include "models/numerics/kernel_scan.h"

namespace narrowmac {
namespace {

template <typename Word>
void merge(ScannedWords<Word>& into, const ScannedWords<Word>& other) {
  into.largest = std::max(into.largest, other.largest);
  into.smallest_less_one = std::min(into.smallest_less_one, other.smallest_less_one);
  into.zeros += other.zeros;
}

template <typename T, typename Word>
ScannedWords<Word> scan_run(const T* data, std::int64_t count, std::int64_t stride) {
  if (stride == 1) return scan_words(data, count);
  ScannedWords<Word> found;
  for (std::int64_t i = 0; i < count; ++i) merge(found, scan_words(data + i * stride, 1));
  return found;
}

/// A matrix as runs of elements: their length, the distance between two runs, the stride in a run.
struct Runs {
  std::int64_t elements, length, distance, stride;
  [[nodiscard]] std::int64_t count() const {
    return length == 0 ? 0 : (elements + length - 1) / length;
  }
};

/// Elements side by side, cut into runs that are worth a task.
Runs contiguous(std::int64_t elements) {
  constexpr std::int64_t kRun = 16384;
  return {elements, kRun, kRun, 1};
}

Runs runs_of(const OperandView& operand) {
  if (operand.is_patches()) {
    const ConvolutionPatches& c = operand.convolution();
    return contiguous(c.images * c.height * c.width * c.channels);
  }
  const bool along_rows = operand.column_stride() <= operand.row_stride();
  const std::int64_t length = along_rows ? operand.columns() : operand.rows();
  const std::int64_t distance = along_rows ? operand.row_stride() : operand.column_stride();
  const std::int64_t stride = along_rows ? operand.column_stride() : operand.row_stride();
  const std::int64_t elements = operand.rows() * operand.columns();
  if (stride == 1 && distance == length) return contiguous(elements);
  return {elements, length, distance, stride};
}

template <typename T, typename Word, int kFraction, int kBias>
OperandRange scan(const T* data, const Runs& runs, const NumberFormat& format) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, runs.length));
  const auto fields = tbb::parallel_reduce(
      tbb::blocked_range<std::int64_t>(0, runs.count(), static_cast<std::size_t>(grain)),
      ScannedWords<Word>{},
      [&](const tbb::blocked_range<std::int64_t>& range, ScannedWords<Word> found) {
        for (std::int64_t r = range.begin(); r < range.end(); ++r) {
          const std::int64_t length = std::min(runs.length, runs.elements - r * runs.length);
          merge(found, scan_run<T, Word>(data + r * runs.distance, length, runs.stride));
        }
        return found;
      },
      [](ScannedWords<Word> left, const ScannedWords<Word>& right) {
        merge(left, right);
        return left;
      });
  OperandRange range;
  range.values = runs.elements;
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
    const int smallest = std::max(exponent_field(fields.smallest_less_one + 1), 1) - kBias;
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
