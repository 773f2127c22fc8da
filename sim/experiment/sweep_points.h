#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sim/experiment/run_config.h"

namespace narrowmac {

/// One point of a sweep with one seed, ready to run.
struct SweepPoint {
  std::string label;
  std::vector<std::pair<std::string, std::string>>
      values;  ///< what it varies: dotted key, value as a label says it
  RunConfig config;
  std::string hash;
};

/// Reads a sweep file: [sweep] base (a run file, relative to the sweep file) and seeds (default:
/// the base's), and either [sweep.grid] (lists by dotted key: all combinations) or [[sweep.point]]
/// tables (each with an optional label, and dotted keys or sub-tables that go over the base's; `mac
/// = false` and `formats = false` remove a table). `set` is applied to the base, before the points.
/// Points in file order, seeds inside. Throws Error for a point that is wrong or that occurs twice.
std::vector<SweepPoint> read_sweep(const std::filesystem::path& path,
                                   const std::vector<std::string>& set);

}  // namespace narrowmac
