#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "models/array/timing.h"
#include "models/design/error.h"
#include "models/design/scale_sim_config.h"
#include "models/workload/topology.h"

// libFuzzer's entry: any bytes, read as a topology and as a .cfg file, give what the header
// promises or an Error that names file and line; what was read has cycles or an Error. See
// scripts/fuzz.

namespace narrowmac {
namespace {

/// Not an assert: libFuzzer reports the input.
void require(bool fact) {
  if (!fact) std::abort();
}

void require_place(const Error& error) {
  const std::string_view message = error.what();
  require(message.substr(0, 5) == "file:");
  require(message.find_first_of("123456789", 5) == 5);
}

ScaleSimConfig read_config(std::string_view text) {
  try {
    ScaleSimConfig config = parse_scale_sim_config(text, "file");
    require(!config.rows || (*config.rows >= 1 && *config.rows <= kMaxArraySide));
    require(!config.columns || (*config.columns >= 1 && *config.columns <= kMaxArraySide));
    return config;
  } catch (const Error& error) {
    require_place(error);
    return {};
  }
}

void read_cycles(const TopologyLayer& layer, std::int64_t batch) {
  for (const Policy policy : {Policy::Padded, Policy::Ragged, Policy::Overlapped}) {
    for (const Pass pass : kPasses) {
      ArrayDesign array;
      array.policy = policy;
      array.dataflow = static_cast<Dataflow>(static_cast<int>(pass));
      array.adder_latency = 3;
      try {
        const Timing time = timing(gemm_shape(layer, pass, batch), array, {1, 1, 4});
        require(time.folds > 0);
        require(time.cycles.total() >= time.folds);
      } catch (const Error&) {
        continue;  // more than 63 bits
      }
    }
  }
}

void read_topology_text(std::string_view text) {
  try {
    const std::vector<TopologyLayer> layers = parse_topology(text, "file");
    require(!layers.empty());
    for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{1} << 24}) {
      read_cycles(layers.front(), batch);
      read_cycles(layers.back(), batch);
    }
  } catch (const Error& error) {
    require_place(error);
  }
}

}  // namespace
}  // namespace narrowmac

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  narrowmac::read_topology_text(text);
  narrowmac::read_config(text);
  return 0;
}
