#include "sim/training/byte_file.h"

#include <fmt/core.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "models/design/error.h"

namespace narrowmac {

namespace fs = std::filesystem;

namespace {

/// Deflate cannot expand by more than this factor (zlib technical details, "maximum compression
/// factor").
constexpr std::uint64_t kMaxExpansion = 1032;
constexpr std::size_t kLargestRead = std::size_t{1} << 20;

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose_r(file); }
};

}  // namespace

struct ByteFile::State {
  fs::path path;
  std::unique_ptr<gzFile_s, CloseGzip> file;
  std::uint64_t file_size = 0;
  std::uint64_t position = 0;
  bool compressed = false;
  bool cut_off = false;
};

ByteFile::ByteFile(const fs::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  std::error_code status;
  if (!fs::is_regular_file(path, status)) {
    throw Error(fmt::format("{}: no such file", path.string()));
  }
  state_->file_size = fs::file_size(path, status);
  errno = 0;
  state_->file.reset(gzopen(path.c_str(), "rb"));
  if (status || state_->file == nullptr) {
    throw Error(fmt::format("{}: cannot be read: {}", path.string(),
                            status ? status.message() : std::strerror(errno)));
  }
  gzbuffer(state_->file.get(), 1U << 17);
  state_->compressed = gzdirect(state_->file.get()) == 0;
}

ByteFile::~ByteFile() = default;

std::size_t ByteFile::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t want = std::min(out.size() - done, kLargestRead);
    const int got = gzread(state_->file.get(), out.data() + done, static_cast<unsigned>(want));
    int code = Z_OK;
    std::string reason = gzerror(state_->file.get(), &code);
    if (const std::string prefix = state_->path.string() + ": "; reason.starts_with(prefix)) {
      reason.erase(0, prefix.size());
    }
    if (got < 0 && code != Z_BUF_ERROR) {
      throw Error(fmt::format(
          "{}: {} after {} {}; accepted: intact gzip data, or the file without compression",
          state_->path.string(),
          code == Z_ERRNO ? "cannot be read" : "damaged gzip data (" + reason + ")",
          state_->position, unit()));
    }
    const auto count = static_cast<std::size_t>(std::max(got, 0));
    done += count;
    state_->position += count;
    if (count < want) {
      state_->cut_off = code == Z_BUF_ERROR;
      break;
    }
  }
  return done;
}

std::uint64_t ByteFile::position() const { return state_->position; }

std::uint64_t ByteFile::size_bound() const {
  return state_->compressed ? state_->file_size * kMaxExpansion : state_->file_size;
}

bool ByteFile::gzip_cut_off() const { return state_->cut_off; }

std::string ByteFile::unit() const { return state_->compressed ? "bytes (uncompressed)" : "bytes"; }

const fs::path& ByteFile::path() const { return state_->path; }

}  // namespace narrowmac
