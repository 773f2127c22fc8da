#include "sim/accelerators/make.h"

#include "sim/accelerators/functional.h"
#include "sim/accelerators/transaction.h"

namespace narrowmac {

std::unique_ptr<Accelerator> make_accelerator(const ArrayDesign& array) {
  if (array.fidelity == Fidelity::Transaction)
    return std::make_unique<TransactionAccelerator>(array);
  return std::make_unique<FunctionalAccelerator>(array);
}

}  // namespace narrowmac
