#include "sim/accelerators/make.h"

#include "sim/accelerators/functional.h"
#include "sim/accelerators/platform.h"

namespace narrowmac {

std::unique_ptr<Accelerator> make_accelerator(const ArrayDesign& array) {
  if (array.fidelity == Fidelity::Functional) return std::make_unique<FunctionalAccelerator>(array);
  return std::make_unique<PlatformAccelerator>(array);
}

}  // namespace narrowmac
