#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace narrowmac {

/// A program that runs beside this one, its output in a log file. It is killed if this process
/// dies, and when the object is destroyed.
class ChildProcess {
 public:
  /// Throws Error of kind System if it cannot be started.
  ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
               const std::filesystem::path& log);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// "exit code 2", "signal 9" once it has ended; empty while it runs.
  [[nodiscard]] std::optional<std::string> ended();
  /// Asks it to stop (SIGTERM).
  void terminate() const;

 private:
  pid_t pid_ = -1;
};

}  // namespace narrowmac
