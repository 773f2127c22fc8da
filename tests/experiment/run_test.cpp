#include "sim/experiment/run.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "sim/experiment/child_process.h"
#include "sim/experiment/files.h"
#include "sim/experiment/json.h"
#include "sim/experiment/run_directory.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;

RunOptions options_of(const TinyRun& run, const std::string& out) {
  RunOptions options;
  options.config = run / "run.toml";
  options.out = run / out;
  options.quiet = true;
  options.threads = 1;
  return options;
}

/// What must not depend on threads or on resumption: results, tables and weights, as bytes.
std::map<std::string, std::string> outcome_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  const Json summary = Json::parse(read_file(directory / "summary.json"), "summary.json");
  files["results"] = summary.at("results").to_text();
  for (const char* name : {"config.toml", "steps.csv", "layers.csv", "observations.csv"}) {
    files[name] = read_file(directory / name);
  }
  const std::string last = fmt::format("step-{}", summary.at("results").at("steps").integer());
  for (const std::string& step : {std::string("step-0"), last}) {
    for (const auto& entry : fs::directory_iterator(directory / "checkpoint" / step)) {
      if (entry.path().extension() != ".npy") continue;
      files[step + "/" + entry.path().filename().string()] = read_file(entry.path());
    }
  }
  return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  std::string line;
  for (const char c : read_file(file)) {
    if (c != '\n') {
      line += c;
      continue;
    }
    lines.push_back(line);
    line.clear();
  }
  return lines;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Run, ADirectoryHoldsEverythingThatTheRunHasToSay) {
  const TinyRun run;
  const RunReport report = run_experiment(options_of(run, "out"));
  EXPECT_EQ(report.outcome, RunOutcome::Finished);
  EXPECT_EQ(report.steps, 30);
  EXPECT_GT(report.test_accuracy, 0.5);
  EXPECT_FALSE(report.diverged);

  const std::vector<std::string> steps = lines_of(run / "out/steps.csv");
  EXPECT_EQ(steps.front(), "step,epoch,loss,learning_rate");
  ASSERT_EQ(steps.size(), 31U);
  EXPECT_TRUE(steps[1].starts_with("1,1,")) << steps[1];
  EXPECT_TRUE(steps[30].starts_with("30,3,")) << steps[30];

  const std::vector<std::string> layers = lines_of(run / "out/layers.csv");
  EXPECT_EQ(layers.front(),
            "layer,pass,m,n,k,macs,cycles,stall_cycles,utilization,nonzero_ratio,full_swamping,"
            "partial_swamping,overflow,underflow,vrr,nmse,vrr_predicted,mantissa_predicted");
  ASSERT_EQ(layers.size(), 6U) << "no BWD of the first layer";
  EXPECT_TRUE(layers[1].starts_with("conv1,FWD,360,4,9,")) << layers[1];
  EXPECT_TRUE(layers[5].starts_with("fc1,GRAD,144,10,10,")) << layers[5];
  EXPECT_EQ(lines_of(run / "out/observations.csv").size(), 1U + 8 * 5)
      << "steps 1, 5, ..., 29 of five GEMMs";
}

TEST(Run, TheTimeOfEveryLayerAndPhaseIsAccounted) {
  const TinyRun run;
  run_experiment(options_of(run, "out"));
  const Json summary = Json::parse(read_file(run / "out/summary.json"), "summary.json");
  const Json& time = summary.at("time");
  std::map<std::string, double> passes;
  for (const Json& layer : time.at("layers").array()) {
    EXPECT_GT(layer.at("seconds").number(), 0) << layer.to_text();
    passes[layer.at("pass").string()] += layer.at("seconds").number();
  }
  EXPECT_EQ(time.at("layers").array().size(), 5U) << "no BWD of the first layer";
  double total = 0;
  for (const char* pass : {"FWD", "BWD", "GRAD"}) {
    EXPECT_DOUBLE_EQ(passes[pass], time.at("passes").at(pass).number());
    total += passes[pass];
  }
  for (const char* phase :
       {"quantize", "relu", "flatten", "loss", "update", "data", "statistics"}) {
    EXPECT_GT(time.at("phases").at(phase).number(), 0) << phase;
  }
  const double training =
      time.at("training").number() - time.at("phases").at("checkpoint").number();
  EXPECT_DOUBLE_EQ(time.at("gemm_share").number(), total / training);
}

TEST(Run, CyclesAndStallsAreAccountedByPartAndCause) {
  const TinyRun run;
  run_experiment(options_of(run, "out"));
  const Json summary = Json::parse(read_file(run / "out/summary.json"), "summary.json");
  const Json& hardware = summary.at("hardware");
  const auto sum = [&](const char* object, std::initializer_list<const char*> names) {
    std::int64_t total = 0;
    for (const char* name : names) total += hardware.at(object).at(name).integer();
    return total;
  };
  EXPECT_GT(hardware.at("cycles").integer(), 0);
  EXPECT_EQ(hardware.at("cycles").integer(),
            sum("parts", {"load", "fill", "compute", "drain", "pipeline"}));
  EXPECT_EQ(hardware.at("stall_cycles").integer(),
            sum("stalls", {"first_load", "operands", "psum_spill", "write_back", "scratchpad"}));
}

TEST(Run, ItsHardwareSaysWhatTheMacsCostAgainstFp32AccumulatingOnes) {
  const TinyRun run;
  run_experiment(options_of(run, "out"));
  const Json summary = Json::parse(read_file(run / "out/summary.json"), "summary.json");
  const Json& cost = summary.at("hardware").at("cost");
  EXPECT_TRUE(cost.at("reason").is_null());
  EXPECT_GT(cost.at("mac_area_um2").number(), 10000);
  EXPECT_LT(cost.at("area_relative").number(), 0.8);
  EXPECT_LT(cost.at("energy_relative").number(), 0.8);
  // conv1 FWD and GRAD of 10 images, fc1 in three passes.
  EXPECT_EQ(cost.at("macs_step").integer(), 2 * 360 * 4 * 9 + 3 * 10 * 144 * 10);
  EXPECT_GT(cost.at("energy_step_uj").number(),
            1e-6 * static_cast<double>(cost.at("macs_step").integer()));
}

TEST(Run, CheckpointsKeepStepZeroAndTheLastTwoInPyTorchsLayouts) {
  const TinyRun run;
  (void)run_experiment(options_of(run, "out"));
  EXPECT_EQ(names_in(run / "out/checkpoint"),
            (std::vector<std::string>{"step-0", "step-20", "step-30"}));
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const NamedTensor& tensor : read_tensors(run / "out/checkpoint/step-0")) {
    shapes[tensor.name] = tensor.shape;
  }
  EXPECT_EQ(shapes.at("conv1.weight"), (std::vector<std::int64_t>{4, 1, 3, 3}));
  EXPECT_EQ(shapes.at("fc1.weight"), (std::vector<std::int64_t>{10, 144}));
  EXPECT_EQ(shapes.at("fc1.bias"), (std::vector<std::int64_t>{10}));
}

TEST(Run, ThreadsChangeNoBit) {
  const TinyRun run;
  RunOptions options = options_of(run, "one");
  (void)run_experiment(options);
  options.out = run / "two";
  options.threads = 2;
  (void)run_experiment(options);
  EXPECT_EQ(outcome_of(run / "one"), outcome_of(run / "two"));
}

using Milliseconds = std::chrono::milliseconds;

/// The same run as a process of its own, as users start it. A fork of this process alone would not
/// do: threads of earlier runs do not exist in it.
ChildProcess start(const RunOptions& options) {
  std::vector<std::string> words = {"run", options.config.string(), "--out", options.out.string()};
  for (const std::string& setting : options.set) words.insert(words.end(), {"--set", setting});
  if (options.checkpoint_seconds == 0) words.emplace_back("--checkpoint-always");
  return {NARROWMAC_RUN_PROGRAM, words, options.out.string() + ".log"};
}

std::string wait_for_end(ChildProcess& child) {
  for (;;) {
    if (const auto ended = child.ended()) return *ended;
    std::this_thread::sleep_for(Milliseconds(1));
  }
}

/// The run, killed after a while; true if it had finished before.
bool run_and_kill(const RunOptions& options, Milliseconds after) {
  ChildProcess child = start(options);
  std::this_thread::sleep_for(after);
  const auto ended = child.ended();
  if (ended) {
    EXPECT_EQ(*ended, "exit code 0");
  }
  return ended.has_value();
}

TEST(Run, ARunThatIsKilledAtAnyMomentResumesToTheSameBits) {
  const TinyRun run;
  RunOptions options = options_of(run, "whole");
  options.checkpoint_seconds = 0;
  const auto begin = std::chrono::steady_clock::now();
  ChildProcess whole = start(options);
  ASSERT_EQ(wait_for_end(whole), "exit code 0");
  const auto duration =
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
  std::mt19937 random(7);
  int kills = 0;
  for (int round = 0; round < 2; ++round) {
    options.out = run / ("killed" + std::to_string(round));
    for (int i = 0; i < 6; ++i) {
      // A quarter of the first run's time: a later, quicker run is still killed under way.
      const auto longest = static_cast<std::uint64_t>(duration.count()) / 4 + 1;
      if (run_and_kill(options, Milliseconds(random() % longest))) break;
      ++kills;
    }
    options.resume = true;
    (void)run_experiment(options);
    EXPECT_EQ(outcome_of(run / "whole"), outcome_of(options.out));
    EXPECT_EQ(names_in(options.out / "checkpoint").size(), 3U) << "no leftovers";
  }
  EXPECT_GT(kills, 2) << "the test must kill runs that are under way";
}

TEST(Run, AQuantisedRunResumesOnOtherThreadsToTheSameBits) {
  const TinyRun run;
  RunOptions options = options_of(run, "whole");
  options.set = {"formats=false", "quantization.gradient=bhq", "quantization.gradient_bits=4"};
  options.checkpoint_seconds = 0;
  (void)run_experiment(options);
  const std::string layers = read_file(run / "whole" / "layers.csv");
  EXPECT_NE(layers.find("gradient_variance,gradient_bound,gradient_bias"), std::string::npos);
  EXPECT_NE(layers.find("transform_macs"), std::string::npos);
  options.out = run / "killed";
  for (int i = 0; i < 3; ++i) (void)run_and_kill(options, Milliseconds(60));
  options.threads = 2;
  options.resume = true;
  (void)run_experiment(options);
  EXPECT_EQ(outcome_of(run / "whole"), outcome_of(options.out));
}

TEST(Run, AFixedPointRunWithResidualsResumesOnOtherThreadsToTheSameBits) {
  const TinyRun run;
  RunOptions options = options_of(run, "whole");
  const auto fixed = [](const std::string& format) {
    return "{format = \"" + format +
           "\", rounding = \"stochastic\", random_bits = 9, scaling = \"none\"}";
  };
  options.set = {"formats={activation = " + fixed("ufx9.8") + ", weight = " + fixed("fx9.8") +
                     ", gradient = " + fixed("fx12.13") + ", weight_gradient = " +
                     fixed("fx12.10") + ", weight_residual = " + fixed("fx12.20") + "}",
                 "formats.layer=[{name = \"fc1\", weight = " + fixed("fx7.6") + "}]",
                 "mac.accumulator=fx36.21",
                 "mac.overflow=saturate",
                 "training.weight_clip=0.5",
                 "training.loss_scale=2"};
  options.checkpoint_seconds = 0;
  (void)run_experiment(options);
  const fs::path checkpoint = run / "whole/checkpoint/step-0";
  EXPECT_TRUE(fs::exists(checkpoint / "fc1.weight.residual.npy"));
  EXPECT_FALSE(fs::exists(checkpoint / "fc1.bias.residual.npy"));
  options.out = run / "killed";
  for (int i = 0; i < 3; ++i) (void)run_and_kill(options, Milliseconds(60));
  options.threads = 2;
  options.resume = true;
  (void)run_experiment(options);
  EXPECT_EQ(outcome_of(run / "whole"), outcome_of(options.out));
}

TEST(Run, AnInterruptedRunSaysSoAndGoesOn) {
  const TinyRun run;
  RunOptions options = options_of(run, "whole");
  options.set = {"training.batch=1", "training.epochs=2"};
  (void)run_experiment(options);
  options.out = run / "stopped";
  {
    ChildProcess child = start(options);
    std::optional<std::string> ended;
    while (!ended && !fs::exists(options.out / "checkpoint/step-0")) {
      std::this_thread::sleep_for(Milliseconds(1));
      ended = child.ended();
    }
    ASSERT_FALSE(ended) << *ended << ": " << read_file(run / "stopped.log");
    child.terminate();
    EXPECT_EQ(wait_for_end(child), "exit code 130");
  }
  EXPECT_NE(read_file(run / "stopped.log").find("stopped by signal 15"), std::string::npos);
  EXPECT_FALSE(fs::exists(options.out / "summary.json"));
  options.resume = true;
  EXPECT_EQ(run_experiment(options).outcome, RunOutcome::Finished);
  EXPECT_EQ(outcome_of(run / "whole"), outcome_of(options.out));
}

TEST(Run, ADirectoryWithThisRunIsTakenUpWithResumeOnly) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  const RunReport first = run_experiment(options);
  expect_error([&] { (void)run_experiment(options); },
               {"found this run, finished", "accepted: --resume"});
  options.resume = true;
  const RunReport again = run_experiment(options);
  EXPECT_EQ(again.outcome, RunOutcome::WasFinished);
  EXPECT_EQ(again.summary_json, first.summary_json);
  fs::remove(run / "out/summary.json");
  options.resume = false;
  expect_error([&] { (void)run_experiment(options); },
               {"found this run, unfinished", "accepted: --resume to go on"});
}

TEST(Run, ADirectoryWithAnotherRunIsRefusedAndLeftAsItIs) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  (void)run_experiment(options);
  const auto before = outcome_of(run / "out");
  options.set = {"training.learning_rate=0.01"};
  for (const bool resume : {false, true}) {
    options.resume = resume;
    expect_error([&] { (void)run_experiment(options); },
                 {"found another run", "learning_rate = 0.05 there, learning_rate = 0.01 here"});
  }
  EXPECT_EQ(outcome_of(run / "out"), before);
}

TEST(Run, AFolderWithOtherFilesIsRefused) {
  const TinyRun run;
  run.write("thesis/chapter1.tex", "text");
  RunOptions options = options_of(run, "thesis");
  expect_error([&] { (void)run_experiment(options); }, {"chapter1.tex", "no run directory"});
  EXPECT_EQ(names_in(run / "thesis"), std::vector<std::string>{"chapter1.tex"});
  options.out = run / "run.toml";
  expect_error([&] { (void)run_experiment(options); }, {"found a file", "accepted: a folder"});
}

TEST(Run, ADryRunPlansEveryGemmAndWritesNothing) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.dry_run = true;
  const RunReport report = run_experiment(options);
  EXPECT_EQ(report.outcome, RunOutcome::Planned);
  EXPECT_FALSE(fs::exists(run / "out"));
  EXPECT_EQ(report.plan.steps, 30);
  ASSERT_EQ(report.plan.gemms.size(), 5U);
  EXPECT_EQ(report.plan.gemms[0].shape, (GemmShape{360, 4, 9}));
  // 32 x 32, os: ceil(360 / 32) folds of 9 + 32 + 32 - 2 cycles.
  EXPECT_EQ(report.plan.gemms[0].cycles, 12 * 71);
}

TEST(Run, AnOrderThatALayerIsTooLongForIsRefusedBeforeAnythingIsComputed) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.set = {"array.dataflow=ws"};
  expect_error([&] { (void)run_experiment(options); }, {"layer", "pass", "second accumulator"});
  EXPECT_FALSE(fs::exists(run / "out"));
}

TEST(Run, TheFp32RunHasTimesAndShapesButNoCyclesAndNoLosses) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.set = {"mac=false", "formats=false"};
  (void)run_experiment(options);
  const std::vector<std::string> layers = lines_of(run / "out/layers.csv");
  // 3 epochs of 96 images: 36 positions x 4 channels x 9 products each.
  EXPECT_EQ(layers.at(1), "conv1,FWD,360,4,9,373248,,,,,,,,,,,,");
}

const std::vector<std::string> kPrecision = {"mac=false", "formats=false",
                                             "observe.precision=true"};

TEST(Run, PrecisionStatisticsAreOneFileForAssignAndATableOfEpochs) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.set = kPrecision;
  (void)run_experiment(options);
  const std::vector<std::string> rows = lines_of(run / "out/tensors.csv");
  EXPECT_EQ(rows.at(0), "epoch,layer,weight_gradient_std,activation_gradient_std");
  ASSERT_EQ(rows.size(), 1U + 4 * 2) << "two layers before the first step and after three epochs";
  EXPECT_TRUE(rows[1].starts_with("0,conv1,")) << rows[1];
  EXPECT_TRUE(rows[8].starts_with("3,fc1,")) << rows[8];

  double least = 1e9, largest = 0, largest_activation = 0;
  for (std::size_t row = 2; row < rows.size(); row += 2) {  // fc1
    double weight = 0, activation = 0;
    ASSERT_EQ(std::sscanf(rows[row].c_str(), "%*d,fc1,%lf,%lf", &weight, &activation), 2);
    least = std::min(least, weight);
    largest = std::max(largest, weight);
    largest_activation = std::max(largest_activation, activation);
  }
  const Json statistics = Json::parse(read_file(run / "out/statistics.json"), "statistics.json");
  const Json::Array& layers = statistics.at("layers").array();
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].at("name").string(), "conv1");
  EXPECT_TRUE(layers[0].at("activation_noise_gain").is_null()) << "the image";
  EXPECT_GT(layers[1].at("activation_noise_gain").number(), 0);
  EXPECT_GT(layers[1].at("weight_noise_gain").number(), 0);
  EXPECT_GT(layers[1].at("lambda_max").number(), 0);
  EXPECT_EQ(layers[1].at("weight_gradient_std_min").number(), least);
  EXPECT_EQ(layers[1].at("weight_gradient_std_max").number(), largest);
  EXPECT_EQ(layers[1].at("activation_gradient_std_max").number(), largest_activation);
  const std::string last = lines_of(run / "out/steps.csv").back();
  EXPECT_EQ(statistics.at("learning_rate_min").number(),
            std::stod(last.substr(last.rfind(',') + 1)));
  const Json summary = Json::parse(read_file(run / "out/summary.json"), "summary.json");
  EXPECT_GT(summary.at("time").at("phases").at("precision").number(), 0);
}

TEST(Run, PrecisionStatisticsChangeNoBitOfTheTraining) {
  const TinyRun run;
  RunOptions options = options_of(run, "with");
  options.set = kPrecision;
  (void)run_experiment(options);
  options.set.pop_back();
  options.out = run / "without";
  (void)run_experiment(options);
  auto with = outcome_of(run / "with"), without = outcome_of(run / "without");
  EXPECT_EQ(with["config.toml"], without["config.toml"] + "precision = true\n");
  without["config.toml"] = with["config.toml"];
  EXPECT_EQ(with, without);
  EXPECT_FALSE(fs::exists(run / "without/statistics.json"));
  EXPECT_FALSE(fs::exists(run / "without/tensors.csv"));
}

TEST(Run, PrecisionStatisticsOfAKilledRunOnOtherThreadsHaveTheSameBits) {
  const TinyRun run;
  RunOptions options = options_of(run, "whole");
  options.set = kPrecision;
  options.checkpoint_seconds = 0;
  (void)run_experiment(options);
  options.out = run / "killed";
  options.threads = 2;
  for (int i = 0; i < 3; ++i) (void)run_and_kill(options, Milliseconds(60));
  options.resume = true;
  (void)run_experiment(options);
  EXPECT_EQ(outcome_of(run / "whole"), outcome_of(options.out));
  for (const char* file : {"statistics.json", "tensors.csv"}) {
    EXPECT_EQ(read_file(run / "whole" / file), read_file(options.out / file)) << file;
  }
  // Killed between the last step and the end.
  const std::string statistics = read_file(options.out / "statistics.json");
  fs::remove(options.out / "statistics.json");
  fs::remove(options.out / "summary.json");
  (void)run_experiment(options);
  EXPECT_EQ(read_file(options.out / "statistics.json"), statistics);
}

TEST(Run, ADivergedRunHasNoPrecisionStatistics) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.set = kPrecision;
  options.set.insert(options.set.end(), {"training.learning_rate=1e8", "training.loss_scale=1"});
  EXPECT_TRUE(run_experiment(options).diverged);
  EXPECT_FALSE(fs::exists(run / "out/statistics.json"));
}

TEST(Run, ADivergedRunIsAResult) {
  const TinyRun run;
  RunOptions options = options_of(run, "out");
  options.set = {"training.learning_rate=1e8", "training.loss_scale=1", "mac=false",
                 "formats=false"};
  const RunReport report = run_experiment(options);
  EXPECT_EQ(report.outcome, RunOutcome::Finished);
  EXPECT_TRUE(report.diverged);
  EXPECT_LT(report.steps, 30);
  EXPECT_FALSE(report.train_loss.has_value());
}

TEST(Run, AFullDiskIsAnErrorThatKeepsEarlierResults) {
  const TinyRun run;
  (void)run_experiment(options_of(run, "whole"));
  RunOptions options = options_of(run, "full");
  rlimit unlimited{};
  ::getrlimit(RLIMIT_FSIZE, &unlimited);
  rlimit limit = unlimited;
  limit.rlim_cur = 3000;  // fc1.weight.npy does not fit
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ChildProcess child = start(options);
  ::setrlimit(RLIMIT_FSIZE, &unlimited);
  EXPECT_EQ(wait_for_end(child), "exit code 1");
  EXPECT_NE(read_file(run / "full.log").find(".npy: cannot write"), std::string::npos);
  EXPECT_TRUE(names_in(run / "full/checkpoint").empty()) << "no half checkpoint";
  options.resume = true;
  (void)run_experiment(options);
  EXPECT_EQ(outcome_of(run / "whole"), outcome_of(run / "full"));
}

}  // namespace
}  // namespace narrowmac
