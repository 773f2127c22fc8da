#pragma once

#include <cstdint>

#include "models/numerics/operand_view.h"

namespace narrowmac {

/// Writes rows first .. first + count - 1 of a patch matrix, one after the other: kernel row,
/// kernel column, channel, slowest first.
void copy_patch_rows(const ConvolutionPatches& patches, const float* tensor, std::int64_t first,
                     std::int64_t count, float* out);

}  // namespace narrowmac
