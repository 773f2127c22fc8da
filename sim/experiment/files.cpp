#include "sim/experiment/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporarySuffix = ".tmp";

std::string reason(int number) { return std::generic_category().message(number); }

[[noreturn]] void fail(const fs::path& path, std::string_view what, int number) {
  throw Error(fmt::format("{}: {}: {}", path.string(), what, reason(number)), Error::Kind::System);
}

/// A file descriptor that is closed on every way out.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }
  /// Closes now; close() may be the call that reports a write error.
  [[nodiscard]] int close() { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

/// Removes the temporary unless it was renamed.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!kept_) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

fs::path folder_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

void sync_folder(const fs::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0) fail(folder, "cannot open the folder", errno);
  // EINVAL: a file system that cannot sync folders has nothing to lose by it.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    fail(folder, "cannot sync the folder", errno);
  }
}

/// Writes and syncs the file `path`; errors name the file that is meant.
void write_durably(const fs::path& path, std::string_view bytes, const fs::path& meant) {
  Descriptor descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (descriptor.get() < 0) fail(meant, "cannot write", errno);
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(meant, "cannot write", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(descriptor.get()) != 0) fail(meant, "cannot write", errno);
  if (descriptor.close() != 0) fail(meant, "cannot write", errno);
}

}  // namespace

void write_file(const fs::path& path, std::string_view bytes) {
  const fs::path folder = folder_of(path);
  const std::string name =
      fmt::format(".{}.{}{}", path.filename().string(), ::getpid(), kTemporarySuffix);
  Temporary temporary(folder / name);
  write_durably(temporary.path(), bytes, path);
  if (::rename(temporary.path().c_str(), path.c_str()) != 0) fail(path, "cannot write", errno);
  temporary.keep();
  sync_folder(folder);
}

void write_into_new_folder(const fs::path& path, std::string_view bytes) {
  write_durably(path, bytes, path);
}

std::string read_file(const fs::path& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.get() < 0) {
    throw Error(fmt::format("{}: cannot open: {}", path.string(), reason(errno)));
  }
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) fail(path, "cannot read", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(fmt::format("{}: found no regular file; accepted: a file", path.string()));
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(descriptor.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "cannot read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

void make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(path, "cannot create the folder", error.value());
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (fs::is_directory(from)) sync_folder(from);
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, "cannot write", errno);
  sync_folder(folder_of(to));
}

void remove_temporaries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.front() == '.' && entry.path().extension() == kTemporarySuffix) {
      leftovers.push_back(entry.path());
    }
  }
  if (error) fail(folder, "cannot read the folder", error.value());
  for (const fs::path& path : leftovers) {
    fs::remove_all(path, error);
    if (error) fail(path, "cannot remove", error.value());
  }
}

DirectoryLock::DirectoryLock(const fs::path& folder) {
  const fs::path path = folder / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(path, "cannot open", errno);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int number = errno;
  ::close(descriptor_);
  if (number != EWOULDBLOCK) fail(path, "cannot lock", number);
  throw Error(
      fmt::format("{}: another narrowmac process is writing this folder; wait for it, "
                  "or choose another --out",
                  folder.string()));
}

DirectoryLock::~DirectoryLock() { ::close(descriptor_); }

}  // namespace narrowmac
