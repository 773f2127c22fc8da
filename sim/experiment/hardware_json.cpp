#include "sim/experiment/hardware_json.h"

namespace narrowmac {

Json to_json(const Traffic& traffic) {
  return Json::Object{{"a_reads", traffic.a_reads},       {"b_reads", traffic.b_reads},
                      {"psum_reads", traffic.psum_reads}, {"psum_writes", traffic.psum_writes},
                      {"dram_reads", traffic.dram_reads}, {"dram_writes", traffic.dram_writes}};
}

Json to_json(const CycleParts& cycles) {
  return Json::Object{{"load", cycles.load},
                      {"fill", cycles.fill},
                      {"compute", cycles.compute},
                      {"drain", cycles.drain},
                      {"pipeline", cycles.pipeline}};
}

Json to_json(const StallCauses& stalls) {
  return Json::Object{{"first_load", stalls.first_load},
                      {"operands", stalls.operands},
                      {"psum_spill", stalls.psum_spill},
                      {"write_back", stalls.write_back},
                      {"scratchpad", stalls.scratchpad}};
}

Traffic traffic_from_json(const Json& json) {
  Traffic traffic;
  traffic.a_reads = json.at("a_reads").integer();
  traffic.b_reads = json.at("b_reads").integer();
  traffic.psum_reads = json.at("psum_reads").integer();
  traffic.psum_writes = json.at("psum_writes").integer();
  traffic.dram_reads = json.at("dram_reads").integer();
  traffic.dram_writes = json.at("dram_writes").integer();
  return traffic;
}

CycleParts cycles_from_json(const Json& json) {
  return {json.at("load").integer(), json.at("fill").integer(), json.at("compute").integer(),
          json.at("drain").integer(), json.at("pipeline").integer()};
}

StallCauses stalls_from_json(const Json& json) {
  return {json.at("first_load").integer(), json.at("operands").integer(),
          json.at("psum_spill").integer(), json.at("write_back").integer(),
          json.at("scratchpad").integer()};
}

}  // namespace narrowmac
