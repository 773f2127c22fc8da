#include "models/cost/estimate.h"

#include <fmt/core.h>

#include <functional>

#include "models/cost/fit.h"
#include "models/cost/tool.h"
#include "models/design/config.h"
#include "models/design/error.h"
#include "sim/cli/array_size.h"
#include "sim/cli/commands.h"
#include "sim/cli/estimate_report.h"
#include "sim/cli/mac_argument.h"
#include "sim/experiment/presets.h"
#include "sim/experiment/progress.h"
#include "sim/experiment/run_pricer.h"

namespace narrowmac {
namespace {

/// A name without a slash or an ending is a shipped file's.
std::filesystem::path cost_file(const std::string& name) {
  const bool is_file = name.find('/') != std::string::npos || name.ends_with(".toml");
  return is_file ? std::filesystem::path(name) : find_preset("costs", name);
}

/// The back end that the command line asks for, with all that it reads and writes.
class Backend {
 public:
  Backend(const EstimateCommand& command, Progress& progress) : command_(command) {
    memory_ = read_memory_cost(cost_file(command.memory_costs));
    if (!command.synthesises) {
      fit_ = read_cost_fit(cost_file(command.fit));
      source_.backend = "fit";
      return;
    }
    setup_.liberty = command.liberty ? *command.liberty : default_liberty();
    setup_.cache = command.cached ? default_synthesis_cache() : std::filesystem::path();
    if (setup_.cache.empty()) setup_.cache = scratch_.emplace().path();
    setup_.note = [&progress](const std::string& line) { progress.show(line); };
  }

  /// The operands of energies by synthesis; a fit has its own.
  void use(OperandTraces operands) { setup_.operands = std::move(operands); }

  [[nodiscard]] MacPricer pricer() {
    const MacPricer inner = command_.synthesises ? synthesis_pricer(setup_) : fit_pricer(fit_);
    return [this, inner](const RtlDesign& design, const std::string& layer, Pass pass) {
      CostRecord record = inner(design, layer, pass);
      source_ = record;
      return record;
    };
  }
  [[nodiscard]] ArrayPrices prices() {
    ArrayPrices prices =
        command_.synthesises ? prices_by_synthesis(setup_, memory_) : prices_by_fit(fit_, memory_);
    prices.mac = pricer();
    return prices;
  }
  [[nodiscard]] const MemoryCost& memory() const { return memory_; }
  /// Back end, library, tools and errors of what has been priced.
  [[nodiscard]] const CostRecord& source() const { return source_; }

 private:
  const EstimateCommand& command_;
  MemoryCost memory_;
  CostFit fit_;
  SynthesisSetup setup_;
  std::optional<ScratchFolder> scratch_;
  CostRecord source_;
};

/// Errors of what comes from a file name it.
template <typename Function>
auto naming(const std::filesystem::path& file, const Function& function) {
  try {
    return function();
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: {}", file.string(), failure.what()), failure.kind());
  }
}

int estimate_mac(const EstimateCommand& command, OutputFormat format) {
  const MacFile file = read_mac_argument(*command.mac);
  ArrayDesign array = file.array.value_or(ArrayDesign{});
  if (command.array) set_array_size(array, *command.array);
  const RtlDesign design = RtlDesign::of(file.mac, array);
  Progress progress(command.quiet);
  Backend backend(command, progress);
  EstimateReport report;
  report.mac = file.mac;
  report.memory = backend.memory();
  naming(*command.mac, [&] {
    check_rtl(design);
    report.record = backend.pricer()(design, "", Pass::Forward);
    if (command.array || file.array) {
      accumulation_order(file.mac, array);  // refuses a MAC and an array that do not fit
      report.design = array;
      report.array = price_array(file.mac, array, backend.prices());
    }
    return 0;
  });
  progress.clear();
  print(render(report, format));
  return 0;
}

/// A MAC in the place of every one of the run.
void replace_macs(RunConfig& config, const MacDesign& mac) {
  MacAssignment macs;
  for (const LayerDescription& layer : config.network.layers) {
    for (const Pass pass : kPasses) {
      if (config.training.macs.find(layer.name, pass) != nullptr) macs.set(layer.name, pass, mac);
    }
  }
  config.training.macs = macs;
}

int estimate_run(const EstimateCommand& command, OutputFormat format) {
  const std::filesystem::path& run = *command.run;
  Progress progress(command.quiet);
  Backend backend(command, progress);
  TrainingReport report;
  report.run = run.string();
  report.config = read_run_directory_config(run);
  if (command.mac) replace_macs(report.config, read_mac_argument(*command.mac).mac);
  if (command.array) set_array_size(report.config.array, *command.array);
  report.operands = "operands from N(0, 1), not the run's";
  if (command.synthesises) {
    progress.show("training one step again for its operands");
    const ReplayedStep step(run);
    backend.use(record_operands(step, report.config.training.macs));
    report.operands = fmt::format("the operands of step {} of the run", step.number());
  }
  report.memory = backend.memory();
  report.price = naming(command.mac.value_or(run), [&] {
    return price_training(report.config, backend.prices(), command.clock_mhz);
  });
  report.source = backend.source();
  report.given_clock = command.clock_mhz.has_value();
  progress.clear();
  print(render(report, format));
  return 0;
}

}  // namespace

int estimate_command(const EstimateCommand& command, OutputFormat format) {
  return command.run ? estimate_run(command, format) : estimate_mac(command, format);
}

}  // namespace narrowmac
