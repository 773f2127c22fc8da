#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/design/gemm_shape.h"
#include "sim/experiment/recommend_search.h"
#include "sim/experiment/run.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {

/// The accumulators of the three passes and the order in which they add: what a recommendation
/// chooses. Everything else of the MACs is the run file's.
struct PassAccumulators {
  std::int64_t chunk = 0;  ///< products per chunk; 0: in sequence
  std::array<int, 3> exponents{};
  PassMantissas
      mantissas{};  ///< of both accumulators of a chunk; 0: the pass has no GEMM to choose for
  [[nodiscard]] NumberFormat format(Pass pass) const;
  friend bool operator==(const PassAccumulators&, const PassAccumulators&) = default;
};

/// "sequential" or "chunk 64".
std::string chunk_name(std::int64_t chunk);
/// "e6m4" for each pass with a choice, e.g. "FWD e6m4, BWD e6m3, GRAD e6m5, chunk 64".
std::string describe(const PassAccumulators& accumulators);

/// A GEMM of a training step, of a full batch.
struct StepGemm {
  std::string layer;
  Pass pass = Pass::Forward;
  GemmShape shape;
  bool has_own_mac = false;  ///< [[mac.layer]] says which: nothing is chosen for it
};
/// Every GEMM that a training step of a full batch computes, in the network's order: as a run plans
/// it, and with what matters here.
std::vector<PlannedGemm> planned_step(const RunConfig& config);
std::vector<StepGemm> step_gemms(const RunConfig& config);

/// Throws Error that names the file for a run whose MACs have no mantissa to choose: fp32 without
/// [mac], fixed-point accumulators, dot units, exact sums, or only layers with MACs of their own.
void check_recommendable(const RunConfig& config, const std::vector<StepGemm>& gemms,
                         const std::string& file);

/// Throws Error if the array cannot add all sums of the chosen GEMMs in such chunks.
void check_chunk(const RunConfig& config, const std::vector<StepGemm>& gemms, std::int64_t chunk);
/// Of 0 (in sequence), 16, 64, 256, the run's own chunk and the array's: those that the array can
/// add, shorter than the longest sum.
std::vector<std::int64_t> possible_chunks(const RunConfig& config,
                                          const std::vector<StepGemm>& gemms);

/// A MAC with this accumulator, and with the same behind the chunk if there is one.
MacDesign with_accumulator(const MacDesign& mac, std::int64_t chunk, const NumberFormat& format);
/// The run with chosen accumulators; layers with MACs of their own keep them.
RunConfig with_accumulators(const RunConfig& config, const PassAccumulators& accumulators);
/// The run whose accumulators are all fp32, rounded to nearest even: what losses are counted from.
/// `chunk`: 0, or the array's if it can only add in chunks.
RunConfig with_wide_accumulators(const RunConfig& config, std::int64_t chunk);

}  // namespace narrowmac
