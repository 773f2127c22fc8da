#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "models/quantizers/gradient_kernel.h"
#include "models/quantizers/householder.h"

namespace narrowmac {

/// The quantizers of fully quantised training (Chen et al., "A statistical framework for
/// low-bitwidth training of deep neural networks", NeurIPS 2020); equations in docs/quantizers.md.
enum class GradientScheme : std::uint8_t {
  PerTensor,         ///< PTQ: one range for the tensor; zero is a code
  PerSample,         ///< PSQ: a range for each row
  BlockHouseholder,  ///< BHQ: rows are mixed first, so that a large one is spread over many
};
std::string_view to_string(GradientScheme scheme);  ///< ptq, psq, bhq
GradientScheme parse_gradient_scheme(std::string_view text);

enum class CodeRounding : std::uint8_t {
  Stochastic,   ///< unbiased
  NearestEven,  ///< biased, with less variance
};
std::string_view to_string(CodeRounding rounding);  ///< stochastic, nearest-even
/// "nearest" is nearest-even.
CodeRounding parse_code_rounding(std::string_view text);

inline constexpr int kMinCodeBits = 2;
inline constexpr int kMaxCodeBits = 16;

/// A dense matrix, a sample per row.
template <typename T>
struct SampleMatrix {
  std::span<const T> values;  ///< rows x columns
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

/// What codes 0 .. 2^bits - 1 of a matrix stand for, before any rounding is done. Every number in
/// it is in units of 2^exponent.
struct GradientPlan {
  GradientScheme scheme = GradientScheme::PerTensor;
  int bits = 8;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  int exponent = 0;                      ///< 0 for float matrices; keeps those of doubles near 1
  std::vector<double> ranges;            ///< of the rows
  std::vector<AffineRow> coding;         ///< of the coded rows: value = code * slope + shift
  std::vector<double> inverse_steps;     ///< 1 / slope; 0 for a row of one value
  std::vector<HouseholderGroup> groups;  ///< BHQ; empty if it fell back to PSQ
  std::vector<double> offsets;           ///< BHQ: row i less offsets[i] is transformed
  std::vector<double> transformed;       ///< BHQ: S (X - offsets), rows x columns
  double bound = 0;                      ///< of E ||Q(X) - X||_F^2, in units of 4^exponent
  std::vector<double> centres;           ///< of the coded rows: codes are less by so much; or empty
  [[nodiscard]] double largest_code() const { return static_cast<double>((1 << bits) - 1); }
  /// The bound in the units of the matrix, within the range of double.
  [[nodiscard]] double variance_bound() const;
  /// Multiplications with or without addition that S and its inverse take: 6 per element, because a
  /// reflection is a dot product and an update for each column.
  [[nodiscard]] std::int64_t transform_macs() const;
};

/// Finds ranges, groups, steps and the variance bound. Throws Error that names the first element
/// that is not finite, and for `bits` beyond kMinCodeBits .. kMaxCodeBits. In a matrix of doubles,
/// ranges below 2^-900 of the largest magnitude count as 0.
GradientPlan plan_gradient(const SampleMatrix<float>& matrix, GradientScheme scheme, int bits);
GradientPlan plan_gradient(const SampleMatrix<double>& matrix, GradientScheme scheme, int bits);

/// The same for whoever has looked at the rows already: `extrema` of each, all finite.
GradientPlan plan_gradient(const SampleMatrix<float>& matrix, const std::vector<Extrema>& extrema,
                           GradientScheme scheme, int bits);
/// For training: where BHQ's bound is not below PSQ's, PSQ serves under its name. Mixing rows pays
/// when few are large, and can cost some percent otherwise.
GradientPlan plan_training_gradient(const SampleMatrix<float>& matrix,
                                    const std::vector<Extrema>& extrema, GradientScheme scheme,
                                    int bits);
/// Moves the codes of every row so that 0 is the one next to zero: -centre .. 2^bits - 1 - centre
/// instead of 0 .. 2^bits - 1. For sums in floats, which keep more digits of small codes.
void centre_codes(GradientPlan& plan);

/// Where the random words come from: element i of the matrix takes
/// random_word(seed, tensor_number, -1, i, Accumulator, trial), i modulo 2^32.
struct CodeDraw {
  CodeRounding rounding = CodeRounding::Stochastic;
  std::uint64_t seed = 0;
  std::uint64_t tensor_number = 0;
  std::int64_t trial = 0;
};

/// The codes of the matrix that `plan` was made from (of its transform, under BHQ): unsigned
/// integers of plan.bits bits, as floats. Bits do not depend on threads.
void encode(const GradientPlan& plan, const SampleMatrix<float>& matrix, const CodeDraw& draw,
            std::span<float> codes);
void encode(const GradientPlan& plan, const SampleMatrix<double>& matrix, const CodeDraw& draw,
            std::span<float> codes);

/// The values that codes stand for. A row of one value comes back exactly. Values beyond the type
/// become its largest.
void decode(const GradientPlan& plan, std::span<const float> codes, std::span<float> values);
void decode(const GradientPlan& plan, std::span<const float> codes, std::span<double> values);

/// A matrix of as many rows as the plan's, in the space of its codes (under BHQ that of S X): S^-1
/// of it, in place. Rows whose values were all equal become 0: their codes say nothing.
void transform_back(const GradientPlan& plan, std::int64_t columns, std::span<float> values);

/// What trials of encode() and decode() measured.
struct QuantizerNoise {
  double variance = 0;  ///< mean of ||Q(X) - X||_F^2 over the trials, within the range of double
  /// The mean of Q(X) - X over elements and trials, divided by its standard error from the means of
  /// the trials; 0 if that is 0.
  double bias_standard_errors = 0;
};
/// Trials 0 .. trials - 1 of `draw`, at least 2.
QuantizerNoise measure_noise(const GradientPlan& plan, const SampleMatrix<float>& matrix,
                             const CodeDraw& draw, std::int64_t trials);
QuantizerNoise measure_noise(const GradientPlan& plan, const SampleMatrix<double>& matrix,
                             const CodeDraw& draw, std::int64_t trials);

}  // namespace narrowmac
