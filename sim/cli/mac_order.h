#pragma once

#include <filesystem>
#include <optional>

#include "models/design/array_design.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// The order of accumulation of the design in `file` on `array` (none: the MAC's own). Logs a
/// warning for each choice that is legal but unwise. Throws Error naming the file.
AccumulationOrder checked_order(const std::filesystem::path& file, const MacDesign& mac,
                                const std::optional<ArrayDesign>& array);

}  // namespace narrowmac
