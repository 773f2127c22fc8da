#include "sim/experiment/assignment_text.h"

#include <fmt/core.h>

#include "models/design/error.h"
#include "sim/experiment/assigned_formats.h"
#include "sim/experiment/formats_config.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

std::string cost_line(const char* name, const PrecisionAssignment& assignment,
                      double PrecisionCost::*member) {
  const double full = total(assignment.full_precision_costs).*member;
  const double own = total(assignment.costs).*member;
  return fmt::format("#   {}: {:.4g}; in fp32 {:.4g}, {:.3g} times as much\n", name, own, full,
                     full / own);
}

std::string header(const PrecisionAssignment& assignment, AccumulatorSource source,
                   const fs::path& run) {
  std::string text =
      fmt::format("# Assigned by narrowmac assign {}; accumulators {}.\n", run.string(),
                  source == AccumulatorSource::Theory ? "in closed form" : "as measured");
  if (assignment.layers.empty()) return text;
  text += fmt::format("# B_min = {}", assignment.minimum_bits);
  if (assignment.full_precision_accuracy) {
    text += fmt::format("; inference: {:.2f} % in full precision",
                        *assignment.full_precision_accuracy * 100);
    for (const InferencePoint& point : assignment.inference) {
      text += point.minimum_bits == 1 ? "\n#  " : ",\n#  ";
      text += fmt::format("{:.2f} % with B_min {} ({:.2f} % decided otherwise)",
                          point.accuracy * 100, point.minimum_bits, point.mismatch * 100);
    }
  }
  text += "\n# A training step costs\n";
  text += cost_line("representation, bits", assignment, &PrecisionCost::representational_bits);
  text += cost_line("computation, 1-bit full adders", assignment, &PrecisionCost::full_adders);
  return text + cost_line("communication, bits", assignment, &PrecisionCost::communication_bits);
}

/// As a file in another folder names it.
fs::path seen_from(const fs::path& target, const fs::path& file) {
  const fs::path folder = fs::weakly_canonical(fs::absolute(file).parent_path());
  const fs::path relative = fs::weakly_canonical(target).lexically_relative(folder);
  return relative.empty() ? fs::absolute(target) : relative;
}

/// `preset = "NAME"` where the run's network is one that ships, else the run directory's file.
std::string with_preset(std::string text, const RunConfig& config, const fs::path& network) {
  try {
    const fs::path preset = find_preset("networks", config.network.name, network);
    if (ConfigTable::read_file(preset).to_toml() != config.network_toml) return text;
  } catch (const Error&) {
    return text;  // a network of the user's own
  }
  const std::string file = fmt::format("[network]\nfile = \"{}\"", network.string());
  const std::size_t place = text.find(file);
  if (place == std::string::npos) return text;
  return text.replace(place, file.size(),
                      fmt::format("[network]\npreset = \"{}\"", config.network.name));
}

}  // namespace

std::string formats_text(const std::vector<LayerAssignment>& layers) {
  RunConfig config;
  const NumberFormat image = NumberFormat::parse("ufx8.8");
  for (const LayerAssignment& layer : layers) {
    LayerDescription description;
    description.name = layer.name;
    description.kind = LayerDescription::Kind::Linear;
    config.network.layers.push_back(description);
    config.training.formats.layers[layer.name] = layer_formats(layer, image);
  }
  return "# Assigned by narrowmac assign. Activations without a width of their own are images of 8 "
         "bits.\n" +
         formats_to_toml(config);
}

std::string assigned_run_text(const PrecisionAssignment& assignment, AccumulatorSource source,
                              const fs::path& run, const fs::path& file) {
  const RunConfig config = assignment.assigned(source);
  const fs::path network = seen_from(config.network_file, file);
  std::string text =
      with_preset(header(assignment, source, run) + to_toml(config, network), config, network);
  try {
    parse_run_config(ConfigTable::parse(text, file.string()), file);
  } catch (const Error& error) {
    throw Error(
        fmt::format("{}: the assignment cannot be trained: {}", run.string(), error.what()));
  }
  return text;
}

}  // namespace narrowmac
