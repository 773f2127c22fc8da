#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"
#include "models/design/mac_design.h"
#include "models/numerics/operand_view.h"
#include "models/numerics/statistics.h"

namespace narrowmac {

/// Which outputs a GEMM's statistics look at.
struct Observation {
  /// 0: every row; otherwise at most this many rows, one from each equal part of M.
  std::int64_t max_rows = 0;
  double* seconds =
      nullptr;  ///< if not null, the time that they take beyond the GEMM is added here
};

/// Everything that decides the bits of C = A B.
struct GemmProblem {
  MacDesign mac;
  AccumulationOrder order;  ///< accumulation_order(mac, array)
  OperandView a;            ///< M x K
  OperandView b;            ///< K x N
  std::optional<OperandView>
      c0;  ///< M x N: what the last-level accumulator starts from, rounded to it
  std::uint64_t seed = 0;
  std::uint64_t gemm_number = 0;
  [[nodiscard]] GemmShape shape() const { return {a.rows(), b.columns(), a.columns()}; }
};

/// Computes the GEMM with the fastest plan that is proven exact for this problem; the bits are
/// those of reference_gemm. Threads: TBB's. Throws Error for shapes that do not fit, for NaN or
/// infinity that reach a fixed-point accumulator, and for an order that is not defined for this K.
/// With `observe`, the statistics of the observed outputs are returned too.
std::optional<GemmStatistics> gemm(const GemmProblem& problem, const OutputView& out,
                                   const std::optional<Observation>& observe = std::nullopt);

/// The plan that gemm would use and why, one line per decision, for people.
std::string explain_plan(const GemmProblem& problem);

}  // namespace narrowmac
