#pragma once

#include <csignal>

namespace narrowmac {

/// While it lives, the first SIGINT or SIGTERM is remembered instead of ending the process (the
/// second ends it), and files beyond the process's size limit are an error like a full disk instead
/// of a signal. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, or 0.
  [[nodiscard]] static int signal();

 private:
  struct sigaction interrupt_ {
  }, terminate_{}, file_size_{};
};

}  // namespace narrowmac
