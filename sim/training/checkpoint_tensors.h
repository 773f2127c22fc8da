#pragma once

#include <vector>

#include "sim/training/layer.h"

namespace narrowmac {

/// All tensors of a network as checkpoints know them, layer by layer; then the momentum buffers.
std::vector<NamedTensor> export_tensors(const std::vector<std::unique_ptr<Layer>>& layers);
/// Puts them back. Throws Error naming the tensor that is missing, unknown, given twice or of
/// another shape; nothing is changed then.
void import_tensors(const std::vector<NamedTensor>& tensors,
                    const std::vector<std::unique_ptr<Layer>>& layers);

}  // namespace narrowmac
