#include "sim/cli/mac_argument.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include "models/design/error.h"
#include "sim/experiment/presets.h"

namespace narrowmac {

MacFile read_mac_argument(const std::filesystem::path& file_or_name) {
  const bool is_file = file_or_name.has_parent_path() || file_or_name.extension() == ".toml" ||
                       std::filesystem::exists(file_or_name);
  if (is_file) return read_mac_file(file_or_name);
  std::filesystem::path shipped;
  try {
    shipped = find_preset("macs", file_or_name.string());
  } catch (const Error& error) {
    throw Error(fmt::format("--mac: no such file, and among the shipped ones: {}", error.what()));
  }
  return read_mac_file(shipped);
}

AccumulationOrder checked_order(const std::filesystem::path& file, const MacDesign& mac,
                                const std::optional<ArrayDesign>& array) {
  for (const std::string& warning : warnings(mac)) {
    spdlog::warn("{}: {}", file.string(), warning);
  }
  if (array) {
    for (const std::string& warning : warnings(mac, *array)) {
      spdlog::warn("{}: {}", file.string(), warning);
    }
  }
  try {
    return array ? accumulation_order(mac, *array) : accumulation_order(mac);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.string(), error.what()));
  }
}

}  // namespace narrowmac
