#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"

namespace narrowmac {

/// Which lane values are no results but must be recomputed by the reference.
enum class Recompute : std::uint8_t {
  NonFinite,             ///< a lane leaves the finite numbers early
  NonFiniteOrMinusZero,  ///< zero products were skipped under ZeroProducts::ChangeSignsOfZero
};

/// True if no value must be recomputed: an integer reduction, so that it vectorises.
template <typename T>
bool all_final(const T* values, std::int64_t count, Recompute recompute) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Word kSpecial = std::bit_cast<Word>(std::numeric_limits<T>::infinity());
  constexpr Word kMinusZero = std::bit_cast<Word>(T{-0.0});
  Word largest = 0;
  Word minus_zeros = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Word word = std::bit_cast<Word>(values[i]);
    largest = std::max(largest, static_cast<Word>(word & kSpecial));
    minus_zeros += word == kMinusZero ? Word{1} : Word{0};
  }
  return largest != kSpecial && (recompute == Recompute::NonFinite || minus_zeros == 0);
}

template <typename T>
bool is_final(T value, Recompute recompute) {
  return std::isfinite(value) &&
         (recompute == Recompute::NonFinite || value != 0 || !std::signbit(value));
}

/// Stores a run of finished lanes of one row, divided by the plan's scale; those that are no
/// results come from the reference.
template <typename T>
void store_outputs(const GemmProblem& problem, const OutputView& out, std::int64_t row,
                   std::int64_t column, std::int64_t count, const T* values, double unscale,
                   Recompute recompute) {
  const std::int64_t first = row * out.row_stride + column;
  if (out.f32 != nullptr) {
    const T factor = static_cast<T>(unscale);
    for (std::int64_t c = 0; c < count; ++c)
      out.f32[first + c] = static_cast<float>(values[c] * factor);
  } else {
    for (std::int64_t c = 0; c < count; ++c)
      out.f64[first + c] = static_cast<double>(values[c]) * unscale;
  }
  if (all_final(values, count, recompute)) return;
  for (std::int64_t c = 0; c < count; ++c) {
    if (!is_final(values[c], recompute)) {
      out.store(row, column + c, reference_output(problem, row, column + c));
    }
  }
}

}  // namespace narrowmac
