#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/design/gemm_shape.h"
#include "models/design/gemm_time.h"
#include "models/design/mac_design.h"
#include "models/numerics/gemm.h"
#include "models/numerics/operand_view.h"
#include "models/numerics/statistics.h"

namespace narrowmac {

/// One GEMM of the training loop. Views stay valid until execute() returns.
struct GemmRequest {
  std::string layer;  ///< for messages and reports
  Pass pass = Pass::Forward;
  OperandView a;  ///< M x K, values of mac->a
  OperandView b;  ///< K x N, values of mac->b
  OutputView out;
  const MacDesign* mac = nullptr;      ///< null: fp32 through OpenBLAS, outside the array
  std::uint64_t seed = 0;              ///< of stochastic rounding
  std::uint64_t gemm_number = 0;       ///< of stochastic rounding: never used twice in a run
  std::optional<Observation> observe;  ///< statistics wanted, of these outputs
};

struct GemmResult {
  CycleParts cycles;       ///< of the array, stall-free; 0 for fp32
  StallCauses stalls;      ///< waiting for memory
  double utilization = 0;  ///< M N K / (cycles R C); 0 for fp32
  Traffic traffic;
  std::optional<GemmStatistics> statistics;
};

/// What the training loop knows of the hardware: it hands over a GEMM and gets bits, time and
/// losses back. The bits depend on the request and the array's order of accumulation only, never on
/// the fidelity.
class Accelerator {
 public:
  Accelerator() = default;
  Accelerator(const Accelerator&) = delete;
  Accelerator& operator=(const Accelerator&) = delete;
  virtual ~Accelerator() = default;
  virtual GemmResult execute(const GemmRequest& request) = 0;
};

}  // namespace narrowmac
