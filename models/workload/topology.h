#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/gemm_shape.h"

namespace narrowmac {

/// A layer of a topology file, as a convolution: a GEMM M x N x K is one of M outputs and inputs, K
/// channels, N filters and one tap.
struct TopologyLayer {
  std::string name;
  std::string place;          ///< FILE:LINE, for messages
  std::int64_t outputs = 0;   ///< pixels
  std::int64_t inputs = 0;    ///< pixels, with padding
  std::int64_t channels = 0;  ///< of the input
  std::int64_t filters = 0;
  std::int64_t taps = 1;  ///< filter height x width
  friend bool operator==(const TopologyLayer&, const TopologyLayer&) = default;
};

/// Most layers that a file may describe, depthwise ones counted per channel.
inline constexpr std::int64_t kMaxTopologyLayers = 1 << 18;

/// Reads a SCALE-Sim topology: a header row, which is skipped, then
///   name, ifmap_h, ifmap_w, filter_h, filter_w, channels, filters, stride[, N:M][,]   or
///   name, M, N, K[, N:M][,]
/// The number of columns tells which, and is the same in all rows. The input counts as padded. A
/// convolution whose name contains "DP" is depthwise: one layer of one channel for each channel,
/// named NAMEChannel_0, ... Blank lines, CRLF and comments (#) are accepted. Throws Error naming
/// file and line for anything else, and for a sparsity other than dense (N = M).
std::vector<TopologyLayer> read_topology(const std::filesystem::path& path);
std::vector<TopologyLayer> parse_topology(std::string_view text, std::string_view source_name);
/// True if the first row, which is skipped as a header, reads as a layer: its second field is a
/// number. Such a file has probably lost its header.
bool header_reads_as_layer(const std::filesystem::path& path);

/// The GEMM of a layer in a pass, for a batch of at least 1. Throws Error naming file, line
/// and layer if a dimension exceeds 63 bits.
GemmShape gemm_shape(const TopologyLayer& layer, Pass pass, std::int64_t batch);

}  // namespace narrowmac
