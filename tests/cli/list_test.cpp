#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

TEST(ListCommand, NamesTheShippedFilesWithTheirFirstLine) {
  const Outcome outcome = run_program({"list", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  bool found = false;
  for (const auto& entry : nlohmann::json::parse(outcome.out)) {
    EXPECT_EQ(entry["schema"], 1);
    EXPECT_FALSE(entry["description"].get<std::string>().empty()) << entry;
    if (entry["kind"] != "mac" || entry["name"] != "e5m2-e6m3") continue;
    found = true;
    EXPECT_EQ(entry["description"], "e5m2 operands, e6m3 accumulator, sequential");
    EXPECT_TRUE(std::filesystem::exists(entry["path"].get<std::string>()));
  }
  EXPECT_TRUE(found) << outcome.out;
}

TEST(ListCommand, LooksFirstWhereTheEnvironmentSays) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("macs"));
  (void)folder.write("macs/mine.toml", "#  my own MAC \n[mac]\n");
  const Outcome outcome =
      run_program({"list", "--format", "csv"}, {"NARROWMAC_CONFIGS=" + folder.file("")});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("mac,mine,my own MAC,"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace narrowmac
