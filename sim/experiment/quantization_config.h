#pragma once

#include <string>

#include "models/design/config.h"
#include "sim/training/settings.h"

namespace narrowmac {

/// [quantization] of a run file, or none: fully quantised training, which gives activations,
/// weights and gradients their formats. Throws Error if [formats] gives them some, too.
std::optional<Quantization> read_quantization(const ConfigTable& root);

/// The table with every key spelled out.
std::string to_toml(const Quantization& quantization);

/// Whether GEMMs of the pass go to the array where there is a [mac]: all but those of a gradient
/// that stays fp32.
bool goes_to_array(Pass pass, const TrainingSettings& training);

}  // namespace narrowmac
