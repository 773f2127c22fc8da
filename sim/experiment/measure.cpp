#include "sim/experiment/measure.h"

#include <fmt/core.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "models/design/error.h"
#include "models/numerics/gemm.h"
#include "models/numerics/wide_gemm.h"
#include "sim/experiment/gaussian_operands.h"
#include "sim/training/random_stream.h"

namespace narrowmac {
namespace {

/// Longer sums come in smaller groups: a group's operands are in memory at once.
constexpr std::int64_t kShortLength = std::int64_t{1} << 14;
constexpr std::int64_t kLongLength = std::int64_t{1} << 20;

/// Most outputs of a group. A register tile of the kernels is 8 x 32 or 12 x 16 outputs.
std::int64_t most_outputs(std::int64_t length) {
  if (length <= kShortLength) return 1024;  // 32 x 32
  return length <= kLongLength ? 384 : 96;  // 24 x 16, 6 x 16
}
/// Swamping is counted in about so many steps of one design and length, but in at least so many
/// sums: of long sums few are enough, since each is many steps, and counting costs more than all
/// the rest.
constexpr std::int64_t kCountedSteps = std::int64_t{1} << 24;
constexpr std::int64_t kCountedSums = 64;

std::int64_t ceiling_of(std::int64_t dividend, std::int64_t divisor) {
  return (dividend + divisor - 1) / divisor;
}

/// One design's outputs, by block.
struct Outcome {
  std::vector<GemmStatistics> blocks = std::vector<GemmStatistics>(kMeasureBlocks);
  std::int64_t not_finite = 0;
};

/// Adds the counts, but not the moments, which are those of the counted outputs only.
void add_counts(GemmStatistics& to, const GemmStatistics& counted) {
  GemmStatistics counts = counted;
  counts.narrow = counts.exact = {};
  counts.squared_error = 0;
  to += counts;
}

/// A group's operands, and where its results go.
struct Group {
  OperandView a, b;
  std::uint64_t number = 0;  ///< GEMM number: of stochastic rounding
  std::size_t block = 0;
  std::int64_t counted_rows = 0;  ///< 0: swamping is not counted
};

/// Rows of group `number` whose swamping is counted: as many of each group, or one of some groups.
std::int64_t counted_rows(const MeasureOptions& options, const Group& group, std::int64_t number,
                          std::int64_t groups) {
  if (!options.count_swamping) return 0;
  const std::int64_t columns = group.b.columns();
  const std::int64_t sums = std::max(kCountedSums, kCountedSteps / group.a.columns());
  const std::int64_t rows = ceiling_of(sums, columns);
  if (number >= rows) return 0;
  return std::min(group.a.rows(), ceiling_of(rows, groups));
}

void measure_group(std::span<const MeasuredDesign> designs, const Group& group,
                   const MeasureOptions& options, std::vector<Outcome>& outcomes) {
  const std::int64_t columns = group.b.columns();
  const auto size = static_cast<std::size_t>(group.a.rows() * columns);
  std::vector<double> exact(size);
  std::vector<std::vector<double>> narrow(designs.size(), std::vector<double>(size));
  std::vector<std::optional<GemmStatistics>> counted(designs.size());
  // Task 0 makes the sums that all designs are compared with.
  tbb::parallel_for(std::size_t{0}, designs.size() + 1, [&](std::size_t task) {
    if (task == 0) return wide_gemm(group.a, group.b, OutputView::of(exact.data(), columns));
    const std::size_t i = task - 1;
    GemmProblem problem;
    problem.mac = designs[i].mac;
    problem.order = designs[i].order;
    problem.a = group.a;
    problem.b = group.b;
    problem.seed = options.seed;
    problem.gemm_number = group.number;
    std::optional<Observation> observe;
    if (group.counted_rows > 0) observe = Observation{group.counted_rows, nullptr};
    counted[i] = gemm(problem, OutputView::of(narrow[i].data(), columns), observe);
  });
  const auto is_finite = [](double value) { return std::isfinite(value); };
  for (std::size_t i = 0; i < designs.size(); ++i) {
    GemmStatistics& block = outcomes[i].blocks[group.block];
    if (counted[i]) add_counts(block, *counted[i]);
    outcomes[i].not_finite +=
        std::ssize(narrow[i]) - std::count_if(narrow[i].begin(), narrow[i].end(), is_finite);
    block.add_outputs(narrow[i], exact);
  }
  if (options.progress) {
    options.progress(group.a.rows() * columns * group.a.columns() * std::ssize(designs));
  }
}

std::vector<Measurement> summarise(std::span<const MeasuredDesign> designs, std::int64_t length,
                                   std::int64_t trials, const std::vector<Outcome>& outcomes) {
  std::vector<Measurement> measurements;
  for (std::size_t i = 0; i < designs.size(); ++i) {
    Measurement measurement;
    measurement.length = length;
    measurement.mantissa = designs[i].mantissa;
    measurement.trials = trials;
    measurement.not_finite = outcomes[i].not_finite;
    std::vector<GemmStatistics> blocks;
    GemmStatistics all;
    for (const GemmStatistics& block : outcomes[i].blocks) {
      if (block.outputs() > 0) blocks.push_back(block);
      all += block;
    }
    if (measurement.not_finite == 0) {
      measurement.vrr = estimate_vrr(blocks);
      measurement.nmse = estimate_nmse(blocks);
    }
    measurement.full_swamping = all.full_swamping();
    measurement.partial_swamping = all.partial_swamping();
    measurements.push_back(measurement);
  }
  return measurements;
}

Conversion with_fraction_bits(Conversion accumulator, int mantissa, const char* which) {
  if (accumulator.format.family != NumberFormat::Family::Float) {
    throw Error(
        fmt::format("the {} {} has no mantissa that could be replaced; accepted: accumulators eXmY",
                    which, accumulator.format.to_string()));
  }
  accumulator.format =
      NumberFormat::parse(fmt::format("e{}m{}", accumulator.format.exponent_bits, mantissa));
  return accumulator;
}

}  // namespace

MacDesign with_mantissa(const MacDesign& mac, int mantissa) {
  MacDesign changed = mac;
  changed.accumulator = with_fraction_bits(mac.accumulator, mantissa, "accumulator");
  if (mac.chunk) {
    changed.chunk->accumulator =
        with_fraction_bits(mac.chunk->accumulator, mantissa, "second accumulator");
  }
  validate(changed);
  return changed;
}

std::vector<MeasuredDesign> measured_designs(const MacDesign& mac,
                                             const std::optional<ArrayDesign>& array,
                                             std::span<const int> mantissas) {
  const auto order_of = [&](const MacDesign& design) {
    return array ? accumulation_order(design, *array) : accumulation_order(design);
  };
  std::vector<MeasuredDesign> designs;
  for (const int mantissa : mantissas) {
    const MacDesign changed = with_mantissa(mac, mantissa);
    designs.push_back({changed, order_of(changed), mantissa});
  }
  if (!designs.empty()) return designs;
  MeasuredDesign as_it_is{mac, order_of(mac), std::nullopt};
  if (mac.accumulator.format.is_float()) as_it_is.mantissa = mac.accumulator.format.fraction_bits;
  designs.push_back(as_it_is);
  return designs;
}

TrialLayout trial_layout(std::int64_t length, std::optional<std::int64_t> wanted) {
  const std::int64_t most = most_outputs(length);
  const std::int64_t trials = wanted.value_or(kMeasureBlocks * most);
  TrialLayout layout;
  layout.groups = kMeasureBlocks * ceiling_of(trials, kMeasureBlocks * most);
  const std::int64_t per_group = ceiling_of(trials, layout.groups);
  if (per_group < 64) {
    layout.columns = std::llround(std::ceil(std::sqrt(static_cast<double>(per_group))));
  } else {
    layout.columns = per_group > 384 ? 32 : 16;
  }
  layout.rows = ceiling_of(per_group, layout.columns);
  return layout;
}

std::vector<Measurement> measure_gaussian(std::span<const MeasuredDesign> designs,
                                          std::int64_t length, const MeasureOptions& options) {
  const MacDesign& mac = designs.front().mac;
  const GaussianOperands a_draws(mac.a, mac, options.nonzero_ratio);
  const GaussianOperands b_draws(mac.b, mac);
  const TrialLayout layout = trial_layout(length, options.trials);
  for (const MeasuredDesign& design : designs) check_length(design.order, length);
  std::vector<Outcome> outcomes(designs.size());
  OperandMatrix a, b;
  for (std::int64_t g = 0; g < layout.groups; ++g) {
    const auto stream = static_cast<std::uint64_t>(length);
    const auto index = static_cast<std::uint64_t>(2 * g);
    a_draws.fill_rows(layout.rows, length, host_random(options.seed, stream, index), a);
    b_draws.fill_columns(length, layout.columns, host_random(options.seed, stream, index + 1), b);
    Group group;
    group.a = a.view();
    group.b = b.view();
    group.number = host_random(0, stream, index);
    group.block = static_cast<std::size_t>(g % kMeasureBlocks);
    group.counted_rows = counted_rows(options, group, g, layout.groups);
    measure_group(designs, group, options, outcomes);
  }
  return summarise(designs, length, layout.trials(), outcomes);
}

std::vector<Measurement> measure_operands(std::span<const MeasuredDesign> designs,
                                          const OperandMatrix& a, const OperandMatrix& b,
                                          std::int64_t length, const MeasureOptions& options) {
  const std::int64_t rows = a.rows;
  for (const MeasuredDesign& design : designs) check_length(design.order, length);
  std::vector<Outcome> outcomes(designs.size());
  const std::int64_t groups = std::min(rows, kMeasureBlocks);
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t first = g * rows / groups;
    Group group;
    group.a = a.part(first, (g + 1) * rows / groups - first, length);
    group.b = b.part(0, length, b.columns);
    group.number = static_cast<std::uint64_t>(g);
    group.block = static_cast<std::size_t>(g);
    group.counted_rows = counted_rows(options, group, g, groups);
    measure_group(designs, group, options, outcomes);
  }
  return summarise(designs, length, rows * b.columns, outcomes);
}

}  // namespace narrowmac
