#pragma once

#include <memory>

#include "models/design/array_design.h"
#include "sim/accelerator.h"

namespace narrowmac {

/// The accelerator that array.fidelity names. GEMMs without a MAC go to OpenBLAS in every fidelity.
/// A process can hold one accelerator of fidelity transaction or cycle; a second one throws Error.
std::unique_ptr<Accelerator> make_accelerator(const ArrayDesign& array);

}  // namespace narrowmac
