#pragma once

#include <filesystem>

#include "models/theory/assignment.h"

namespace narrowmac {

/// What a run with `[observe] precision` recorded, or a file of the same form: `layers` (name and
/// the members of LayerStatistics; null where there is none) and `learning_rate_min`. Throws Error
/// naming file, layer and key.
TrainingStatistics read_statistics(const std::filesystem::path& path);

}  // namespace narrowmac
