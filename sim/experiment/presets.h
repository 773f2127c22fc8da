#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// Folders that may hold macs/, arrays/, networks/, experiments/ and sweeps/, most specific first;
/// only those that exist, each once: the environment variable NARROWMAC_CONFIGS; the folder above
/// `config_file`'s (so that files of one configs/ tree refer to each other); the source tree this
/// program was built from; the installed share.
std::vector<std::filesystem::path> preset_folders(const std::filesystem::path& config_file = {});

/// The file `category`/`name`.toml of the first folder that has it. Throws Error that lists the
/// presets there are.
std::filesystem::path find_preset(std::string_view category, const std::string& name,
                                  const std::filesystem::path& config_file = {});

/// All presets of a category, sorted by name; where two folders have the same name the first
/// folder's.
std::vector<std::filesystem::path> list_presets(std::string_view category,
                                                const std::filesystem::path& config_file = {},
                                                std::string_view extension = ".toml");

}  // namespace narrowmac
