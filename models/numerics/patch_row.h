#pragma once

#include <cstdint>

#include "models/numerics/operand_view.h"

namespace narrowmac {

/// Writes row `row` of a patch matrix: kernel row, kernel column, channel, slowest first.
void copy_patch_row(const ConvolutionPatches& patches, const float* tensor, std::int64_t row,
                    float* out);

}  // namespace narrowmac
