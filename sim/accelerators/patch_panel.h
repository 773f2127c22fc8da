#pragma once

#include <cstdint>

#include "models/numerics/operand_view.h"

namespace narrowmac {

/// Copies `count` rows of an implicit patch matrix, from `first` on, into a dense row-major panel
/// whose leading dimension is patches.columns(). Channels of one tensor element, and whole kernel
/// rows where they are contiguous, are copied as runs.
void pack_patch_rows(const float* tensor, const ConvolutionPatches& patches, std::int64_t first,
                     std::int64_t count, float* panel);

}  // namespace narrowmac
