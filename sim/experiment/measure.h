#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/mac_design.h"
#include "sim/experiment/jackknife.h"
#include "sim/experiment/operand_matrix.h"

namespace narrowmac {

/// Groups that share no operands: what the intervals are made of.
inline constexpr std::int64_t kMeasureBlocks = 16;
inline constexpr std::int64_t kMaxMeasureLength = std::int64_t{1} << 22;
inline constexpr std::int64_t kMinTrials = 64;
inline constexpr std::int64_t kMaxTrials = std::int64_t{1} << 24;

/// A design with one of the mantissas that are compared.
struct MeasuredDesign {
  MacDesign mac;
  AccumulationOrder order;
  std::optional<int> mantissa;  ///< of the MAC's accumulator; absent if that is fixed point
};

/// The design with the mantissa of every accumulator replaced. Throws Error if one has none.
MacDesign with_mantissa(const MacDesign& mac, int mantissa);
/// One design per mantissa; without any, the design as it is.
std::vector<MeasuredDesign> measured_designs(const MacDesign& mac,
                                             const std::optional<ArrayDesign>& array,
                                             std::span<const int> mantissas);

/// Dot products come as groups, each a GEMM of rows x columns outputs with operands of its own.
struct TrialLayout {
  std::int64_t groups = 0;  ///< a multiple of kMeasureBlocks
  std::int64_t rows = 0, columns = 0;
  [[nodiscard]] std::int64_t trials() const { return groups * rows * columns; }
};
/// At least `wanted` trials; without a number 16384 up to length 2^14, 6144 up to 2^20,
/// 1536 beyond.
TrialLayout trial_layout(std::int64_t length, std::optional<std::int64_t> wanted);

struct MeasureOptions {
  std::optional<std::int64_t> trials;  ///< kMinTrials..kMaxTrials
  double nonzero_ratio = 1;            ///< of Gaussian products, above 0
  std::uint64_t seed = 0;
  bool count_swamping = true;
  /// Called with the products of one GEMM times designs that were just done.
  std::function<void(std::int64_t)> progress;
};

/// What a design made of the dot products of one length.
struct Measurement {
  std::int64_t length = 0;
  std::optional<int> mantissa;
  std::int64_t trials = 0;
  std::int64_t not_finite = 0;  ///< sums that became infinite or NaN: then VRR and NMSE are absent
  std::optional<Estimate> vrr, nmse;
  std::optional<double> full_swamping, partial_swamping;  ///< absent if not counted
};

/// Dot products of independent N(0, 1) operands (GaussianOperands), the same for every design. The
/// numbers of one length depend on neither the other lengths nor the designs nor the threads.
std::vector<Measurement> measure_gaussian(std::span<const MeasuredDesign> designs,
                                          std::int64_t length, const MeasureOptions& options);

/// Dot products of given operands, values of their formats: the first `length` products of every
/// row of A with every column of B. The intervals take rows as drawn at random, in blocks of
/// neighbours, and columns as given.
std::vector<Measurement> measure_operands(std::span<const MeasuredDesign> designs,
                                          const OperandMatrix& a, const OperandMatrix& b,
                                          std::int64_t length, const MeasureOptions& options);

}  // namespace narrowmac
