#include "models/cost/area_parts.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "models/design/error.h"

namespace narrowmac {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 7> kParts = {
    "multiplier",          "product rounding",   "alignment", "adder",
    "normalise and round", "second accumulator", "registers"};
constexpr std::size_t kMultiplier = 0, kProductRounding = 1, kAlignment = 2, kAdder = 3, kRound = 4,
                      kSecond = 5, kRegisters = 6;

/// The part that a module or an instance begins, or that of the module around it.
std::size_t part_of(const std::string& module, const std::string& instance, std::size_t outer) {
  if (outer == kProductRounding || outer == kSecond) return outer;
  if (instance.ends_with("round_product")) return kProductRounding;
  if (instance.ends_with("second")) return kSecond;
  if (module == "nm_product" || module == "nm_lead" || module == "nm_addend") return kMultiplier;
  if (module == "nm_unpack") return outer == kMultiplier ? kMultiplier : kAlignment;
  if (module == "nm_align_float" || module == "nm_align_fixed") return kAlignment;
  if (module == "nm_add_magnitude" || module == "nm_add_signed") return kAdder;
  if (module == "nm_round_float" || module == "nm_round_fixed") return kRound;
  return outer;
}

class Walk {
 public:
  Walk(const Json& modules, const Liberty& library) : modules_(modules), library_(library) {}

  void visit(const std::string& module, std::size_t part) {
    for (const auto& [name, cell] : modules_.at(module).at("cells").items()) {
      const std::string type = cell.at("type").get<std::string>();
      const auto known = library_.cells.find(type);
      if (known != library_.cells.end()) {
        areas_[known->second.flip_flop ? kRegisters : part] += known->second.area;
        continue;
      }
      const auto inner = modules_.find(type);
      if (inner == modules_.end()) {
        throw Error("the netlist has a cell '" + type + "' that is neither mapped nor a module");
      }
      // Yosys keeps the name that the Verilog has: \nm_add.
      std::string written = inner->at("attributes").value("hdlname", type);
      written.erase(0, written.find_first_not_of('\\'));
      visit(type, part_of(written, name, part));
    }
  }
  [[nodiscard]] const std::array<double, kParts.size()>& areas() const { return areas_; }

 private:
  const Json& modules_;
  const Liberty& library_;
  std::array<double, kParts.size()> areas_{};
};

}  // namespace

std::vector<AreaPart> area_parts(std::string_view json, const Liberty& library, double area_um2) {
  const Json design = Json::parse(json);
  Walk walk(design.at("modules"), library);
  // What is outside of all parts masks the accumulator when a sum starts: the adder's.
  walk.visit("mac", kAdder);
  double sum = 0;
  for (const double area : walk.areas()) sum += area;
  std::vector<AreaPart> parts;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    if (walk.areas()[i] > 0) {
      parts.push_back({std::string(kParts[i]), walk.areas()[i] * area_um2 / sum});
    }
  }
  return parts;
}

}  // namespace narrowmac
