#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

nlohmann::json explain(const std::string& mac, const std::string& a, const std::string& b) {
  const Outcome outcome =
      run_program({"explain", "--mac", mac, "--a=" + a, "--b=" + b, "--format", "json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out);
}

TEST(ExplainCommand, ShowsWhatEachAdditionKeptAndLost) {
  const nlohmann::json dot = explain(shipped_mac("e5m2-e6m2"), "8,1,3,0", "1,1,1,1");
  EXPECT_EQ(dot["schema"], 1);
  ASSERT_EQ(dot["steps"].size(), 4U);
  EXPECT_EQ(dot["steps"][0]["what"], "exact");
  const nlohmann::json& swamped = dot["steps"][1];  // 9 is a tie between 8 and 10
  EXPECT_EQ(swamped["k"], 1);
  EXPECT_EQ(swamped["before"], 8);
  EXPECT_EQ(swamped["exact_sum"], "9");
  EXPECT_EQ(swamped["after"], 8);
  EXPECT_EQ(swamped["before_bits"], "1.00 x 2^3");
  EXPECT_EQ(swamped["exact_sum_bits"], "1.001 x 2^3");
  EXPECT_EQ(swamped["bits_lost"], 1);
  EXPECT_EQ(swamped["what"], "full swamping");
  const nlohmann::json& partial = dot["steps"][2];  // 11 is a tie between 10 and 12
  EXPECT_EQ(partial["after"], 12);
  EXPECT_EQ(partial["after_bits"], "1.10 x 2^3");
  EXPECT_EQ(partial["what"], "partial swamping");
  EXPECT_EQ(dot["steps"][3]["what"], "zero addend");
  EXPECT_EQ(dot["result"], 12);
  EXPECT_EQ(dot["exact"], "12");
  EXPECT_EQ(dot["error"], 0);
  EXPECT_EQ(dot["additions"], 3);
  EXPECT_EQ(dot["full_swamping"], 1);
  EXPECT_EQ(dot["partial_swamping"], 1);
}

TEST(ExplainCommand, KnowsShippedMacsByName) {
  EXPECT_EQ(run_program({"explain", "--mac", "int8-fx16.-4", "--a", "16", "--b", "1"}).exit_code,
            0);
  const Outcome outcome = run_program({"explain", "--mac", "no-such", "--a", "1", "--b", "1"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("e5m2-e6m9"), std::string::npos) << outcome.err;
}

TEST(ExplainCommand, SaysThatAnOperandWasRounded) {
  const nlohmann::json dot = explain(shipped_mac("e5m2-e6m9"), "0.1", "1");
  EXPECT_EQ(dot["steps"][0]["a_input"], 0.1);
  EXPECT_EQ(dot["steps"][0]["a"], 0.09375);
  const Outcome table =
      run_program({"explain", "--mac", shipped_mac("e5m2-e6m9"), "--a", "0.1", "--b", "1"});
  EXPECT_NE(table.out.find("a_input"), std::string::npos);
  const Outcome unrounded =
      run_program({"explain", "--mac", shipped_mac("e5m2-e6m9"), "--a", "2", "--b", "1"});
  EXPECT_EQ(unrounded.out.find("a_input"), std::string::npos);
}

TEST(ExplainCommand, CountsASumWrappedToZeroAsGemmDoes) {
  const TemporaryFolder folder;
  const std::string mac = folder.write("mac.toml",
                                       "[mac]\na = 'int8'\nb = 'int8'\naccumulator = 'fx4.0'\n"
                                       "overflow = 'wrap'\n");
  const nlohmann::json dot = explain(mac, "8", "2");
  EXPECT_EQ(dot["steps"][0]["what"], "overflow, underflow");
  EXPECT_EQ(dot["overflow"], 1);
  EXPECT_EQ(dot["underflow"], 1);
}

TEST(ExplainCommand, NamesTheProductThatFixedPointCannotHold) {
  const TemporaryFolder folder;
  const std::string mac = folder.write("mac.toml",
                                       "[mac]\na = 'e5m2'\nb = 'e5m2'\naccumulator = 'fx4.0'\n"
                                       "overflow = 'wrap'\n");
  const Outcome outcome = run_program({"explain", "--mac", mac, "--a", "1,inf", "--b", "1,2"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("at k = 1, inf times 2"), std::string::npos) << outcome.err;
}

TEST(ExplainCommand, WarnsOfAnUnwiseDesignUnlessQuiet) {
  const TemporaryFolder folder;
  const std::string mac =
      folder.write("mac.toml", "[mac]\na = 'int8'\nb = 'int8'\naccumulator = 'e4m3'\n");
  const Outcome loud = run_program({"explain", "--mac", mac, "--a", "1", "--b", "1"});
  EXPECT_EQ(loud.exit_code, 0);
  EXPECT_NE(loud.err.find(mac + ": the accumulator e4m3 cannot hold one product"),
            std::string::npos)
      << loud.err;
  const Outcome quiet = run_program({"explain", "--mac", mac, "--a", "1", "--b", "1", "--quiet"});
  EXPECT_EQ(quiet.err, "");
}

TEST(ExplainCommand, ShowsTheSecondLevelOfChunks) {
  const TemporaryFolder folder;
  const std::string mac = folder.write("mac.toml",
                                       "[mac]\na = 'e5m2'\nb = 'e5m2'\naccumulator = 'e6m2'\n"
                                       "[mac.chunk]\nlength = 2\naccumulator = 'e6m9'\n");
  const nlohmann::json dot = explain(mac, "1,2,4", "1,1,1");
  ASSERT_EQ(dot["steps"].size(), 5U);
  const int levels[] = {1, 1, 2, 1, 2};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(dot["steps"][i]["level"], levels[i]);
  EXPECT_EQ(dot["steps"][2]["addend"], 3);
  EXPECT_TRUE(dot["steps"][2]["a"].is_null());
  EXPECT_EQ(dot["steps"][3]["before"], 0) << "each chunk starts from zero";
  EXPECT_EQ(dot["steps"][4]["before"], 3);
  EXPECT_EQ(dot["result"], 7);
}

TEST(ExplainCommand, NamesOverflowAndUnderflow) {
  const nlohmann::json over = explain(shipped_mac("e5m2-e6m2"), "57344,57344", "57344,57344");
  EXPECT_EQ(over["steps"][1]["what"], "overflow");
  EXPECT_EQ(over["result"], "inf");
  EXPECT_TRUE(over["error"].is_null());
  const TemporaryFolder folder;
  const std::string mac =
      folder.write("mac.toml", "[mac]\na = 'e5m2'\nb = 'e5m2'\naccumulator = 'e4m3'\n");
  const nlohmann::json under =
      explain(mac, "0.0009765625", "0.0009765625");  // 2^-20; e4m3 ends at 2^-9
  EXPECT_EQ(under["steps"][0]["what"], "full swamping, underflow");
  EXPECT_EQ(under["result"], 0);
}

TEST(ExplainCommand, ReadsValuesFromFilesToo) {
  const TemporaryFolder folder;
  const std::string a = folder.write("a.txt", "1, 2\n3\n");
  EXPECT_EQ(explain(shipped_mac("e5m2-e6m9"), "@" + a, "1,1,1")["result"], 6);
}

TEST(ExplainCommand, TheTableEndsWithTotals) {
  const Outcome outcome =
      run_program({"explain", "--mac", shipped_mac("e5m2-e6m2"), "--a", "8,1", "--b", "1,1"});
  EXPECT_EQ(outcome.out.substr(0, 36), "e5m2 x e5m2 -> e6m2 nearest-even\nlev");
  EXPECT_NE(
      outcome.out.find(
          "result 8, exact 9, error -1\n2 additions of something: 1 fully swamped, 0 partially"),
      std::string::npos)
      << outcome.out;
}

TEST(ExplainCommand, RefusesWhatIsNoNumberAndUnequalLengths) {
  const auto refusal = [](const std::string& a, const std::string& b) {
    const Outcome outcome =
        run_program({"explain", "--mac", shipped_mac("e5m2-e6m9"), "--a", a, "--b", b});
    EXPECT_EQ(outcome.exit_code, 2);
    return outcome.err;
  };
  EXPECT_NE(refusal("1,x", "1,1").find("--a: value 2 is 'x'; accepted: decimal numbers"),
            std::string::npos);
  EXPECT_NE(refusal("1,", "1,1").find("--a: value 2 is ''"), std::string::npos);
  EXPECT_NE(refusal("1,2", "1").find("--a has 2 values and --b has 1"), std::string::npos);
  EXPECT_NE(refusal("@no/such/file", "1").find("no/such/file"), std::string::npos);
}

}  // namespace
}  // namespace narrowmac
