#pragma once

#include <string_view>

#include "models/workload/network.h"

namespace narrowmac {

/// The value of --input, CHANNELSxHEIGHTxWIDTH. Throws Error.
FeatureShape image_shape(std::string_view text);

}  // namespace narrowmac
