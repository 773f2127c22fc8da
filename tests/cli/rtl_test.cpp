#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

TEST(RtlCommand, WritesAFolderAndSaysHowToCheckIt) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_program({"rtl", "--mac", shipped_mac("e5m2-e6m9"), "--out", folder.file("mac")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("iverilog"), std::string::npos);
  for (const char* name : {"mac.v", "mac_tb.v", "nm_mac.v", "nm_functions.vh", "steps.hex",
                           "cycles.hex", "files.f", "README.txt"}) {
    EXPECT_TRUE(std::filesystem::exists(folder.file("mac/" + std::string(name)))) << name;
  }
}

TEST(RtlCommand, LeavesAFolderAloneThatHoldsSomething) {
  const TemporaryFolder folder;
  (void)folder.write("mine.v", "module mine; endmodule\n");
  const Outcome outcome =
      run_program({"rtl", "--mac", shipped_mac("e5m2-e6m9"), "--out", folder.file("")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("accepted: a new or empty folder"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder.file("mac.v")));
}

TEST(RtlCommand, RefusesADesignWithoutVerilogNamingFileAndKey) {
  const TemporaryFolder folder;
  const std::string mac = folder.write(
      "exact.toml",
      "[mac]\na = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e6m9\"\norder = \"exact\"\n");
  const Outcome outcome = run_program({"rtl", "--mac", mac, "--out", folder.file("mac")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("exact.toml: mac.order"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder.file("mac")));
}

}  // namespace
}  // namespace narrowmac
