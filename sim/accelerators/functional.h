#pragma once

#include "models/design/array_design.h"
#include "sim/accelerator.h"
#include "sim/accelerators/fp32.h"

namespace narrowmac {

/// Bits by the kernels, time by the closed form; nothing is simulated.
class FunctionalAccelerator final : public Accelerator {
 public:
  explicit FunctionalAccelerator(const ArrayDesign& array);
  /// Throws Error if MAC and array contradict each other, or as gemm() and timing() do.
  GemmResult execute(const GemmRequest& request) override;

 private:
  ArrayDesign array_;
  Fp32Accelerator fp32_;
};

}  // namespace narrowmac
