#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"
#include "models/quantizers/gradient_quantizer.h"
#include "models/theory/vrr.h"
#include "sim/cli/results.h"
#include "sim/experiment/precision_assignment.h"
#include "sim/experiment/recommend.h"
#include "sim/experiment/run.h"
#include "sim/experiment/sweep.h"

namespace narrowmac {

struct FormatsCommand {
  std::vector<std::string> formats;  ///< empty: the common ones
};

struct ListCommand {};

struct GemmCommand {
  std::filesystem::path mac;
  std::filesystem::path a;
  std::filesystem::path b;
  std::optional<std::filesystem::path> c0;
  std::filesystem::path out;
  std::optional<std::string> array;  ///< RxC
  std::optional<Dataflow> dataflow;
  std::optional<Psum> psum;
  std::optional<std::filesystem::path> statistics;
  std::uint64_t seed = 0;
  bool explain = false;  ///< print the plan and why it was chosen
};

struct ExplainCommand {
  std::filesystem::path mac;
  std::string a;  ///< comma-separated values, or @FILE
  std::string b;
  std::uint64_t seed = 0;
};

struct TraceCommand {
  std::filesystem::path mac;
  std::string array;  ///< RxC
  std::string gemm;   ///< MxNxK
  std::filesystem::path out;
  std::optional<Dataflow> dataflow;
  std::optional<Psum> psum;
  std::optional<Policy> policy;
};

struct RunCommand {
  RunOptions options;
};

struct SweepCommand {
  SweepOptions options;
};

struct CyclesCommand {
  std::string workload;             ///< a topology or network file, or a shipped one's name
  std::vector<std::string> arrays;  ///< RxC; empty: as `memory` says
  std::vector<Dataflow> dataflows;  ///< empty: as `memory` says
  std::vector<Pass> passes = {Pass::Forward};
  std::optional<std::int64_t> batch;  ///< absent: 128 for networks, 1 for topologies
  std::optional<Policy> policy;
  Fidelity fidelity = Fidelity::Functional;     ///< or Transaction
  std::optional<std::filesystem::path> memory;  ///< ARRAY.toml or FILE.cfg
  std::optional<std::filesystem::path> mac;
  std::optional<std::string> input;  ///< CxHxW
};

struct MeasureCommand {
  std::optional<std::filesystem::path> mac;  ///< may be absent with `run`
  std::vector<std::int64_t> lengths;         ///< empty: those of `run`
  std::vector<std::int64_t> mantissas;
  std::optional<std::string> find;           ///< a condition, e.g. vrr>=0.95
  std::optional<std::filesystem::path> run;  ///< run directory; absent: Gaussian operands
  std::optional<std::int64_t> trials;
  std::optional<double> nonzero_ratio;
  std::uint64_t seed = 0;
  bool quiet = false;
};

struct VrrCommand {
  std::optional<int> accumulator_mantissa;
  bool find = false;  ///< the smallest that suffices, instead
  Accumulation sum;
};

struct PredictCommand {
  std::string network;  ///< a network or topology file, or a shipped one's name
  std::optional<std::int64_t> batch;
  std::optional<std::string> input;  ///< CxHxW
  std::optional<std::int64_t> chunk;
  std::optional<std::string> nonzero_ratios;  ///< a number, a file or a run directory
  std::optional<int> product_mantissa;
  std::optional<std::filesystem::path> mac;
};

struct RtlCommand {
  std::filesystem::path mac;
  std::filesystem::path out;  ///< a folder
  std::uint64_t seed = 0;     ///< of the testbench's vectors
};

struct EstimateCommand {
  std::optional<std::filesystem::path> mac;  ///< may be absent with `run`
  std::optional<std::string> array;          ///< RxC
  std::optional<std::filesystem::path> run;  ///< run directory; absent: the MAC, perhaps its array
  std::optional<double> clock_mhz;           ///< with `run`; absent: as the slowest MAC allows
  bool synthesises = false;                  ///< false: by the fit
  std::optional<std::filesystem::path> liberty;  ///< absent: osu018
  std::string fit = "osu018";                    ///< a file of scripts/calibrate, or a shipped one
  std::string memory_costs = "memory-180nm";     ///< a file, or a shipped one
  bool cached = true;
  bool quiet = false;
};

struct QuantizeCommand {
  GradientScheme scheme = GradientScheme::PerTensor;
  int bits = 8;
  std::filesystem::path in;
  std::filesystem::path out;
  CodeRounding rounding = CodeRounding::Stochastic;
  std::optional<std::int64_t> trials;  ///< absent: nothing is measured
  std::uint64_t seed = 0;
};

struct RecommendCommand {
  RecommendOptions options;
};

struct AssignCommand {
  std::filesystem::path source;  ///< a run directory or a statistics file
  std::optional<int> minimum_bits;
  std::optional<double> mismatch;
  std::optional<AccumulatorSource> accumulators;
  std::filesystem::path out;
  bool quiet = false;
};

/// A command line, understood.
struct Invocation {
  std::variant<FormatsCommand, ListCommand, GemmCommand, ExplainCommand, TraceCommand, RunCommand,
               SweepCommand, CyclesCommand, MeasureCommand, VrrCommand, PredictCommand, RtlCommand,
               EstimateCommand, QuantizeCommand, AssignCommand, RecommendCommand>
      command;
  OutputFormat format = OutputFormat::Table;
  bool quiet = false;
  int threads = 0;  ///< 0: all cores
};

/// Returns what to do, or the exit code if that has been done (--help, --version) or cannot be (2,
/// after a message on standard error).
std::variant<Invocation, int> parse_command_line(int argc, const char* const* argv);

}  // namespace narrowmac
