#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "sim/experiment/run_config.h"

namespace narrowmac {

/// `accumulator_mantissa`: the mantissa of every accumulator of a design, instead of what the
/// formats say.
struct MantissaRule {
  bool predicted = false;  ///< what the theory asks for in each layer, plus `bits`
  int bits = 0;
};

/// The rules of a run file's [mac], passes and layers.
class MantissaRules {
 public:
  /// The rule of a table: its own; none if it names an accumulator; else the inherited one. Throws
  /// Error for a value that is none.
  static std::optional<MantissaRule> read(const ConfigTable& table,
                                          const std::optional<MantissaRule>& inherited);

  void set(Pass pass, const std::optional<MantissaRule>& rule) {
    passes_[static_cast<std::size_t>(pass)] = rule;
  }
  void set(const std::string& layer, Pass pass, const std::optional<MantissaRule>& rule) {
    layers_[{layer, pass}] = rule;
  }
  [[nodiscard]] const std::optional<MantissaRule>& find(const std::string& layer, Pass pass) const;

  /// Puts plain formats in the place of the rules: [[mac.layer]] entries for every layer and pass
  /// that has one. `layers` has the shapes for `batch` images; widths are clamped to 1..23 bits.
  /// Throws Error where the theory says nothing of a design.
  void apply(const std::vector<LayerShape>& layers, std::int64_t batch, RunConfig& config) const;
  [[nodiscard]] bool empty() const;

 private:
  std::array<std::optional<MantissaRule>, 3> passes_;
  std::map<std::pair<std::string, Pass>, std::optional<MantissaRule>> layers_;
};

}  // namespace narrowmac
