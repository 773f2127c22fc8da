#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// A program outside, such as yosys, with the Debian package that has it.
struct Tool {
  std::string program;
  std::string package;
};

/// Its place in PATH. Throws Error that names the package if it is missing.
std::filesystem::path find_tool(const Tool& tool);

/// Runs it in `folder` with these arguments (no shell looks at them), empty input, and both outputs
/// in `folder`/`log`. Returns the log. Throws Error with its end if the program fails.
std::string run_tool(const Tool& tool, const std::vector<std::string>& arguments,
                     const std::filesystem::path& folder, const std::string& log);

/// A fresh folder that disappears with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const;
  [[nodiscard]] std::string read(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

}  // namespace narrowmac
