#pragma once

#include "models/array/timing.h"
#include "models/design/array_design.h"
#include "models/numerics/gemm.h"
#include "sim/accelerator.h"

namespace narrowmac {

/// What a request asks of the array; request.mac must not be null.
inline GemmProblem gemm_problem(const GemmRequest& request, const ArrayDesign& array) {
  GemmProblem problem;
  problem.mac = *request.mac;
  problem.order = accumulation_order(*request.mac, array);
  problem.a = request.a;
  problem.b = request.b;
  problem.seed = request.seed;
  problem.gemm_number = request.gemm_number;
  return problem;
}

/// A result without statistics.
inline GemmResult gemm_result(const Timing& time) {
  GemmResult result;
  result.cycles = time.cycles;
  result.stalls = time.stalls;
  result.utilization = time.utilization;
  result.traffic = time.traffic;
  return result;
}

}  // namespace narrowmac
