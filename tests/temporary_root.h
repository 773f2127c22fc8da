#pragma once

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace narrowmac {

/// Where tests make their folders: TMPDIR if it is set, else memory (/dev/shm) if there is room,
/// since runs sync every checkpoint and a slow disk would make seconds out of milliseconds.
inline std::filesystem::path temporary_root() {
  constexpr const char* kMemory = "/dev/shm";
  constexpr double kRoom = 32e6;  // bytes
  struct statvfs status {};
  if (std::getenv("TMPDIR") == nullptr && ::access(kMemory, W_OK | X_OK) == 0 &&
      ::statvfs(kMemory, &status) == 0 &&
      static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize) > kRoom) {
    return kMemory;
  }
  return std::filesystem::temp_directory_path();
}

}  // namespace narrowmac
