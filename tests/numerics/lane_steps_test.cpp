// Every step of small accumulators in lanes: all pairs of an accumulator value and a product value,
// every rounding, every random word.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "models/numerics/convert.h"
#include "models/numerics/level_kernels.h"
#include "models/numerics/mac_stepper.h"
#include "models/numerics/random.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

std::vector<double> finite_values(const NumberFormat& format) {
  std::vector<double> values;
  for (std::uint64_t code = 0; code < (std::uint64_t{1} << format.width); ++code) {
    const double value = decode(code, format);
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

/// Every value of a * b once, zeros of both signs.
std::vector<double> product_values(const MacDesign& mac) {
  struct ByBits {
    bool operator()(double x, double y) const {
      return x < y || (x == y && std::signbit(x) && !std::signbit(y));
    }
  };
  std::set<double, ByBits> products;
  for (const double a : finite_values(mac.a)) {
    for (const double b : finite_values(mac.b)) products.insert(a * b);
  }
  return {products.begin(), products.end()};
}

OperandRange full_range(const NumberFormat& format) {
  OperandRange range;
  range.zero = false;
  range.max_exponent =
      static_cast<int>(std::floor(std::log2(std::max(format.max_value(), -format.lowest_value()))));
  range.quantum_exponent = format.min_quantum_exponent();
  return range;
}

/// The accumulator values that a level can hold: multiples of the products' quantum (or the ends of
/// the range), none that a design without subnormals flushes; -0 only where underflow or rounding
/// down leads there. Small magnitudes first: they share tiles, and those are not bounded.
std::vector<double> accumulator_values(const MacDesign& mac, const LevelPlan& level) {
  const NumberFormat& format = mac.accumulator.format;
  const double quantum =
      std::ldexp(1.0, mac.a.min_quantum_exponent() + mac.b.min_quantum_exponent());
  const bool negative_zero =
      level.rounding == LaneRounding::Gradual || level.rounding == LaneRounding::Flush ||
      level.rounding == LaneRounding::RepairedFlush || level.rounding == LaneRounding::Directed;
  std::vector<double> values;
  for (const double value : finite_values(format)) {
    const bool end = value == format.max_value() || value == format.lowest_value();
    if (std::fmod(value, quantum) != 0.0 && !end) continue;
    const bool flushed = format.is_float() && !mac.accumulator.subnormals &&
                         std::abs(value) < format.smallest_normal();
    if (value != 0 && flushed) continue;
    if (value == 0 && std::signbit(value) && !negative_zero) continue;
    values.push_back(value);
  }
  std::sort(values.begin(), values.end(),
            [](double x, double y) { return std::abs(x) < std::abs(y); });
  return values;
}

/// One design's first level in its kernel, one step at a time.
template <typename T>
class StepTester {
 public:
  StepTester(const GemmProblem& problem, const GemmPlan& plan)
      : mac_(problem.mac),
        plan_(plan),
        kernels_(problem, plan),
        adder_(problem.mac.accumulator),
        scale_(std::ldexp(1.0, kernels_.scale_exponent)),
        sums_(static_cast<std::size_t>(kernels_.tile.rows * kernels_.tile.columns)),
        b_(static_cast<std::size_t>(kernels_.tile.columns)),
        products_(b_.size()) {
    for (int r = 0; r < kernels_.tile.rows; ++r) {
      keys_.push_back(random_row_key(7, 0, r, RandomLevel::Accumulator));
      random_.column_keys[r] = keys_.back().column;
      random_.step_keys[r] = keys_.back().step;
      for (int c = 0; c < kernels_.tile.columns; ++c) {
        column_words_.push_back(random_column_word(keys_.back(), c));
      }
    }
  }

  /// Every pair; returns the number of steps compared.
  std::int64_t run(bool always_bounded) {
    if (always_bounded) kernels_.first.guard_steps = 0;
    const std::vector<double> accumulators = accumulator_values(mac_, plan_.first);
    const std::vector<double> products = product_values(mac_);
    const auto rows = static_cast<std::size_t>(kernels_.tile.rows);
    const int bits = mac_.accumulator.rounding.random_bits;
    for (std::size_t first = 0; first < accumulators.size(); first += rows) {
      rows_.clear();
      for (std::size_t r = 0; r < rows; ++r) {
        rows_.push_back(accumulators[std::min(first + r, accumulators.size() - 1)]);
      }
      for (std::size_t c = 0; c < products.size(); c += b_.size()) {
        for (std::size_t i = 0; i < b_.size(); ++i) {
          products_[i] = products[std::min(c + i, products.size() - 1)];
          b_[i] = static_cast<T>(products_[i] * scale_);
        }
        // Without random bits the only word is 0.
        unseen_.assign(sums_.size(), (1U << (1U << bits)) - 1);
        for (std::int64_t k = 0; !step_and_compare(k); ++k) {
          if (k < 1000) continue;
          ADD_FAILURE() << "a random word never came";
          return compared_;
        }
      }
      if (::testing::Test::HasFailure()) break;
    }
    return compared_;
  }

 private:
  /// One step of all rows and columns; true once all have seen every random word.
  bool step_and_compare(std::int64_t k) {
    step(k);
    const int bits = mac_.accumulator.rounding.random_bits;
    bool done = true;
    std::size_t index = 0;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const std::uint32_t step_word = random_step_word(keys_[r], k / draws_per_word(bits));
      for (std::size_t c = 0; c < b_.size(); ++c, ++index) {
        if (unseen_[index] == 0) continue;
        const std::uint32_t word = combine_random(column_words_[index], step_word);
        const std::uint32_t random = random_bits_of_step(word, k, bits);
        if ((unseen_[index] >> random & 1U) != 0) compare(index, rows_[r], products_[c], random);
        unseen_[index] &= ~(1U << random);
        done = done && unseen_[index] == 0;
      }
    }
    return done;
  }

  /// The sums of all rows, each plus the product of its column, at step k.
  void step(std::int64_t k) {
    const T one = 1;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      T sum = static_cast<T>(rows_[r] * scale_);
      // Not for -0 in lanes without a bias: 0 would take its sign.
      if (kernels_.first.start != 0) sum += kernels_.first.start;
      std::fill_n(sums_.begin() + static_cast<std::ptrdiff_t>(r * b_.size()), b_.size(), sum);
    }
    Segment segment;
    segment.k = k;
    segment.length = 1;
    TileWork<T> work;
    for (int r = 0; r < kernels_.tile.rows; ++r) work.a_rows[r] = &one;
    work.b = b_.data();
    work.segments = &segment;
    work.segment_count = 1;
    work.sums = sums_.data();
    work.random = &random_;
    const LaneDirection direction(kernels_.first.rounding, kernels_.first.increment);
    kernels_.tile.run(kernels_.first, kernels_.second, work);
  }

  void compare(std::size_t index, double acc, double product, std::uint32_t random) {
    double found = static_cast<double>(sums_[index] - kernels_.first.start) / scale_;
    if (!std::isfinite(found) && !(std::isinf(found) && plan_.infinite_results)) return;
    if (kernels_.first.positive_zero) found += 0.0;
    const double expected = adder_.add(acc, product, random).value;
    ++compared_;
    if (same_bits(found, expected)) return;
    ADD_FAILURE() << describe(mac_) << ": " << acc << " + " << product << " = " << found
                  << " instead of " << expected << ", random bits " << random;
  }

  const MacDesign& mac_;
  const GemmPlan& plan_;
  LevelKernels<T> kernels_;
  Adder adder_;
  double scale_;
  std::vector<T> sums_, b_;
  std::vector<double> products_, rows_;
  std::vector<std::uint32_t> column_words_, unseen_;
  std::vector<RandomRowKey> keys_;
  TileRandom random_;
  std::int64_t compared_ = 0;
};

/// All steps of a design in wide tiles or narrow ones; 0 if it does not run in float lanes.
std::int64_t compare_all_steps(const MacDesign& mac, std::int64_t n, bool always_bounded) {
  const std::vector<float> nothing(1);
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(nothing.data(), 1, 1000, 0, 0);
  problem.b = OperandView::dense(nothing.data(), 1000, n, 0, 0);
  const GemmPlan plan =
      make_plan({mac, problem.order, problem.shape(), full_range(mac.a), full_range(mac.b), false});
  switch (plan.lane) {
    case GemmPlan::Lane::Float32:
      return StepTester<float>(problem, plan).run(always_bounded);
    case GemmPlan::Lane::Float64:
      return StepTester<double>(problem, plan).run(always_bounded);
    default:
      return 0;
  }
}

constexpr Rounding kRoundings[] = {{RoundingMode::NearestEven, 0}, {RoundingMode::NearestAway, 0},
                                   {RoundingMode::TowardZero, 0},  {RoundingMode::Down, 0},
                                   {RoundingMode::Stochastic, 1},  {RoundingMode::Stochastic, 2},
                                   {RoundingMode::Stochastic, 3}};

struct Tally {
  std::int64_t designs = 0, steps = 0;
  ~Tally() {
    std::printf("  %lld designs in lanes, %lld steps compared\n", static_cast<long long>(designs),
                static_cast<long long>(steps));
  }
  void add(std::int64_t compared) {
    designs += compared > 0 ? 1 : 0;
    steps += compared;
  }
};

void compare_every_rounding(const char* accumulator, const char* operands, Tally& tally) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse(operands);
  mac.accumulator.format = NumberFormat::parse(accumulator);
  for (const Rounding& rounding : kRoundings) {
    // Products with a few binades between them are enough for the random words.
    if (rounding.random_bits > 0 && mac.a.is_float() && mac.a != NumberFormat::parse("e2m3")) {
      continue;
    }
    mac.accumulator.rounding = rounding;
    for (const Overflow overflow : {Overflow::Infinity, Overflow::Saturate}) {
      if (mac.accumulator.format.is_fixed() && overflow == Overflow::Infinity) continue;
      mac.accumulator.overflow = overflow;
      for (const bool subnormals : {true, false}) {
        if (mac.accumulator.format.is_fixed() && !subnormals) continue;
        mac.accumulator.subnormals = subnormals;
        const std::int64_t n = rounding.random_bits > 0 || subnormals ? 1000 : 1;
        tally.add(compare_all_steps(mac, n, !subnormals));
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

#if defined(__SANITIZE_ADDRESS__)
constexpr const char* kFloats[] = {"e3m3", "e4m3fn"};
constexpr const char* kFixedPoints[] = {"fx6.-2"};
#else
constexpr const char* kFloats[] = {"e2m1", "e2m2", "e2m3", "e2m4",  "e2m5", "e3m1",
                                   "e3m2", "e3m3", "e3m4", "e4m1",  "e4m2", "e4m3",
                                   "e5m1", "e5m2", "e6m1", "e4m3fn"};
constexpr const char* kFixedPoints[] = {"fx8.0",  "fx8.3", "fx8.-4", "fx7.5",
                                        "fx6.-2", "fx5.2", "fx4.1",  "fx2.0"};
#endif

TEST(LaneSteps, EveryStepOfFloatsOfUpToEightBits) {
  Tally tally;
  for (const char* accumulator : kFloats) {
    for (const char* operands : {"e2m1", "e3m2", "e2m3", "e4m2"}) {
      compare_every_rounding(accumulator, operands, tally);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(tally.designs, 60 * std::ssize(kFloats));
}

TEST(LaneSteps, EveryStepOfFixedPointOfUpToEightBits) {
  Tally tally;
  for (const char* accumulator : kFixedPoints) {
    for (const char* operands : {"e2m1", "e2m3", "fx4.1", "int4", "fx5.4"}) {
      compare_every_rounding(accumulator, operands, tally);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(tally.designs, 25 * std::ssize(kFixedPoints));
}

TEST(LaneSteps, EveryVectorTargetTakesTheSameSteps) {
  for_each_vector_target([&](const char* target) {
    SCOPED_TRACE(target);
    Tally tally;
    for (const char* accumulator : {"e3m3", "e5m2", "fx6.-2"}) {
      compare_every_rounding(accumulator, "e2m3", tally);
    }
  });
}

}  // namespace
}  // namespace narrowmac
