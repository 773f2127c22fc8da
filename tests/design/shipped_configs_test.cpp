#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "models/design/config.h"

namespace narrowmac {
namespace {

std::vector<std::filesystem::path> shipped(const std::string& kind) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(NARROWMAC_CONFIGS_FOLDER) / kind)) {
    files.push_back(entry.path());
  }
  return files;
}

void expect_comment_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line.substr(0, 2), "# ") << path << " must start with a line that says what it is";
  EXPECT_GT(line.size(), 20U) << path;
}

TEST(ShippedConfigs, EveryMacIsValidAndUnlikeTheOthersAndWarnsOnlyWhereIntended) {
  std::set<std::string> designs;
  for (const auto& path : shipped("macs")) {
    const MacFile file = read_mac_file(path);
    // fp32 has bf16's exponents: the largest products overflow, as in all such hardware.
    EXPECT_EQ(warnings(file.mac).size(), path.stem() == "bf16-fp32" ? 1U : 0U) << path;
    EXPECT_TRUE(designs.insert(to_toml(file.mac)).second) << path << " repeats another file";
    expect_comment_line(path);
  }
  EXPECT_GE(designs.size(), 20U);
}

TEST(ShippedConfigs, EveryArrayIsValid) {
  std::set<std::string> designs;
  for (const auto& path : shipped("arrays")) {
    const ConfigTable root = ConfigTable::read_file(path);
    EXPECT_TRUE(designs.insert(to_toml(parse_array(root))).second) << path;
    EXPECT_NO_THROW(root.reject_unknown());
    expect_comment_line(path);
  }
  EXPECT_GE(designs.size(), 5U);
}

}  // namespace
}  // namespace narrowmac
