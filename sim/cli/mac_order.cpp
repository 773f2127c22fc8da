#include "sim/cli/mac_order.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include "models/design/error.h"

namespace narrowmac {

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
