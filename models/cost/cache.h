#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// 32 hexadecimal digits of texts and their borders: a name in one's own cache, no protection
/// against forgery (FNV-1a over 64 bits, twice from different starts).
std::string hash_of(const std::vector<std::string_view>& texts);

/// The whole file; no value if there is none.
std::optional<std::string> read_cached_text(const std::filesystem::path& path);
/// Writes it whole or not at all. A cache that cannot be written costs time, not the result.
void write_cached_text(const std::filesystem::path& path, std::string_view text);

}  // namespace narrowmac
