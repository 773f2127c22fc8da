#pragma once

#include "models/array/platform.h"
#include "models/design/array_design.h"
#include "sim/accelerator.h"
#include "sim/accelerators/fp32.h"

namespace narrowmac {

/// Bits and time from the SystemC platform, in the array's fidelity: transaction or cycle. GEMMs
/// without a MAC go to OpenBLAS and take no simulated time.
class PlatformAccelerator final : public Accelerator {
 public:
  /// Throws Error if this process already has a platform.
  explicit PlatformAccelerator(const ArrayDesign& array);
  GemmResult execute(const GemmRequest& request) override;

 private:
  ArrayDesign array_;
  Fp32Accelerator fp32_;
  Platform platform_;
};

}  // namespace narrowmac
