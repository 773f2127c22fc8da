#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

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

}  // namespace
}  // namespace narrowmac
