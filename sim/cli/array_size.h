#pragma once

#include <string_view>

#include "models/design/array_design.h"

namespace narrowmac {

/// Sets rows and columns from `ROWSxCOLUMNS`, the text of --array. Throws Error.
void set_array_size(ArrayDesign& array, std::string_view text);

}  // namespace narrowmac
