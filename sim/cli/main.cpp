#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <systemc>

#include "models/design/error.h"
#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

void start_log() {
  spdlog::set_default_logger(spdlog::stderr_color_mt("narrowmac"));
  spdlog::set_pattern("%^%l%$: %v");
}

int execute(const Invocation& invocation) {
  // A warning concerns the result, so it is seen in a script's log, too; the rest is for people.
  if (isatty(STDERR_FILENO) == 0) spdlog::set_level(spdlog::level::warn);
  if (invocation.quiet) spdlog::set_level(spdlog::level::err);
  std::optional<tbb::global_control> threads;
  if (invocation.threads > 0) {
    threads.emplace(tbb::global_control::max_allowed_parallelism,
                    static_cast<std::size_t>(invocation.threads));
  }
  struct Dispatch {
    OutputFormat format;
    int operator()(const FormatsCommand& command) const { return formats_command(command, format); }
    int operator()(const ListCommand& command) const { return list_command(command, format); }
    int operator()(const GemmCommand& command) const { return gemm_command(command, format); }
    int operator()(const ExplainCommand& command) const { return explain_command(command, format); }
    int operator()(const TraceCommand& command) const { return trace_command(command, format); }
    int operator()(const RunCommand& command) const { return run_command(command, format); }
    int operator()(const CyclesCommand& command) const { return cycles_command(command, format); }
    int operator()(const VrrCommand& command) const { return vrr_command(command, format); }
    int operator()(const PredictCommand& command) const { return predict_command(command, format); }
    int operator()(const QuantizeCommand& command) const {
      return quantize_command(command, format);
    }
    int operator()(const AssignCommand& command) const { return assign_command(command, format); }
    int operator()(const MeasureCommand& command) const { return measure_command(command, format); }
    int operator()(const SweepCommand& command) const { return sweep_command(command, format); }
    int operator()(const RecommendCommand& command) const {
      return recommend_command(command, format);
    }
    int operator()(const RtlCommand& command) const { return rtl_command(command, format); }
    int operator()(const EstimateCommand& command) const {
      return estimate_command(command, format);
    }
  };
  return std::visit(Dispatch{invocation.format}, invocation.command);
}

/// The one place where errors end.
int run_program(int argc, char** argv) {
  start_log();
  try {
    const std::variant<Invocation, int> parsed = parse_command_line(argc, argv);
    if (const int* code = std::get_if<int>(&parsed)) return *code;
    return execute(std::get<Invocation>(parsed));
  } catch (const Error& error) {
    spdlog::error("{}", error.what());
    return error.kind() == Error::Kind::Input ? 2 : 1;
  } catch (const std::bad_alloc&) {
    spdlog::error("not enough memory");
  } catch (const std::exception& error) {
    spdlog::error("internal: {}", error.what());
  }
  return 1;
}

}  // namespace
}  // namespace narrowmac

// libsystemc brings a main that calls sc_main; ours comes first, because the copyright banner and
// the messages of a stopped simulation must be silenced before the kernel starts.
int main(int argc, char** argv) {
  // A reader that goes away must not kill a run half way: writing then fails with an error.
  std::signal(SIGPIPE, SIG_IGN);
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  return sc_core::sc_elab_and_sim(argc, argv);
}

int sc_main(int argc, char** argv) { return narrowmac::run_program(argc, argv); }
