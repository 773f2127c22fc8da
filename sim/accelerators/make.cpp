#include "sim/accelerators/make.h"

#include "models/design/error.h"
#include "sim/accelerators/functional.h"

namespace narrowmac {

std::unique_ptr<Accelerator> make_accelerator(const ArrayDesign& array) {
  if (array.fidelity != Fidelity::Functional) {
    throw Error("array.fidelity: '" + std::string(to_string(array.fidelity)) +
                "' is not available; accepted: functional");
  }
  return std::make_unique<FunctionalAccelerator>(array);
}

}  // namespace narrowmac
