#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

const std::vector<std::string> kCommands = {"formats", "list", "gemm", "explain", "run", "sweep"};

TEST(CommandLine, HelpNamesEveryCommand) {
  const Outcome outcome = run_program({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const std::string& command : kCommands) {
    EXPECT_NE(outcome.out.find("\n  " + command + " "), std::string::npos) << command;
  }
}

TEST(CommandLine, EveryCommandHasADescriptionAndExamples) {
  for (const std::string& command : kCommands) {
    const Outcome outcome = run_program({command, "--help"});
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_NE(outcome.out.find("Examples:\n  narrowmac " + command), std::string::npos)
        << outcome.out;
  }
}

TEST(CommandLine, VersionGoesToStandardOutput) {
  const Outcome outcome = run_program({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out.substr(0, 10), "narrowmac ");
}

TEST(CommandLine, WrongCommandLinesExitWith2AndSayWhatIsWrong) {
  const auto expect_refusal = [](const std::vector<std::string>& arguments,
                                 const std::string& part) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << part;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  };
  expect_refusal({}, "subcommand is required");
  expect_refusal({"fromats"},
                 "unknown command 'fromats'; accepted: run, sweep, gemm, explain, trace, cycles, ");
  expect_refusal({"formats", "--colour"}, "--colour");
  expect_refusal({"list", "extra"}, "extra");
  expect_refusal({"formats", "--format", "xml"}, "xml");
  expect_refusal({"gemm"}, "--mac is required");
  expect_refusal({"gemm", "--mac", "m", "--a", "a", "--b", "b", "--out", "c", "--dataflow", "rs"},
                 "rs");
  expect_refusal({"gemm", "--mac", "m", "--a", "a", "--b", "b", "--out", "c", "--seed", "-1"},
                 "seed");
  expect_refusal({"gemm", "--mac", "m", "--a", "a", "--b", "b", "--out", "c", "--threads", "0"},
                 "threads");
  expect_refusal({"explain", "--mac", "m", "--a", "1"}, "--b is required");
}

TEST(CommandLine, AFullDiskUnderStandardOutputIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const Outcome outcome = run_program({"formats"}, {}, "/dev/full");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("standard output: No space left on device"), std::string::npos)
      << outcome.err;
}

}  // namespace
}  // namespace narrowmac
