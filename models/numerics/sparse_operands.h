#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>

#include "models/numerics/gemm.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/lane_output.h"
#include "models/numerics/plan.h"
#include "models/numerics/row_lists.h"

namespace narrowmac {

/// What both zero-skipping drivers need of a problem.
template <typename T>
struct SparseContext {
  const GemmProblem& problem;
  const OutputView& out;
  GemmShape shape;
  SparseKernel<T> kernel;
  LaneStep<T> first, second;
  LaneB<T> b;
  double unscale;
  Recompute recompute;
  std::int64_t zero_row_period;
  std::atomic<std::int64_t> recomputed = 0;

  /// B is packed, since its rows are met at random, and gets a row of zeros after every `period`
  /// rows: lists are padded with -0 * +0, which no accumulator sees.
  SparseContext(const GemmProblem& gemm, const GemmPlan& plan, const OutputView& output,
                std::int64_t period)
      : problem(gemm),
        out(output),
        shape(gemm.shape()),
        kernel(select_sparse_kernel<T>(shape.n, plan.first.rounding, plan.first.clamp)),
        first(lane_step<T>(gemm.mac.accumulator, plan.first, plan.scale_exponent)),
        b(gemm.b, kernel.columns, plan.scale_exponent, period),
        unscale(std::ldexp(1.0, -plan.scale_exponent)),
        recompute(plan.zero_products == ZeroProducts::ChangeSignsOfZero
                      ? Recompute::NonFiniteOrMinusZero
                      : Recompute::NonFinite),
        zero_row_period(period) {
    if (gemm.order.chunk)
      second = lane_step<T>(gemm.order.chunk->accumulator, plan.second, plan.scale_exponent);
  }
  /// Stores a run of one row. A result that the reference must recompute costs as much as hundreds
  /// of others: where there are many, the GEMM gives up and the register tiles do it.
  void store(std::int64_t row, std::int64_t column, std::int64_t count, const T* values) {
    if (store_values(out, row * out.row_stride + column, count, values, unscale, recompute)) return;
    std::int64_t missing = 0;
    for (std::int64_t c = 0; c < count; ++c) missing += is_final(values[c], recompute) ? 0 : 1;
    if (recomputed.fetch_add(missing) + missing > shape.m * shape.n / 512 + 16) return;
    store_outputs(problem, out, row, column, count, values, unscale, recompute);
  }
  [[nodiscard]] bool gave_up() const { return recomputed.load() > shape.m * shape.n / 512 + 16; }
  [[nodiscard]] bool chunked() const { return problem.order.chunk.has_value(); }
  [[nodiscard]] std::int64_t row_width() const { return b.panels() * kernel.columns; }
  /// Row k of B in a panel.
  [[nodiscard]] const T* b_row(std::int64_t panel, std::int64_t k) const {
    return b.panel(panel) + (k + k / zero_row_period) * b.step();
  }
  /// The shape of lists whose rows multiply B's rows from b_row(_, k) on; `rows_to_zero` rows
  /// further lies a row of zeros.
  [[nodiscard]] RowListsShape<T> lists(std::int64_t length, std::int64_t rows_to_zero,
                                       std::int32_t unused) const {
    using Offset = typename ListBlock<T>::Offset;
    RowListsShape<T> lists;
    lists.length = length;
    lists.offset_step = static_cast<Offset>(b.step());
    lists.unused = unused;
    lists.padding = {T{-0.0}, static_cast<Offset>(rows_to_zero * b.step())};
    return lists;
  }
};

/// The plan of a GEMM that gave up skipping.
inline GemmPlan without_skipping(GemmPlan plan) {
  plan.path = GemmPath::Tiles;
  return plan;
}

}  // namespace narrowmac
