#pragma once

#include "models/theory/assignment.h"
#include "sim/training/dataset.h"
#include "sim/training/formats.h"

namespace narrowmac {

/// What a signed format has at least: a sign and a bit.
inline constexpr int kLeastSigned = 2;

/// What holds every normalised pixel, neighbouring levels apart: unsigned where none is negative.
NumberFormat image_format(const Normalisation& normalisation);

/// The formats of a layer, rounded half away from zero and saturating; an activation without a
/// width has `image`. Signed tensors have kLeastSigned bits at least, residuals kWidestResidual at
/// most. Throws Error that names layer and tensor for a format that there is not.
LayerFormats layer_formats(const LayerAssignment& layer, const NumberFormat& image);

}  // namespace narrowmac
