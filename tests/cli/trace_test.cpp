#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

/// `trace` of 2 x 3 x 7 on an array of 2 x 3, with more options.
Outcome run_trace(const std::string& out, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"trace",   "--mac", shipped_mac("e5m2-e6m3"),
                                        "--array", "2x3",   "--gemm",
                                        "2x3x7",   "--out", out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(TraceCommand, WritesAWaveformOfEveryPe) {
  const TemporaryFolder folder;
  const std::string path = folder.file("os.vcd");
  const Outcome outcome = run_trace(path, {"--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto result = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(result["schema"], 1);
  EXPECT_EQ(result["cycles"], 7 + 2 + 3 - 2);
  EXPECT_EQ(result["dataflow"], "os");
  const std::string vcd = text_of(path);
  for (const char* pe : {"pe_0_0", "pe_0_2", "pe_1_2"}) {
    EXPECT_NE(vcd.find(std::string("$scope module ") + pe), std::string::npos) << pe;
  }
  EXPECT_EQ(vcd.find("pe_2_0"), std::string::npos);
  EXPECT_NE(vcd.find("accumulator_bits [9:0]"), std::string::npos);
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
}

TEST(TraceCommand, DataflowPsumAndPolicyAreChosen) {
  const TemporaryFolder folder;
  const Outcome outcome = run_trace(
      folder.file("ws.vcd"),
      {"--dataflow", "ws", "--psum", "chained", "--policy", "ragged", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // 4 folds along k: three of 2 rows and one of 1.
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["cycles"],
            3 * (2 + 2 + 2 + 3 - 2) + (1 + 2 + 1 + 3 - 2));
}

TEST(TraceCommand, WhatCannotBeTracedIsRefused) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::vector<std::string>& options, const std::string& message) {
    const Outcome outcome = run_trace(folder.file("x.vcd"), options);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder.file("x.vcd")));
  };
  const auto replaced = [&](const std::string& array, const std::string& gemm) {
    return run_program({"trace", "--mac", shipped_mac("e5m2-e6m3"), "--array", array, "--gemm",
                        gemm, "--out", folder.file("x.vcd")});
  };
  EXPECT_NE(replaced("2x3", "2x3").err.find("--gemm: found '2x3'; accepted: MxNxK"),
            std::string::npos);
  EXPECT_NE(replaced("2x3", "2x3x0").err.find("accepted: MxNxK"), std::string::npos);
  EXPECT_NE(replaced("0x3", "2x3x4").err.find("accepted: ROWSxCOLUMNS"), std::string::npos);
  EXPECT_NE(replaced("65x64", "2x3x4").err.find("at most 4096"), std::string::npos);
  refused({"--dataflow", "ws"}, "add [mac.chunk]");
  const Outcome unwritable = run_trace("/nonexistent/x.vcd");
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_NE(unwritable.err.find("/nonexistent/x.vcd"), std::string::npos) << unwritable.err;
}

}  // namespace
}  // namespace narrowmac
