#include "models/cost/memory_cost.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/config.h"

namespace narrowmac {
namespace {

double positive(const ConfigTable& table, std::string_view key) {
  const double value = table.number(key);
  if (std::isfinite(value) && value > 0) return value;
  throw table.error(key, fmt::format("found {}; accepted: a number above 0", value));
}

}  // namespace

double MemoryCost::scratchpad_pj_per_byte(double bytes) const {
  const double x = std::log(std::max(bytes, 1.0));
  std::size_t next = 1;
  while (next + 1 < scratchpads.size() && std::log(scratchpads[next].bytes) < x) ++next;
  const Size& low = scratchpads[next - 1];
  const Size& high = scratchpads[next];
  const double slope =
      std::log(high.pj_per_byte / low.pj_per_byte) / std::log(high.bytes / low.bytes);
  return low.pj_per_byte * std::exp(slope * (x - std::log(low.bytes)));
}

MemoryCost read_memory_cost(const std::filesystem::path& path) {
  const ConfigTable root = ConfigTable::read_file(path);
  MemoryCost cost;
  cost.source = root.string("source");
  cost.process = root.string("process");
  cost.scratchpad_um2_per_byte = positive(root, "scratchpad_um2_per_byte");
  cost.dram_pj_per_byte = positive(root, "dram_pj_per_byte");
  for (const ConfigTable& table : root.tables("scratchpad")) {
    cost.scratchpads.push_back({positive(table, "bytes"), positive(table, "pj_per_byte")});
    const std::size_t count = cost.scratchpads.size();
    if (count > 1 && cost.scratchpads[count - 2].bytes >= cost.scratchpads.back().bytes) {
      throw table.error("bytes", "accepted: sizes that rise from one [[scratchpad]] to the next");
    }
  }
  root.reject_unknown();
  if (cost.scratchpads.size() < 2) {
    throw root.error("scratchpad", fmt::format("found {}; accepted: at least two [[scratchpad]]",
                                               cost.scratchpads.size()));
  }
  return cost;
}

}  // namespace narrowmac
