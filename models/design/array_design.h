#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/mac_design.h"

namespace narrowmac {

enum class Dataflow : std::uint8_t { OutputStationary, WeightStationary, InputStationary };
enum class Psum : std::uint8_t { Buffer, Chained };
enum class Fidelity : std::uint8_t { Functional, Transaction, Cycle };
/// How the folds of a GEMM follow each other (docs/array.md).
enum class Policy : std::uint8_t {
  Padded,     ///< one after the other; a partial fold costs as much as a full one
  Ragged,     ///< one after the other; a partial fold uses only its own rows and columns
  Overlapped  ///< the stationary operand (os: the sums) is double-buffered; streams follow at once
};

std::string_view to_string(Dataflow dataflow);  ///< os, ws, is
std::string_view to_string(Psum psum);          ///< buffer, chained
std::string_view to_string(Fidelity fidelity);  ///< functional, transaction, cycle
std::string_view to_string(Policy policy);      ///< padded, ragged, overlapped
Dataflow parse_dataflow(std::string_view text);
Psum parse_psum(std::string_view text);
Fidelity parse_fidelity(std::string_view text);
Policy parse_policy(std::string_view text);

inline constexpr int kMaxArraySide = 65536;  ///< most rows or columns
inline constexpr int kMaxPipeline = 64;      ///< most stages of a MAC's part, most interleaved sums

/// Memory beside the array. Bandwidths are per clock cycle of the array.
struct MemoryDesign {
  std::int64_t operand_scratchpad_bytes =
      std::int64_t{256} * 1024;  ///< each of A and B, both halves of the double buffer
  std::int64_t psum_scratchpad_bytes =
      std::int64_t{256} * 1024;  ///< both halves of the double buffer
  double scratchpad_bytes_per_cycle = 256;
  double dram_bytes_per_cycle = 64;
  std::int64_t dram_latency_cycles = 100;
  friend bool operator==(const MemoryDesign&, const MemoryDesign&) = default;
};

/// An array of R x C processing elements. Without `memory` operands arrive without stalls.
struct ArrayDesign {
  int rows = 32;
  int columns = 32;
  Dataflow dataflow = Dataflow::OutputStationary;
  Psum psum = Psum::Buffer;
  Fidelity fidelity = Fidelity::Functional;
  Policy policy = Policy::Padded;
  /// Cycles from operands to product: 0 means that the product is added in the same cycle.
  int multiplier_latency = 0;
  /// Cycles from product to sum. An os PE takes a product of the same sum only that often.
  int adder_latency = 1;
  /// os: sums that a PE works on in turn. A fold then holds R x interleave rows of outputs.
  int interleave = 1;
  std::optional<MemoryDesign> memory;
  friend bool operator==(const ArrayDesign&, const ArrayDesign&) = default;
};

/// The order in which the K products of one output are added: the MAC's and the array's together.
struct AccumulationOrder {
  std::optional<Chunk> chunk;  ///< at most one of chunk, dot and exact; none: sequential
  std::optional<Dot> dot;
  bool exact = false;
  /// Longest sum that the order is defined for (a buffered array without a second accumulator adds
  /// one fold only); a GEMM with larger K is refused with a reason.
  std::int64_t max_length = std::numeric_limits<std::int64_t>::max();
  friend bool operator==(const AccumulationOrder&, const AccumulationOrder&) = default;
};

/// The one place that knows how MAC and array together decide the order of accumulation.
/// Throws Error if they contradict each other (chunk length other than the row count under buffered
/// ws or is; dot or exact under ws or is).
AccumulationOrder accumulation_order(const MacDesign& mac, const ArrayDesign& array);
/// The order of the MAC alone: what an output-stationary array does.
AccumulationOrder accumulation_order(const MacDesign& mac);
/// Throws Error if `order` is not defined for sums of `k` products.
void check_length(const AccumulationOrder& order, std::int64_t k);

void validate(const ArrayDesign& array);
/// What MAC and array together make unwise or ineffective, one sentence each.
std::vector<std::string> warnings(const MacDesign& mac, const ArrayDesign& array);
std::string describe(const ArrayDesign& array);
/// The [array] and, if present, [memory] tables as TOML; parses back to the same value.
std::string to_toml(const ArrayDesign& array);

}  // namespace narrowmac
