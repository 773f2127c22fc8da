#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "models/design/mac_design.h"
#include "models/numerics/random.h"

namespace narrowmac {

/// The exponent of an operand as a dot unit sees it, in lanes as wide as its value.
template <typename T>
using LaneExponent = std::conditional_t<std::is_same_v<T, float>, std::int32_t, std::int64_t>;

/// Of zero: below every sum of two exponents.
inline constexpr std::int32_t kNoExponent = -(1 << 24);

inline constexpr int kDotRows = 2;  ///< of a tile

/// What the kernels must know of a dot unit and its accumulator.
struct DotDesign {
  std::int64_t terms = 0;
  int fraction_bits = 0;
  Alignment alignment = Alignment::TowardZero;
  bool separate = false;
  RoundingMode mode = RoundingMode::NearestEven;
  int random_bits = 0;
  int accumulator_fraction_bits = 0;
  int accumulator_min_exponent = 0;
  bool subnormals = true;
  double high = 0;  ///< the largest value; what rounds beyond it becomes:
  double above_high = std::numeric_limits<double>::quiet_NaN();
  double below_low = std::numeric_limits<double>::quiet_NaN();
};

/// A tile of kDotRows x columns outputs, for a run of whole groups (and perhaps the last one).
template <typename T>
struct DotWork {
  const T* a = nullptr;  ///< row r begins at a + r * a_stride
  const LaneExponent<T>* a_exponents = nullptr;
  std::int64_t a_stride = 0;
  const T* b = nullptr;  ///< product k of the run at b + k * b_step
  std::int64_t b_step = 0;
  const LaneExponent<T>* b_exponents = nullptr;  ///< `columns` of each k
  std::int64_t length = 0;                       ///< products
  double* sums = nullptr;                        ///< the accumulators, kDotRows x columns
  // Stochastic rounding only.
  RandomRowKey keys[kDotRows];
  std::int64_t first_column = 0;
  std::int64_t first_group = 0;
};

template <typename T>
struct DotKernel {
  void (*run)(const DotDesign& design, const DotWork<T>& work) = nullptr;
  /// exponents[i] of values[i], `min_exponent` for subnormals.
  void (*exponents)(const T* values, std::int64_t count, int min_exponent,
                    LaneExponent<T>* exponents) = nullptr;
  int columns = 0;  ///< of a tile
};
template <typename T>
DotKernel<T> select_dot_kernel(Alignment alignment);

/// Sums of products of one row of A and a panel of B: sums[c] += a[k] * b[k][c], in float64. Exact
/// where the caller has proven so.
struct SumKernel {
  void (*run)(const double* const* a_rows, std::int64_t a_step, const double* b,
              std::int64_t b_step, std::int64_t length, double* sums) = nullptr;
  int rows = 0, columns = 0;
};
SumKernel select_sum_kernel();

}  // namespace narrowmac
