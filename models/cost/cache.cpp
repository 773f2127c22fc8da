#include "models/cost/cache.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <sstream>

namespace narrowmac {

std::string hash_of(const std::vector<std::string_view>& texts) {
  std::uint64_t low = 0xcbf29ce484222325U, high = 0x84222325cbf29ce4U;
  const auto take = [&](unsigned char c) {
    low = (low ^ c) * 0x100000001b3U;
    high = (high + c) * 0x9e3779b97f4a7c15U;
    high ^= high >> 29;
  };
  for (const std::string_view text : texts) {
    for (const char c : text) take(static_cast<unsigned char>(c));
    take(0);
  }
  return fmt::format("{:016x}{:016x}", low, high);
}

std::optional<std::string> read_cached_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_cached_text(const std::filesystem::path& path, std::string_view text) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}", getpid());
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  if (file) {
    std::filesystem::rename(temporary, path, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

}  // namespace narrowmac
