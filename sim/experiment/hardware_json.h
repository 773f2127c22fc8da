#pragma once

#include "models/design/gemm_shape.h"
#include "models/design/gemm_time.h"
#include "sim/experiment/json.h"

namespace narrowmac {

// What hardware counted, as objects of its members.

Json to_json(const Traffic& traffic);
Json to_json(const CycleParts& cycles);
Json to_json(const StallCauses& stalls);

// The same back; throw Error where a member is missing.

Traffic traffic_from_json(const Json& json);
CycleParts cycles_from_json(const Json& json);
StallCauses stalls_from_json(const Json& json);

}  // namespace narrowmac
