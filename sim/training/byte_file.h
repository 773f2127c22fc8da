#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace narrowmac {

/// A file read once from its beginning, gzip or plain: its content, not its name, says which.
class ByteFile {
 public:
  /// Throws Error if `path` is not a regular file that can be read.
  explicit ByteFile(const std::filesystem::path& path);
  ~ByteFile();
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  /// Fills `out` as far as the file goes and returns the number of bytes; fewer only at the end.
  /// Throws Error for gzip data that is damaged.
  std::size_t read(std::span<std::uint8_t> out);
  /// Uncompressed bytes read so far.
  [[nodiscard]] std::uint64_t position() const;
  /// An upper bound of the uncompressed size, known before anything is read: what may safely be
  /// reserved.
  [[nodiscard]] std::uint64_t size_bound() const;
  /// True after a read() that met the end of the file in the middle of gzip data.
  [[nodiscard]] bool gzip_cut_off() const;
  /// How a message calls the bytes: "bytes", or "bytes (uncompressed)".
  [[nodiscard]] std::string unit() const;
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace narrowmac
