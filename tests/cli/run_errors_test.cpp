#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

std::string shipped(const std::string& name) {
  return std::string(NARROWMAC_CONFIGS_FOLDER) + "/" + name;
}

void expect_refusal(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& parts) {
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  for (const std::string& part : parts) {
    EXPECT_NE(outcome.err.find(part), std::string::npos)
        << "'" << part << "' is not in: " << outcome.err;
  }
}

const std::string kRun = shipped("experiments/fashion-cnn.toml");

TEST(RunCommand, ADryRunPrintsTheGemmsOfAStepAndWritesNothing) {
  const TemporaryFolder folder;
  const std::string out = folder.file("run");
  const Outcome outcome = run_program({"run", kRun, "--dry-run", "--out", out, "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const nlohmann::json plan = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(plan.size(), 11U) << "two or three passes of four layers";
  EXPECT_EQ(plan[0]["schema"], 1);
  EXPECT_EQ(plan[0]["layer"], "conv1");
  EXPECT_EQ(plan[0]["pass"], "FWD");
  EXPECT_EQ(plan[0]["m"], 128 * 28 * 28);
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(RunCommand, WrongInputExitsWith2) {
  const TemporaryFolder folder;
  expect_refusal({"run", folder.file("no.toml")}, {folder.file("no.toml"), "No such file"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "mc.accumulator=e6m3"},
                 {"--set mc.accumulator=e6m3", "mc: unknown key; did you mean 'mac'?"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "mac.acumulator=e6m3"},
                 {"mac.acumulator: unknown key; did you mean 'accumulator'?"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "mac.accumulator=e6m99"},
                 {"'e6m99'", "accepted: eXmY"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "training.epochs=many"},
                 {"training.epochs: expected an integer, found the string 'many'"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "mac.a=e5m2"},
                 {"mac.a: must not be set here"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "mac.accumulator=fx24.0"},
                 {"overflow", "saturate, wrap"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "array.dataflow=ws", "--set", "array.rows=32"},
                 {"chunk length 64", "32 rows"});
  expect_refusal({"run", kRun, "--dry-run", "--set", "seed"}, {"seed"});
}

TEST(SweepCommand, ADryRunPrintsThePointsAndWritesNothing) {
  const TemporaryFolder folder;
  const std::string out = folder.file("sweep");
  const Outcome outcome = run_program(
      {"sweep", shipped("sweeps/quickstart.toml"), "--dry-run", "--out", out, "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const nlohmann::json points = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(points.size(), 12U);
  EXPECT_EQ(points[0]["schema"], 1);
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(SweepCommand, WrongInputExitsWith2) {
  const TemporaryFolder folder;
  expect_refusal({"sweep", folder.file("no.toml")}, {folder.file("no.toml")});
  expect_refusal(
      {"sweep", shipped("sweeps/quickstart.toml"), "--dry-run", "--set", "trainin.epochs=1"},
      {"trainin"});
  const std::string sweep =
      folder.write("sweep.toml", "[sweep]\nbase = \"nowhere.toml\"\nseeds = [1]\n");
  expect_refusal({"sweep", sweep, "--dry-run"}, {"nowhere.toml"});
}

TEST(RecommendCommand, FindsVerifiesAndGoesOnWithTheSameResult) {
  const TinyRun run;
  const std::string out = (run / "out").string();
  std::vector<std::string> arguments = {"recommend", (run / "run.toml").string(),
                                        "--budget",  "5%",
                                        "--set",     "training.epochs=1",
                                        "--seeds",   "3,8",
                                        "--chunks",  "8",
                                        "--out",     out,
                                        "--format",  "json"};
  const Outcome outcome = run_program(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
  const nlohmann::json result = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(result["schema"], 1);
  EXPECT_EQ(result["budget"], 0.05);
  EXPECT_EQ(result["seeds"], (nlohmann::json{3, 8}));
  EXPECT_EQ(result["search_seed"], 1003);
  EXPECT_EQ(result["designs"][0]["role"], "baseline");
  EXPECT_EQ(result["designs"][0]["test_accuracies"].size(), 2U);
  ASSERT_TRUE(result["recommended"].is_object()) << outcome.out;
  EXPECT_EQ(result["recommended"]["role"], "recommended");
  EXPECT_LE(result["recommended"]["loss"]["mean"], 0.05);
  EXPECT_LT(result["recommended"]["price"]["area_relative"], 1);
  EXPECT_TRUE(std::filesystem::exists(run / "out/recommended.toml"));

  EXPECT_EQ(run_program(arguments).exit_code, 2) << "without --resume";
  arguments.emplace_back("--resume");
  EXPECT_EQ(run_program(arguments).out, outcome.out);
  const Outcome trained = run_program(
      {"run", (run / "out/recommended.toml").string(), "--out", (run / "again").string()});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
}

TEST(RecommendCommand, WrongInputExitsWith2) {
  const TemporaryFolder folder;
  const std::string out = folder.file("out");
  const auto refuse = [&](const std::vector<std::string>& more,
                          const std::vector<std::string>& parts) {
    std::vector<std::string> arguments = {"recommend", kRun, "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(arguments, parts);
    EXPECT_FALSE(std::filesystem::exists(out));
  };
  refuse({}, {"--budget is required"});
  refuse({"--budget", "0"}, {"--budget: found '0'", "0.5% or 0.005"});
  refuse({"--budget=-1%"}, {"--budget: found '-1%'"});
  refuse({"--budget", "half"}, {"--budget: found 'half'"});
  refuse({"--budget", "0.5"}, {"--budget: found '0.5'", "up to 20%"});
  refuse({"--budget", "1%", "--seeds", "0"}, {"--seeds: found '0'"});
  refuse({"--budget", "1%", "--seeds", "1,2,1"}, {"--seeds: found 1 twice"});
  refuse({"--budget", "1%", "--seeds", "1,two"}, {"--seeds: found 'two'"});
  refuse({"--budget", "1%", "--chunks", "0"}, {"--chunks: found '0'", "none,16,64"});
  refuse({"--budget", "1%", "--set", "mac=false"}, {"found no [mac]"});
  refuse({"--budget", "1%", "--set", "array.dataflow=ws", "--set", "mac.chunk=false", "--chunks",
          "none"},
         {"32"});
  expect_refusal({"recommend", folder.file("no.toml"), "--budget", "1%"}, {"no.toml"});
}

}  // namespace
}  // namespace narrowmac
