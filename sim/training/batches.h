#pragma once

#include <cstdint>
#include <span>

#include "sim/training/dataset.h"

namespace narrowmac {

/// Writes the images `indices` of a data set, normalised, one after the other as NHWC:
/// (pixel * scale - mean[channel]) / deviation[channel], computed in double and rounded once to
/// float. Throws Error for an index outside the set, and for a mean or deviation that is neither
/// empty nor one positive deviation and one mean per channel.
void load_batch(const Dataset& set, std::span<const std::int64_t> indices,
                const Normalisation& normalisation, float* out);

}  // namespace narrowmac
