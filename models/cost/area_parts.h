#pragma once

#include <string_view>
#include <vector>

#include "models/cost/liberty.h"
#include "models/cost/synthesis.h"

namespace narrowmac {

/// The shares of a MAC's parts from a netlist that was mapped module by module (Yosys' write_json),
/// scaled so that they add up to `area_um2` of the flattened one. Parts without area are left out.
std::vector<AreaPart> area_parts(std::string_view json, const Liberty& library, double area_um2);

}  // namespace narrowmac
