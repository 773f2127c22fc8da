#include "sim/cli/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "models/design/error.h"
#include "sim/cli/cost_options.h"
#include "sim/cli/cycles_options.h"
#include "sim/cli/measure_options.h"
#include "sim/cli/quantize_options.h"
#include "sim/cli/recommend_options.h"
#include "sim/cli/results.h"
#include "sim/cli/theory_options.h"

namespace narrowmac {
namespace {

/// What CLI11 fills before it is understood.
struct Parsed {
  std::string format = "table";
  bool quiet = false;
  int threads = 0;
  std::string dataflow;
  std::string psum;
  std::string policy;
  std::string c0;
  std::string array;
  std::string statistics;
  FormatsCommand formats;
  GemmCommand gemm;
  ExplainCommand explain;
  TraceCommand trace;
  RunCommand run;
  SweepCommand sweep;
  CyclesArguments cycles;
  MeasureCommand measure;
  VrrCommand vrr;
  PredictCommand predict;
  QuantizeCommand quantize;
  AssignCommand assign;
  RtlCommand rtl;
  EstimateCommand estimate;
  RecommendCommand recommend;
};

CLI::App* add_command(CLI::App& app, Parsed& parsed, const std::string& name,
                      const std::string& description, const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer("Examples:\n" + examples);
  command->add_option("--format", parsed.format, "How results are printed")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str();
  command->add_flag("--quiet", parsed.quiet, "No log and no progress on standard error");
  return command;
}

void add_threads(CLI::App& command, Parsed& parsed) {
  command
      .add_option("--threads", parsed.threads,
                  "Threads; results do not depend on it (default: all cores)")
      ->check(CLI::Range(1, 4096));
}

void add_formats(CLI::App& app, Parsed& parsed) {
  CLI::App* command =
      add_command(app, parsed, "formats", "What number formats hold: bits, range, special values",
                  "  narrowmac formats\n"
                  "  narrowmac formats e5m2 fx16.-4 --format json\n");
  command->add_option(
      "FORMAT", parsed.formats.formats,
      "eXmY, e4m3fn, fxW.F, ufxW.F, intW, uintW, fp32, fp16, bf16 (default: the common ones)");
}

void add_gemm(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "gemm", "One matrix product C = A B with the exact bits of a MAC design",
      "  narrowmac gemm --mac configs/macs/e5m2-e6m9.toml --a A.npy --b B.npy --out C.npy\n"
      "  narrowmac gemm --mac MAC.toml --a A.npy --b B.npy --c C0.npy --out C.npy --stats "
      "stats.json\n"
      "  narrowmac gemm --mac MAC.toml --a A.npy --b B.npy --out C.npy --array 64x64 --dataflow ws "
      "--psum chained\n");
  GemmCommand& gemm = parsed.gemm;
  command
      ->add_option("--mac", gemm.mac,
                   "MAC file ([mac], perhaps [array]) or the name of a shipped one")
      ->required();
  command
      ->add_option("--a", gemm.a,
                   "A, M x K: .npy, float32 or float64; rounded to the operand format")
      ->required();
  command->add_option("--b", gemm.b, "B, K x N, likewise")->required();
  command->add_option("--c", parsed.c0, "C0, M x N: what the last accumulator starts from");
  command
      ->add_option("--out", gemm.out,
                   "C, M x N: float32 if the accumulator's values are, else float64")
      ->required();
  command->add_option("--array", parsed.array,
                      "ROWSxCOLUMNS of the array (default: the MAC file's [array])");
  command
      ->add_option("--dataflow", parsed.dataflow,
                   "What stays in the array: outputs, weights, inputs")
      ->check(CLI::IsMember({"os", "ws", "is"}));
  command->add_option("--psum", parsed.psum, "ws, is: partial sums added in a buffer, or chained")
      ->check(CLI::IsMember({"buffer", "chained"}));
  command->add_option("--stats", parsed.statistics,
                      "Write swamping, overflow, VRR and NMSE of all outputs: JSON");
  command->add_option("--seed", gemm.seed, "Seed of stochastic rounding")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_threads(*command, parsed);
  command->add_flag("--explain", gemm.explain,
                    "Print how the product was computed and why that is exact");
}

void add_explain(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "explain", "One dot product step by step: what each addition kept and lost",
      "  narrowmac explain --mac configs/macs/e5m2-e6m3.toml --a 1,0.25,3 --b 1,0.5,-2\n"
      "  narrowmac explain --mac MAC.toml --a @a.txt --b @b.txt --format csv\n"
      "  narrowmac explain --mac MAC.toml --a=-inf,1 --b 1,1        # a leading minus sign and a "
      "letter need '='\n");
  command
      ->add_option("--mac", parsed.explain.mac,
                   "MAC file ([mac], perhaps [array]) or the name of a shipped one")
      ->required();
  command->add_option("--a", parsed.explain.a, "Values separated by commas, or @FILE")->required();
  command->add_option("--b", parsed.explain.b, "As many values")->required();
  command->add_option("--seed", parsed.explain.seed, "Seed of stochastic rounding")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_trace(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "trace", "A waveform (VCD) of every PE's registers during one GEMM",
      "  narrowmac trace --mac configs/macs/e5m2-e6m3.toml --array 4x4 --gemm 4x4x16 --out os.vcd\n"
      "  narrowmac trace --mac MAC.toml --array 8x8 --gemm 16x8x24 --dataflow ws --psum chained "
      "--policy overlapped --out ws.vcd\n");
  TraceCommand& trace = parsed.trace;
  command
      ->add_option("--mac", trace.mac,
                   "MAC file ([mac], perhaps [array]) or the name of a shipped one")
      ->required();
  command->add_option("--array", trace.array, "ROWSxCOLUMNS of the array, at most 4096 PEs")
      ->required();
  command
      ->add_option("--gemm", trace.gemm,
                   "MxNxK; operands are random, normally distributed, the same every time")
      ->required();
  command->add_option("--out", trace.out, "VCD file: a clock cycle is 10 ns")->required();
  command
      ->add_option("--dataflow", parsed.dataflow,
                   "What stays in the array: outputs, weights, inputs")
      ->check(CLI::IsMember({"os", "ws", "is"}));
  command->add_option("--psum", parsed.psum, "ws, is: partial sums added in a buffer, or chained")
      ->check(CLI::IsMember({"buffer", "chained"}));
  command->add_option("--policy", parsed.policy, "How folds follow each other")
      ->check(CLI::IsMember({"padded", "ragged", "overlapped"}));
}

void add_list(CLI::App& app, Parsed& parsed) {
  add_command(app, parsed, "list",
              "Shipped macs, arrays, networks, experiments and sweeps, with a line each",
              "  narrowmac list\n"
              "  NARROWMAC_CONFIGS=my/configs narrowmac list --format json\n");
}

void add_run(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "run", "Train a network as a run file says, through the simulated array",
      "  narrowmac run configs/experiments/fashion-cnn.toml\n"
      "  narrowmac run RUN.toml --set mac.accumulator=e6m3 --set run.seed=2 --out runs/e6m3\n"
      "  narrowmac run RUN.toml --out runs/e6m3 --resume\n"
      "  narrowmac run RUN.toml --dry-run\n");
  RunOptions& run = parsed.run.options;
  command->add_option("CONFIG", run.config, "Run file")->required();
  command
      ->add_option("--set", run.set, "KEY=VALUE: replaces a value of the run file; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--out", run.out, "Run directory (default: runs/NAME-HASH)");
  add_threads(*command, parsed);
  command->add_flag("--resume", run.resume, "Go on from the directory's last checkpoint");
  command->add_flag("--dry-run", run.dry_run, "Print the plan; compute and write nothing");
}

void add_sweep(CLI::App& app, Parsed& parsed) {
  CLI::App* command =
      add_command(app, parsed, "sweep", "One run for each point of a sweep file, several at a time",
                  "  narrowmac sweep configs/sweeps/quickstart.toml\n"
                  "  narrowmac sweep SWEEP.toml --jobs 4 --out sweeps/mine --resume\n"
                  "  narrowmac sweep SWEEP.toml --set training.epochs=1 --dry-run\n");
  SweepOptions& sweep = parsed.sweep.options;
  command->add_option("CONFIG", sweep.config, "Sweep file")->required();
  command
      ->add_option("--set", sweep.set,
                   "KEY=VALUE: replaces a value of every point; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--out", sweep.out, "Sweep directory (default: sweeps/NAME)");
  command->add_option("--jobs", sweep.jobs, "Runs at a time (default: one per core)")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--resume", sweep.resume, "Go on in a directory that holds this sweep");
  command->add_flag("--dry-run", sweep.dry_run, "Print the points; compute and write nothing");
}

void add_cycles(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "cycles", "Where an array's cycles go, layer by layer, in closed form",
      "  narrowmac cycles resnet18 --array 128x128 --dataflow all --passes FWD,BWD,GRAD --batch "
      "256\n"
      "  narrowmac cycles cnn --array 16x16,32x32,64x8 --dataflow os,ws\n"
      "  narrowmac cycles TOPOLOGY.csv --memory SCALE.cfg --format csv\n"
      "  narrowmac cycles resnet18 --memory configs/arrays/ws-64x64-memory.toml --mac "
      "configs/macs/e5m2-e6m9.toml\n"
      "cycles = load + fill + compute + drain + stall; stall = pipeline + starvation + psum spill "
      "+ "
      "DRAM.\n");
  add_cycles_options(*command, parsed.cycles);
  add_threads(*command, parsed);
}

void add_vrr(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "vrr", "The variance a float accumulator should retain, in closed form",
      "  narrowmac vrr --accumulator-mantissa 9 --product-mantissa 5 --length 4608\n"
      "  narrowmac vrr --find --length 802816 --chunk 64 --nzr 0.5\n"
      "  narrowmac vrr --find --length 4608 --format json\n"
      "VRR = Var(computed sum) / Var(sum); a mantissa suffices when ln v(n) = n (1 - VRR) < ln 50 "
      "at every level of accumulation (Sakr et al., arXiv 1901.06588).\n");
  add_vrr_options(*command, parsed.vrr);
}

void add_predict(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "predict", "The mantissa every layer and pass of a network should need",
      "  narrowmac predict resnet18-imagenet\n"
      "  narrowmac predict cnn --batch 64 --chunk 128 --nzr runs/fashion-cnn\n"
      "  narrowmac predict NETWORK.toml --mac configs/macs/e4m3-e6m9.toml --nzr ratios.csv "
      "--format "
      "csv\n");
  add_predict_options(*command, parsed.predict);
}

void add_quantize(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "quantize", "A gradient as few-bit codes, with the variance that this adds",
      "  narrowmac quantize --scheme bhq --bits 5 --in G.npy --out Q.npy\n"
      "  narrowmac quantize --scheme psq --bits 4 --in G.npy --out Q.npy --trials 200 --format "
      "json\n"
      "  narrowmac quantize --scheme ptq --bits 8 --rounding nearest-even --in G.npy --out Q.npy\n"
      "Variance is E ||Q(X) - X||^2, to be compared with the scheme's bound (Chen et al., arXiv "
      "2010.14298).\n");
  add_quantize_options(*command, parsed.quantize);
  add_threads(*command, parsed);
}

void add_assign(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "assign", "Fixed-point precision for every tensor and accumulator of a run",
      "  narrowmac run CONFIG --set observe.precision=true --out runs/full\n"
      "  narrowmac assign runs/full --out fixed.toml && narrowmac run fixed.toml\n"
      "  narrowmac assign runs/full --bmin 6 --accumulators theory --format csv\n"
      "  narrowmac assign STATS.json --bmin 4\n"
      "STATS.json: {\"layers\": [{\"name\", \"activation_noise_gain\" (null: fixed), "
      "\"weight_noise_gain\", \"weight_gradient_std_min\", \"weight_gradient_std_max\", "
      "\"activation_gradient_std_max\", \"lambda_max\"}], \"learning_rate_min\"}\n"
      "The rules are those of Sakr and Shanbhag (arXiv 1812.11732); docs/quantizers.md has "
      "them.\n");
  add_assign_options(*command, parsed.assign);
  add_threads(*command, parsed);
}

void add_measure(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "measure", "What a MAC keeps of long sums: VRR, NMSE and swamping, measured",
      "  narrowmac measure --mac configs/macs/e5m2-e6m9.toml --lengths 64,1024,16384\n"
      "  narrowmac measure --mac MAC.toml --lengths 64,4096 --mantissas 3,4,5,6,7,8 --format csv\n"
      "  narrowmac measure --mac MAC.toml --lengths 64,1024,16384 --find \"vrr>=0.95\"\n"
      "  narrowmac measure --mac MAC.toml --lengths 4096 --find \"nmse<=0.01\" --nzr 0.5\n"
      "  narrowmac measure --run runs/e6m3 --mantissas 3,4,5      # operands of the run's step\n"
      "vrr_theory stands beside what is measured; it is empty where the theory says nothing.\n");
  add_measure_options(*command, parsed.measure);
  add_threads(*command, parsed);
}

void add_rtl(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "rtl",
      "The Verilog of a MAC design, with a testbench that compares it with the simulator",
      "  narrowmac rtl --mac configs/macs/e5m2-e6m9.toml --out mac-e5m2-e6m9\n"
      "  narrowmac rtl --mac MAC.toml --out DIR && cd DIR && iverilog -g2001 -o mac_tb -c files.f "
      "mac_tb.v && vvp mac_tb\n"
      "[array] of the MAC file gives the pipeline: multiplier_latency 0..3, adder_latency 1..3, "
      "interleave.\n");
  add_rtl_options(*command, parsed.rtl);
}

void add_estimate(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "estimate", "Area, critical path, energy and leakage of a MAC, an array, a run",
      "  narrowmac estimate --mac configs/macs/e5m2-e6m9.toml          # at once, by a fit\n"
      "  narrowmac estimate --mac configs/macs/e5m2-e6m9.toml --backend synthesis\n"
      "  narrowmac estimate --mac MAC.toml --liberty CELLS.lib --format json\n"
      "  narrowmac estimate --mac MAC.toml --array 32x32\n"
      "  narrowmac estimate --run runs/DIR                             # per layer, step and "
      "epoch\n"
      "  narrowmac estimate --run runs/DIR --backend synthesis         # with the run's operands\n"
      "Synthesis needs Yosys and OpenSTA, and without --liberty Debian's qflow-tech-osu018: "
      "scripts/setup installs them.\n");
  add_estimate_options(*command, parsed.estimate);
}

void add_recommend(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(
      app, parsed, "recommend",
      "The narrowest accumulators that keep a budget of accuracy, verified by training",
      "  narrowmac recommend configs/experiments/quickstart.toml --budget 0.5%\n"
      "  narrowmac recommend RUN.toml --budget 0.5% --seeds 5 --jobs 4 --out recommendations/mine\n"
      "  narrowmac recommend RUN.toml --budget 0.5% --out recommendations/mine --resume\n"
      "  narrowmac recommend RUN.toml --budget 1% --chunks none --set training.epochs=1\n"
      "Writes recommended.toml, a run file, and its evidence: recommend.csv, recommend.json, "
      "knees.csv and every run.\n");
  add_recommend_options(*command, parsed.recommend);
}

Invocation understand(const CLI::App& app, Parsed& parsed) {
  Invocation invocation;
  invocation.quiet = parsed.quiet;
  invocation.threads = parsed.threads;
  if (parsed.format == "csv") invocation.format = OutputFormat::Csv;
  if (parsed.format == "json") invocation.format = OutputFormat::Json;
  if (app.got_subcommand("formats")) {
    invocation.command = parsed.formats;
  } else if (app.got_subcommand("list")) {
    invocation.command = ListCommand{};
  } else if (app.got_subcommand("explain")) {
    invocation.command = parsed.explain;
  } else if (app.got_subcommand("trace")) {
    TraceCommand& trace = parsed.trace;
    if (!parsed.dataflow.empty()) trace.dataflow = parse_dataflow(parsed.dataflow);
    if (!parsed.psum.empty()) trace.psum = parse_psum(parsed.psum);
    if (!parsed.policy.empty()) trace.policy = parse_policy(parsed.policy);
    invocation.command = trace;
  } else if (app.got_subcommand("run")) {
    parsed.run.options.quiet = parsed.quiet;
    parsed.run.options.threads = parsed.threads;
    invocation.command = parsed.run;
  } else if (app.got_subcommand("cycles")) {
    invocation.command = understand(parsed.cycles);
  } else if (app.got_subcommand("measure")) {
    parsed.measure.quiet = parsed.quiet;
    invocation.command = parsed.measure;
  } else if (app.got_subcommand("vrr")) {
    invocation.command = parsed.vrr;
  } else if (app.got_subcommand("predict")) {
    invocation.command = parsed.predict;
  } else if (app.got_subcommand("rtl")) {
    invocation.command = parsed.rtl;
  } else if (app.got_subcommand("estimate")) {
    parsed.estimate.quiet = parsed.quiet;
    invocation.command = parsed.estimate;
  } else if (app.got_subcommand("quantize")) {
    invocation.command = parsed.quantize;
  } else if (app.got_subcommand("assign")) {
    parsed.assign.quiet = parsed.quiet;
    invocation.command = parsed.assign;
  } else if (app.got_subcommand("recommend")) {
    parsed.recommend.options.quiet = parsed.quiet;
    invocation.command = parsed.recommend;
  } else if (app.got_subcommand("sweep")) {
    parsed.sweep.options.quiet = parsed.quiet;
    invocation.command = parsed.sweep;
  } else {
    GemmCommand& gemm = parsed.gemm;
    if (!parsed.dataflow.empty()) gemm.dataflow = parse_dataflow(parsed.dataflow);
    if (!parsed.psum.empty()) gemm.psum = parse_psum(parsed.psum);
    if (!parsed.c0.empty()) gemm.c0 = parsed.c0;
    if (!parsed.array.empty()) gemm.array = parsed.array;
    if (!parsed.statistics.empty()) gemm.statistics = parsed.statistics;
    invocation.command = gemm;
  }
  return invocation;
}

std::string command_names(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

}  // namespace

std::variant<Invocation, int> parse_command_line(int argc, const char* const* argv) {
  CLI::App app(
      "Trains networks through a bit-true model of a reduced-precision MAC array and measures what "
      "a narrow "
      "accumulator costs.",
      "narrowmac");
  app.set_version_flag("--version", "narrowmac " NARROWMAC_VERSION);
  app.require_subcommand(1);
  app.footer("narrowmac COMMAND --help shows a command's options with examples.");
  Parsed parsed;
  add_run(app, parsed);
  add_sweep(app, parsed);
  add_gemm(app, parsed);
  add_explain(app, parsed);
  add_trace(app, parsed);
  add_cycles(app, parsed);
  add_measure(app, parsed);
  add_vrr(app, parsed);
  add_predict(app, parsed);
  add_recommend(app, parsed);
  add_rtl(app, parsed);
  add_estimate(app, parsed);
  add_quantize(app, parsed);
  add_assign(app, parsed);
  add_formats(app, parsed);
  add_list(app, parsed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {  // --help and --version end here, too
    std::ostringstream out;
    std::ostringstream err;
    const bool is_error = app.exit(stop, out, err) != 0;
    // CLI11 only says that a subcommand is required.
    const bool unknown_command = app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-';
    if (unknown_command) {
      throw Error(fmt::format("unknown command '{}'; accepted: {}", argv[1], command_names(app)));
    }
    if (is_error) std::fputs(("error: " + err.str()).c_str(), stderr);
    print(out.str());
    return is_error ? 2 : 0;
  }
  return understand(app, parsed);
}

}  // namespace narrowmac
