#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/cost/estimate.h"
#include "models/cost/gate_netlist.h"

namespace narrowmac {

/// Shapes of hardware with coefficients of their own, by operands and accumulator.
enum class FitFamily : std::uint8_t {
  Float,
  Integer,
  FixedIntoFloat,
  FloatIntoFixed,
};
inline constexpr FitFamily kFitFamilies[] = {FitFamily::Float, FitFamily::Integer,
                                             FitFamily::FixedIntoFloat, FitFamily::FloatIntoFixed};
std::string_view to_string(FitFamily family);  ///< float, integer, fixed-into-float, ...

/// The family of a design that a fit covers: exact products and one stage; sequential sums, and
/// among floats also chunks. Throws Error that names the key of any other.
FitFamily fit_family(const RtlDesign& design);

/// What a family's costs are linear in, by name: partial products, shifters, adders, exponents.
using FitFeatures = std::vector<std::pair<std::string, double>>;
FitFeatures fit_features(const RtlDesign& design);

/// One cost as a sum of coefficients times features, and how far it was off on designs that it had
/// not seen (relative).
struct FitLine {
  std::map<std::string, double, std::less<>> coefficients;
  double mean_error = 0;
  double largest_error = 0;
};

/// Everything that a calibration says about a library. Lines are named area_um2, delay_ns,
/// energy_pj, clock_pj, leakage_uw, and "part:" with the name of a part of the area.
struct CostFit {
  std::string library;
  std::string tools;
  struct Family {
    int designs = 0;
    std::map<std::string, FitLine, std::less<>> lines;
  };
  std::map<std::string, Family, std::less<>> families;
  std::optional<RegisterCost> register_bit;  ///< of the library; files of earlier versions lack it
};

/// A synthesised design of a calibration.
struct FitSample {
  RtlDesign design;
  CostRecord record;
};

/// Least squares of the relative errors, per family; errors by four-fold cross-validation, in which
/// sample i belongs to fold i mod 4. Throws Error if a family has too few samples for its features.
CostFit fit_costs(const std::vector<FitSample>& samples);

/// The file that holds a fit, TOML, and back. Errors name file, line and key.
std::string to_toml(const CostFit& fit);
CostFit read_cost_fit(const std::filesystem::path& path);

/// The costs of a design by a fit: no negative ones, parts scaled to the area, with the errors of
/// the design's family.
CostRecord estimate_by_fit(const RtlDesign& design, const CostFit& fit);

}  // namespace narrowmac
