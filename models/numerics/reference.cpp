#include "models/numerics/reference.h"

#include <fmt/core.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/dot_unit.h"
#include "models/numerics/mac_stepper.h"

namespace narrowmac {
namespace {

/// Values of B that are held transposed at a time: 32 MiB.
constexpr std::int64_t kPanelValues = std::int64_t{1} << 22;

/// A sum carried in two doubles, about 106 bits: what the narrow sum is compared with.
class WideSum {
 public:
  void add(double x) {
    const double sum = high_ + x;
    const double part = sum - high_;
    low_ += (high_ - (sum - part)) + (x - part);
    high_ = sum;
  }
  void add_product(double a, double b) {
    const double product = a * b;
    add(product);
    low_ += std::fma(a, b, -product);
  }
  void add(const WideSum& other) {
    add(other.high_);
    low_ += other.low_;
  }
  [[nodiscard]] double value() const { return high_ + low_; }

 private:
  double high_ = 0, low_ = 0;
};

void count_step(GemmStatistics& statistics, double acc, const StepOutcome& outcome) {
  ++statistics.steps;
  if (outcome.overflow) {
    ++statistics.overflowed;
  } else if (outcome.inexact) {
    // Without rounding a non-zero addend always moves the accumulator, so only inexact steps can
    // swamp.
    ++(outcome.value == acc ? statistics.full_swamped : statistics.partial_swamped);
  }
  if (outcome.underflow) ++statistics.underflowed;
}

/// One output's place in the random function.
struct OutputRandom {
  std::int64_t m = 0, n = 0;
  RandomRowKey accumulator, second, product;
  std::uint32_t accumulator_column = 0, second_column = 0, product_column = 0;
};

/// The design of one GEMM, looked up once, and the evaluation of its outputs.
class Evaluator {
 public:
  explicit Evaluator(const GemmProblem& problem)
      : problem_(problem),
        adder_(problem.mac.accumulator),
        second_adder_(problem.order.chunk ? problem.order.chunk->accumulator
                                          : problem.mac.accumulator),
        multiplier_(problem.mac),
        target_(problem.mac.accumulator),
        length_(problem.shape().k),
        chunk_length_(problem.order.chunk ? problem.order.chunk->length : 0) {
    if (problem.order.dot) dot_.emplace(problem.mac, *problem.order.dot);
  }

  /// Output (m, n) from its row of A and column of B. Throws Error naming m, n and k.
  double output(std::int64_t m, std::int64_t n, const double* a, const double* b,
                GemmStatistics* statistics) const {
    const double start = initial_value(problem_, m, n);
    std::int64_t k = 0;
    try {
      const OutputRandom random = output_random(m, n);
      const double narrow = statistics != nullptr
                                ? accumulate<true>(random, start, a, b, k, statistics)
                                : accumulate<false>(random, start, a, b, k, nullptr);
      if (statistics != nullptr) count_output(start, narrow, a, b, *statistics);
      return narrow;
    } catch (const Error& error) {
      throw Error(fmt::format("output m = {}, n = {}, at k = {}: {}", m, n, k, error.what()));
    }
  }

 private:
  const GemmProblem& problem_;
  Adder adder_;
  Adder second_adder_;
  Multiplier multiplier_;
  RoundingTarget target_;
  std::optional<DotUnit> dot_;
  std::int64_t length_;
  std::int64_t chunk_length_;  ///< 0: sequential

  [[nodiscard]] OutputRandom output_random(std::int64_t m, std::int64_t n) const {
    const auto key = [&](RandomLevel level) {
      return random_row_key(problem_.seed, problem_.gemm_number, m, level);
    };
    OutputRandom random;
    random.m = m;
    random.n = n;
    if (adder_.random_bits() > 0) {
      random.accumulator = key(RandomLevel::Accumulator);
      random.accumulator_column = random_column_word(random.accumulator, n);
    }
    if (second_adder_.random_bits() > 0) {
      random.second = key(RandomLevel::SecondAccumulator);
      random.second_column = random_column_word(random.second, n);
    }
    if (multiplier_.random_bits() > 0) {
      random.product = key(RandomLevel::Product);
      random.product_column = random_column_word(random.product, n);
    }
    return random;
  }

  static std::uint32_t draw(const RandomRowKey& key, std::uint32_t column, int bits,
                            std::int64_t k) {
    if (bits == 0) return 0;
    const std::uint32_t word =
        combine_random(column, random_step_word(key, k / draws_per_word(bits)));
    return random_bits_of_step(word, k, bits);
  }

  /// acc <- R_acc(acc + R_product(a * b)) for product k.
  template <bool kCount>
  double step(const OutputRandom& random, double acc, double a, double b, std::int64_t k,
              GemmStatistics* statistics) const {
    const std::uint32_t sum_bits =
        draw(random.accumulator, random.accumulator_column, adder_.random_bits(), k);
    const std::uint32_t product_bits =
        draw(random.product, random.product_column, multiplier_.random_bits(), k);
    StepOutcome outcome;
    bool counts = false;
    if (multiplier_.products_are_doubles()) {
      const double product = multiplier_.product(a, b, product_bits);
      outcome = adder_.add(acc, product, sum_bits);
      counts = product != 0 && std::isfinite(product);
    } else {
      const ExactValue product = multiplier_.exact_product(a, b, product_bits);
      outcome = adder_.add_exactly(acc, product, sum_bits);
      counts = product.kind == ValueKind::Finite && product.magnitude != 0;
    }
    if (kCount && counts && std::isfinite(acc)) count_step(*statistics, acc, outcome);
    return outcome.value;
  }

  /// acc <- R(acc + sum of a chunk).
  template <bool kCount>
  double second_step(const OutputRandom& random, double acc, double sum, std::int64_t chunk,
                     GemmStatistics* statistics) const {
    const std::uint32_t bits =
        draw(random.second, random.second_column, second_adder_.random_bits(), chunk);
    const StepOutcome outcome = second_adder_.add(acc, sum, bits);
    if (kCount && sum != 0 && std::isfinite(sum) && std::isfinite(acc)) {
      count_step(*statistics, acc, outcome);
    }
    return outcome.value;
  }

  template <bool kCount>
  double accumulate(const OutputRandom& random, double start, const double* a, const double* b,
                    std::int64_t& k, GemmStatistics* statistics) const {
    if (dot_) return accumulate_groups<kCount>(random, start, a, b, k, statistics);
    if (problem_.order.exact) return sum_exactly<kCount>(random, start, a, b, k, statistics);
    if (chunk_length_ == 0) {
      double acc = start;
      for (; k < length_; ++k) acc = step<kCount>(random, acc, a[k], b[k], k, statistics);
      return acc;
    }
    double total = start;
    for (std::int64_t chunk = 0; k < length_; ++chunk) {
      const std::int64_t end = std::min(length_ - k, chunk_length_) + k;
      double acc = 0;
      for (; k < end; ++k) acc = step<kCount>(random, acc, a[k], b[k], k, statistics);
      total = second_step<kCount>(random, total, acc, chunk, statistics);
    }
    return total;
  }

  template <bool kCount>
  double accumulate_groups(const OutputRandom& random, double acc, const double* a, const double* b,
                           std::int64_t& k, GemmStatistics* statistics) const {
    const std::int64_t terms = problem_.order.dot->terms;
    for (std::int64_t group = 0; k < length_; ++group) {
      const std::int64_t count = std::min(terms, length_ - k);
      const std::uint32_t bits =
          draw(random.accumulator, random.accumulator_column, dot_->random_bits(), group);
      const DotOutcome outcome = dot_->step(acc, a + k, b + k, count, bits, kCount);
      if (kCount && outcome.counts) count_step(*statistics, acc, outcome.step);
      acc = outcome.step.value;
      k += count;
    }
    return acc;
  }

  template <bool kCount>
  double sum_exactly(const OutputRandom& random, double start, const double* a, const double* b,
                     std::int64_t& k, GemmStatistics* statistics) const {
    if (length_ == 0) return start;
    ExactTotal total;
    for (; k < length_; ++k) {
      const std::uint32_t bits =
          draw(random.product, random.product_column, multiplier_.random_bits(), k);
      total.add(multiplier_.exact_product(a[k], b[k], bits));
    }
    k = length_ - 1;
    const bool counts = total.is_counted() && std::isfinite(start);
    const std::uint32_t bits =
        draw(random.accumulator, random.accumulator_column, adder_.random_bits(), k);
    const StepOutcome outcome = total.round(target_, start, bits);
    if (kCount && counts) count_step(*statistics, start, outcome);
    return outcome.value;
  }

  void count_output(double start, double narrow, const double* a, const double* b,
                    GemmStatistics& statistics) const {
    statistics.products += length_;
    for (std::int64_t k = 0; k < length_; ++k) {
      if (a[k] != 0 && b[k] != 0) ++statistics.nonzero_products;
    }
    if (!std::isfinite(narrow)) return;
    // Four sums side by side: one alone would wait for itself.
    WideSum exact[4];
    exact[0].add(start);
    for (std::int64_t k = 0; k < length_; ++k) exact[k & 3].add_product(a[k], b[k]);
    for (int i = 1; i < 4; ++i) exact[0].add(exact[i]);
    statistics.add_output(narrow, exact[0].value());
  }
};

std::vector<double> row_of(const OperandView& view, std::int64_t row) {
  std::vector<double> values(static_cast<std::size_t>(view.columns()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = view.at(row, static_cast<std::int64_t>(i));
  }
  return values;
}

/// Columns [first, first + count) of B, each contiguous.
std::vector<double> panel_of(const OperandView& b, std::int64_t first, std::int64_t count) {
  const std::int64_t length = b.rows();
  std::vector<double> panel(static_cast<std::size_t>(count * length));
  tbb::parallel_for(std::int64_t{0}, count, [&](std::int64_t column) {
    double* target = panel.data() + column * length;
    for (std::int64_t k = 0; k < length; ++k) target[k] = b.at(k, first + column);
  });
  return panel;
}

/// What one row of a panel leaves behind, so that results can be put together in row order.
struct RowResult {
  GemmStatistics statistics;
  std::string error;
};

}  // namespace

StepOutcome mac_step(const MacDesign& mac, double acc, double a, double b, std::uint32_t random_sum,
                     std::uint32_t random_product) {
  const ExactValue product = Multiplier(mac).exact_product(a, b, random_product);
  return Adder(mac.accumulator).add_exactly(acc, product, random_sum);
}

StepOutcome add_step(const Conversion& accumulator, double acc, double addend,
                     std::uint32_t random) {
  return Adder(accumulator).add_exactly(acc, unpack(addend), random);
}

DotOutcome dot_step(const MacDesign& mac, const Dot& dot, double acc, std::span<const double> a,
                    std::span<const double> b, std::uint32_t random) {
  return DotUnit(mac, dot).step(acc, a.data(), b.data(), static_cast<std::int64_t>(a.size()),
                                random, true);
}

StepOutcome exact_step(const MacDesign& mac, double start, std::span<const double> a,
                       std::span<const double> b, std::uint32_t random_sum,
                       std::span<const std::uint32_t> random_products) {
  const Multiplier multiplier(mac);
  ExactTotal total;
  for (std::size_t k = 0; k < a.size(); ++k) {
    total.add(
        multiplier.exact_product(a[k], b[k], random_products.empty() ? 0 : random_products[k]));
  }
  return total.round(RoundingTarget(mac.accumulator), start, random_sum);
}

std::vector<std::int64_t> observed_rows(const Observation& observation, std::int64_t rows) {
  const bool all = observation.max_rows <= 0 || observation.max_rows >= rows;
  const std::int64_t count = all ? rows : observation.max_rows;
  std::vector<std::int64_t> observed(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = i * rows / count;
    const std::int64_t choices = (i + 1) * rows / count - first;
    const std::uint64_t random = random_mix(static_cast<std::uint32_t>(i + 1));
    observed[static_cast<std::size_t>(i)] =
        all ? i
            : first + static_cast<std::int64_t>(random * static_cast<std::uint64_t>(choices) >> 32);
  }
  return observed;
}

void check_problem(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  if (problem.b.rows() != shape.k) {
    throw Error(
        fmt::format("A is {} x {} and B is {} x {}: expected as many rows of B as columns "
                    "of A",
                    shape.m, shape.k, problem.b.rows(), shape.n));
  }
  if (problem.c0 && (problem.c0->rows() != shape.m || problem.c0->columns() != shape.n)) {
    throw Error(fmt::format("C0 is {} x {}: expected {} x {}, the shape of the result",
                            problem.c0->rows(), problem.c0->columns(), shape.m, shape.n));
  }
  validate(problem.mac);
  if (problem.order.chunk && problem.order.chunk->length < 1) {
    throw Error(fmt::format("chunk length {}: expected at least 1", problem.order.chunk->length));
  }
  check_length(problem.order, shape.k);
}

double initial_value(const GemmProblem& problem, std::int64_t m, std::int64_t n) {
  if (!problem.c0) return 0;
  Conversion last =
      problem.order.chunk ? problem.order.chunk->accumulator : problem.mac.accumulator;
  last.rounding = {};
  const double start = problem.c0->at(m, n);
  if (last.format.is_fixed() && !std::isfinite(start)) {
    throw Error(fmt::format("C0 at m = {}, n = {}: {} reaches fixed point {}, which cannot hold it",
                            m, n, std::isnan(start) ? "NaN" : "infinity", last.format.to_string()));
  }
  return convert(start, last);
}

double reference_output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                        GemmStatistics* statistics) {
  check_problem(problem);
  const std::vector<double> a = row_of(problem.a, m);
  const std::vector<double> b = row_of(problem.b.transposed(), n);
  return Evaluator(problem).output(m, n, a.data(), b.data(), statistics);
}

void reference_gemm(const GemmProblem& problem, const OutputView& out, GemmStatistics* statistics,
                    const Observation& observation) {
  check_problem(problem);
  const GemmShape shape = problem.shape();
  const Evaluator evaluator(problem);
  std::vector<char> observed(static_cast<std::size_t>(shape.m), 0);
  if (statistics != nullptr) {
    for (const std::int64_t row : observed_rows(observation, shape.m)) {
      observed[static_cast<std::size_t>(row)] = 1;
    }
  }
  std::vector<RowResult> rows(static_cast<std::size_t>(shape.m));
  const std::int64_t panel_columns =
      std::max<std::int64_t>(1, kPanelValues / std::max<std::int64_t>(1, shape.k));
  for (std::int64_t first = 0; first < shape.n; first += panel_columns) {
    const std::int64_t count = std::min(panel_columns, shape.n - first);
    const std::vector<double> panel = panel_of(problem.b, first, count);
    tbb::parallel_for(std::int64_t{0}, shape.m, [&](std::int64_t m) {
      RowResult& result = rows[static_cast<std::size_t>(m)];
      if (!result.error.empty()) return;
      GemmStatistics* counted =
          observed[static_cast<std::size_t>(m)] != 0 ? &result.statistics : nullptr;
      const std::vector<double> a = row_of(problem.a, m);
      try {
        for (std::int64_t column = 0; column < count; ++column) {
          const double* b = panel.data() + column * shape.k;
          out.store(m, first + column, evaluator.output(m, first + column, a.data(), b, counted));
        }
      } catch (const Error& error) {
        result.error = error.what();
      }
    });
  }
  for (const RowResult& row : rows) {
    if (!row.error.empty()) throw Error(row.error);
    if (statistics != nullptr) *statistics += row.statistics;
  }
}

}  // namespace narrowmac
