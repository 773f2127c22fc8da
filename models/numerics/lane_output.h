#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"

namespace narrowmac {

/// Which lane values are no results but must be recomputed by the reference.
enum class Recompute : std::uint8_t {
  NotANumber,            ///< infinities are results
  NonFinite,             ///< a lane leaves the finite numbers early
  NonFiniteOrMinusZero,  ///< zero products were skipped under ZeroProducts::ChangeSignsOfZero
};

template <typename T>
bool is_final(T value, Recompute recompute) {
  switch (recompute) {
    case Recompute::NotANumber:
      return !std::isnan(value);
    case Recompute::NonFinite:
      return std::isfinite(value);
    default:
      return std::isfinite(value) && (value != 0 || !std::signbit(value));
  }
}

/// to[i] = from[i] * factor in the vectors of this processor; true if no value must be recomputed.
bool store_lanes(const float* from, std::int64_t count, float factor, Recompute recompute,
                 float* to);

/// Stores lanes of one row or of rows without gaps, divided by the plan's scale; false if some must
/// be recomputed.
template <typename T>
bool store_values(const OutputView& out, std::int64_t first, std::int64_t count, const T* values,
                  double unscale, Recompute recompute) {
  if constexpr (std::is_same_v<T, float>) {
    if (out.f32 != nullptr) {
      return store_lanes(values, count, static_cast<float>(unscale), recompute, out.f32 + first);
    }
  }
  bool all_final = true;
  for (std::int64_t c = 0; c < count; ++c) {
    const double value = static_cast<double>(values[c]) * unscale;
    all_final = all_final && is_final(values[c], recompute);
    if (out.f32 != nullptr) {
      out.f32[first + c] = static_cast<float>(value);
    } else {
      out.f64[first + c] = value;
    }
  }
  return all_final;
}

/// Stores a run of finished lanes of one row; those that are no results come from the reference.
template <typename T>
void store_outputs(const GemmProblem& problem, const OutputView& out, std::int64_t row,
                   std::int64_t column, std::int64_t count, const T* values, double unscale,
                   Recompute recompute) {
  const std::int64_t first = row * out.row_stride + column;
  if (store_values(out, first, count, values, unscale, recompute)) return;
  for (std::int64_t c = 0; c < count; ++c) {
    if (!is_final(values[c], recompute)) {
      out.store(row, column + c, reference_output(problem, row, column + c));
    }
  }
}

}  // namespace narrowmac
