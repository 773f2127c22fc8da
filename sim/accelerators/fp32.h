#pragma once

#include <memory>

#include "sim/accelerator.h"

namespace narrowmac {

/// fp32 GEMMs through OpenBLAS: the baseline of every experiment, outside the array (no cycles, no
/// statistics). The bits depend on shapes and operands only: OpenBLAS runs single-threaded on
/// blocks of fixed size, TBB spreads the blocks, and partial sums of a cut K are added in order.
class Fp32Accelerator final : public Accelerator {
 public:
  Fp32Accelerator();
  ~Fp32Accelerator() override;
  /// request.mac is ignored. Throws Error if the shapes do not fit.
  GemmResult execute(const GemmRequest& request) override;

 private:
  class Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace narrowmac
