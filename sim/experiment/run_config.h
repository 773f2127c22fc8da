#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/config.h"
#include "models/workload/network.h"
#include "sim/training/dataset.h"
#include "sim/training/settings.h"

namespace narrowmac {

/// Where a run's images come from.
struct DataSource {
  DatasetKind kind = DatasetKind::FashionMnist;
  std::filesystem::path folder;   ///< absolute
  std::int64_t train_images = 0;  ///< the first so many; 0: all
  std::int64_t test_images = 0;
  friend bool operator==(const DataSource&, const DataSource&) = default;
};

/// A run file with every default filled in.
struct RunConfig {
  std::string name;
  DataSource data;
  std::filesystem::path network_file;  ///< absolute
  std::string network_toml;            ///< the file's values without comments: what the hash sees
  NetworkDescription network;
  std::optional<MacDesign>
      mac;                    ///< [mac] alone, with FWD's operands; absent: fp32 through OpenBLAS
  TrainingSettings training;  ///< with the MAC of every pass and layer
  bool precision = false;     ///< record what the assignment of fixed-point formats needs to know
  ArrayDesign array;
};

/// Reads a run file with `set` (KEY=VALUE each) applied in order. Relative paths are looked up
/// beside the file first, then in the current folder. `mac = false`, `formats = false` and
/// `quantization = false` stand for an absent table, so that
/// --set and a sweep's point can remove one. Throws Error for anything that is wrong or unknown;
/// layers that [[mac.layer]] names must exist.
RunConfig read_run_config(const std::filesystem::path& path,
                          const std::vector<std::string>& set = {});
/// The same from a document in memory; `path` is where relative paths start and the default of the
/// name.
RunConfig parse_run_config(const ConfigTable& root, const std::filesystem::path& path);
/// The values of [data] dataset, in the order of DatasetKind.
const std::vector<std::string>& dataset_names();
/// Whether a table is there: `NAME = false` says that it is not.
bool has_table(const ConfigTable& root, std::string_view key);
/// The names of the layers with a GEMM, in network order.
std::vector<std::string> gemm_layers(const NetworkDescription& network);
/// Applies KEY=VALUE settings to a document.
void apply_settings(ConfigTable& root, const std::vector<std::string>& set);

/// The complete run file; read back it is the same run. `network_file` is what it says for
/// [network] file.
std::string to_toml(const RunConfig& config, const std::filesystem::path& network_file);
/// 16 hexadecimal digits of what determines the results: everything but the name and paths (FNV-1a,
/// 64 bits).
std::string run_hash(const RunConfig& config);

}  // namespace narrowmac
