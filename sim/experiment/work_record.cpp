#include <fmt/format.h>

#include "models/design/error.h"
#include "sim/experiment/hardware_json.h"
#include "sim/experiment/run_record.h"

namespace narrowmac {

Pass parse_pass(const std::string& text) {
  for (const Pass pass : kPasses) {
    if (text == to_string(pass)) return pass;
  }
  throw Error(fmt::format("found the pass \"{}\"; accepted: FWD, BWD, GRAD", text));
}

Json work_to_json(const RunRecord::Work& work) {
  Json::Array array;
  for (const auto& entry : work) {
    for (const Pass pass : kPasses) {
      const LayerWork& done = entry.second[static_cast<std::size_t>(pass)];
      array.push_back(Json::Object{{"layer", entry.first},
                                   {"pass", to_string(pass)},
                                   {"m", done.shape.m},
                                   {"n", done.shape.n},
                                   {"k", done.shape.k},
                                   {"on_array", done.on_array},
                                   {"gemms", done.gemms},
                                   {"macs", done.macs},
                                   {"transform_macs", done.transform_macs},
                                   {"cycles", to_json(done.cycles)},
                                   {"stalls", to_json(done.stalls)},
                                   {"utilization_sum", done.utilization_sum},
                                   {"traffic", to_json(done.traffic)},
                                   {"seconds", done.seconds}});
    }
  }
  return array;
}

RunRecord::Work work_from_json(const Json& json) {
  RunRecord::Work work;
  for (const Json& entry : json.array()) {
    const std::string& layer = entry.at("layer").string();
    if (work.empty() || work.back().first != layer) {
      work.emplace_back(layer, std::array<LayerWork, 3>{});
    }
    LayerWork& done =
        work.back().second[static_cast<std::size_t>(parse_pass(entry.at("pass").string()))];
    done.shape = {entry.at("m").integer(), entry.at("n").integer(), entry.at("k").integer()};
    done.on_array = entry.at("on_array").boolean();
    done.gemms = entry.at("gemms").integer();
    done.macs = entry.at("macs").integer();
    if (const Json* const macs = entry.find("transform_macs")) {
      done.transform_macs = macs->integer();
    }
    done.cycles = cycles_from_json(entry.at("cycles"));
    done.stalls = stalls_from_json(entry.at("stalls"));
    done.utilization_sum = entry.at("utilization_sum").number();
    done.traffic = traffic_from_json(entry.at("traffic"));
    done.seconds = entry.at("seconds").number();
  }
  return work;
}

}  // namespace narrowmac
