#include "sim/experiment/presets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <map>

#include "models/design/error.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

/// BIN/../SHARE/narrowmac/configs: an installation that was moved keeps working.
fs::path share_beside_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  return program.parent_path().parent_path() / "share/narrowmac/configs";
}

void add(std::vector<fs::path>& folders, const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || !fs::is_directory(folder, error)) return;
  const fs::path canonical = fs::canonical(folder, error);
  if (error) return;
  for (const fs::path& known : folders) {
    if (known == canonical) return;
  }
  folders.push_back(canonical);
}

}  // namespace

std::vector<fs::path> preset_folders(const fs::path& config_file) {
  std::vector<fs::path> folders;
  if (const char* variable = std::getenv("NARROWMAC_CONFIGS")) add(folders, variable);
  if (!config_file.empty()) add(folders, fs::absolute(config_file).parent_path() / "..");
  add(folders, NARROWMAC_SOURCE_CONFIGS);
  add(folders, share_beside_program());
  add(folders, NARROWMAC_INSTALLED_CONFIGS);
  return folders;
}

std::vector<fs::path> list_presets(std::string_view category, const fs::path& config_file,
                                   std::string_view extension) {
  std::map<std::string, fs::path> found;
  for (const fs::path& folder : preset_folders(config_file)) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder / category, error)) {
      if (entry.path().extension() == extension) {
        found.emplace(entry.path().stem().string(), entry.path());
      }
    }
  }
  std::vector<fs::path> paths;
  paths.reserve(found.size());
  for (const auto& entry : found) paths.push_back(entry.second);
  return paths;
}

fs::path find_preset(std::string_view category, const std::string& name,
                     const fs::path& config_file) {
  std::vector<std::string> names;
  for (const fs::path& path : list_presets(category, config_file)) {
    names.push_back(path.stem().string());
    if (names.back() == name) return path;
  }
  std::vector<std::string> folders;
  for (const fs::path& folder : preset_folders(config_file)) folders.push_back(folder.string());
  throw Error(fmt::format("found \"{}\"; accepted: {} (from {})", name,
                          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
                          folders.empty() ? "no folder of presets: set NARROWMAC_CONFIGS"
                                          : fmt::format("{}", fmt::join(folders, ", "))));
}

}  // namespace narrowmac
