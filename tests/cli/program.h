#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace narrowmac {

/// What the program did.
struct Outcome {
  int exit_code = -1;  ///< 128 + signal if it was killed
  std::string out;
  std::string err;
};

/// Runs build/.../narrowmac with these arguments; standard input is empty, standard output and
/// error are files. `environment` holds NAME=VALUE settings beside the caller's; `out` replaces the
/// file of standard output.
Outcome run_program(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {}, const std::string& out = {});

/// A fresh folder that disappears with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  /// The path of a file in it, as text.
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::filesystem::path path_;
};

std::string shipped_mac(const std::string& name);  ///< configs/macs/NAME.toml

}  // namespace narrowmac
