#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

TEST(FormatsCommand, PrintsWhatAFormatHolds) {
  const Outcome outcome = run_program({"formats", "e5m2", "int8", "e4m3fn", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const nlohmann::json list = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0]["schema"], 1);
  EXPECT_EQ(list[0]["width"], 8);
  EXPECT_EQ(list[0]["bias"], 15);
  EXPECT_EQ(list[0]["largest"], 57344);
  EXPECT_EQ(list[0]["smallest_normal"], 0x1p-14);
  EXPECT_EQ(list[0]["smallest_subnormal"], 0x1p-16);
  EXPECT_EQ(list[0]["infinity"], true);
  EXPECT_EQ(list[1]["canonical"], "fx8.0");
  EXPECT_EQ(list[1]["lowest"], -128);
  EXPECT_TRUE(list[1]["exponent_bits"].is_null());
  EXPECT_EQ(list[1]["nan"], false);
  EXPECT_EQ(list[2]["largest"], 448);
  EXPECT_EQ(list[2]["infinity"], false);
  EXPECT_EQ(list[2]["nan"], true);
}

TEST(FormatsCommand, WithoutAFormatPrintsTheCommonOnes) {
  const Outcome outcome = run_program({"formats"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const std::string name : {"fp32", "bf16", "e4m3fn", "e6m9", "fx16.-4", "uint8"}) {
    EXPECT_NE(outcome.out.find("\n" + name + " "), std::string::npos) << name;
  }
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
}

TEST(FormatsCommand, CsvHasOneLineAFormat) {
  const Outcome outcome = run_program({"formats", "fp16", "--format", "csv"});
  EXPECT_EQ(
      outcome.out,
      "format,canonical,width,sign,exponent_bits,bias,fraction_bits,precision,smallest_subnormal,"
      "smallest_normal,largest,lowest,infinity,nan\n"
      "fp16,e5m10,16,sign "
      "bit,5,15,10,11,5.960464477539063e-08,6.103515625e-05,65504,-65504,yes,yes\n");
}

TEST(FormatsCommand, AnUnknownFormatIsRefused) {
  const Outcome outcome = run_program({"formats", "e9m2"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_NE(outcome.err.find("number format 'e9m2': 9 exponent bits; accepted: eXmY"),
            std::string::npos)
      << outcome.err;
}

}  // namespace
}  // namespace narrowmac
