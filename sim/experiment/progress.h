#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace narrowmac {

/// A line on stderr that is written over and over, if stderr is a terminal; otherwise nothing.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True a few times per second: only then is the line worth making.
  [[nodiscard]] bool due();
  void show(const std::string& line);
  /// Removes the line, before other output.
  void clear();

 private:
  bool active_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

/// 75 -> "1:15", 3700 -> "1:01:40".
std::string duration_text(double seconds);

}  // namespace narrowmac
