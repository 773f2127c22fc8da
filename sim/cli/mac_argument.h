#pragma once

#include <filesystem>
#include <optional>

#include "models/design/array_design.h"
#include "models/design/config.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// What --mac stands for: a MAC file, or the name of a shipped one (without a slash and
/// ".toml"). Throws Error as read_mac_file() and find_preset() do.
MacFile read_mac_argument(const std::filesystem::path& file_or_name);

/// The order of accumulation of the design in `file` on `array` (none: the MAC's own). Logs a
/// warning for each choice that is legal but unwise. Throws Error naming the file.
AccumulationOrder checked_order(const std::filesystem::path& file, const MacDesign& mac,
                                const std::optional<ArrayDesign>& array);

}  // namespace narrowmac
