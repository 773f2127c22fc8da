#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/experiment/recommend_design.h"

namespace narrowmac {

/// What a mantissa must keep of a GEMM's sums to be called sufficient.
inline constexpr double kKneeVrr = 0.95;
inline constexpr double kKneeNmse = 0.01;

/// The smallest mantissa from which all wider ones keep VRR >= kKneeVrr and NMSE <= kKneeNmse, on
/// the operands of one GEMM.
struct GemmKnee {
  std::string layer;
  Pass pass = Pass::Forward;
  std::int64_t chunk = 0;  ///< 0: in sequence
  std::int64_t length = 0;
  double nonzero_ratio = 0;
  std::optional<int> theory;    ///< what the theory asks for, with this share of non-zero products
  int exponent = 0;             ///< the run's; a bit more than it takes if sums left its range
  std::optional<int> mantissa;  ///< absent: all sums are equal, and nothing can be lost
  std::optional<double> vrr, nmse;            ///< at the knee
  std::optional<double> vrr_less, nmse_less;  ///< one bit below
};

/// The knees of every chosen GEMM for every chunk length, on the operands of the training step that
/// follows the last checkpoint of a run (ReplayedStep), which are rounded as the MACs of `config`
/// round. Sorted by chunk, then as `gemms`. Throws Error if no mantissa at any exponent suffices.
std::vector<GemmKnee> measure_knees(const std::filesystem::path& run, const RunConfig& config,
                                    const std::vector<StepGemm>& gemms,
                                    std::span<const std::int64_t> chunks, bool quiet);

/// The widest knee of each pass for a chunk length: where the search starts. A pass in which
/// nothing can be lost gets one bit.
PassAccumulators widest_knees(const std::vector<GemmKnee>& knees, const RunConfig& config,
                              const std::vector<StepGemm>& gemms, std::int64_t chunk);

}  // namespace narrowmac
