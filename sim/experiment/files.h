#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace narrowmac {

/// Writes a file whole or not at all: a temporary in the same folder, fsync, rename, fsync of the
/// folder. Whoever reads `path` meanwhile, or after a crash, sees the old contents or the new. On
/// failure (disk full, no permission) the temporary is removed, the old file is intact and an Error
/// of kind System names the file and the reason.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Writes a file into a folder that nobody reads yet: durable once rename_durably() has put the
/// folder in its place. Throws Error of kind System; half a file may remain.
void write_into_new_folder(const std::filesystem::path& path, std::string_view bytes);

/// The contents of a regular file. Throws Error: kind Input if it is missing or no file, System if
/// it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// Creates a folder and its parents. Throws Error of kind System.
void make_directories(const std::filesystem::path& path);

/// Renames a finished file or folder and makes the renaming durable. Throws Error of kind System.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

/// Removes what a killed write_file() left behind in a folder (not below it). The caller holds the
/// folder's lock.
void remove_temporaries(const std::filesystem::path& folder);

/// An exclusive lock on a folder, held until destruction or the death of the process.
class DirectoryLock {
 public:
  /// Throws Error if another process holds the lock.
  explicit DirectoryLock(const std::filesystem::path& folder);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace narrowmac
