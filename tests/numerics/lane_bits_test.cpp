// Lanes against the exact reference, tens of millions of accumulations: random designs of every
// kind that lanes claim, random operands, shapes that leave edges in every kernel.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

using random_design::chance;
using random_design::Generator;
using random_design::integer;
using random_design::Values;

#if defined(__SANITIZE_ADDRESS__)
constexpr std::int64_t kAccumulations = 600'000;
#else
constexpr std::int64_t kAccumulations = 20'000'000;
#endif

NumberFormat float_of(int exponent_bits, int fraction_bits) {
  return {NumberFormat::Family::Float, exponent_bits, fraction_bits,
          1 + exponent_bits + fraction_bits};
}
NumberFormat fixed_of(int width, int fraction_bits) {
  return {NumberFormat::Family::Signed, 0, fraction_bits, width};
}

Rounding any_but_nearest_even(Generator& generator) {
  constexpr RoundingMode kModes[] = {RoundingMode::NearestAway, RoundingMode::TowardZero,
                                     RoundingMode::Down, RoundingMode::Stochastic,
                                     RoundingMode::Stochastic};
  const RoundingMode mode = kModes[integer(generator, 0, 4)];
  const int bits = chance(generator, 60) ? integer(generator, 1, 10) : integer(generator, 1, 24);
  return {mode, mode == RoundingMode::Stochastic ? bits : 0};
}

NumberFormat small_float(Generator& generator) {
  if (chance(generator, 10)) return NumberFormat::parse("e4m3fn");
  return float_of(integer(generator, 2, 6), integer(generator, 1, 4));
}

/// A float whose range may be too small for the products, in both directions.
NumberFormat float_accumulator(Generator& generator) {
  if (chance(generator, 8)) return NumberFormat::parse("e4m3fn");
  const int fraction =
      chance(generator, 75) ? integer(generator, 1, 11) : integer(generator, 12, 23);
  return float_of(integer(generator, 3, 8), fraction);
}

/// Fixed point around the products of a and b: too narrow, too coarse, or neither.
NumberFormat fixed_accumulator(Generator& generator, const MacDesign& mac) {
  const int finest = -mac.a.min_quantum_exponent() - mac.b.min_quantum_exponent();
  const int width = chance(generator, 80) ? integer(generator, 4, 32) : integer(generator, 33, 53);
  return fixed_of(
      width, std::max(-256, finest - (chance(generator, 40) ? 0 : integer(generator, -2, 12))));
}

Overflow any_overflow(Generator& generator, const NumberFormat& format) {
  if (chance(generator, 50)) return Overflow::Saturate;
  return format.is_float() ? Overflow::Infinity : Overflow::Wrap;
}

/// Sometimes chunks, with an accumulator of their own.
template <typename MakeAccumulator>
void maybe_chunked(Generator& generator, MacDesign& mac, const MakeAccumulator& accumulator) {
  if (!chance(generator, 35)) return;
  constexpr std::int64_t kLengths[] = {1, 2, 7, 16, 64, 100};
  Conversion second = chance(generator, 50) ? mac.accumulator : accumulator();
  second.subnormals = mac.accumulator.subnormals;
  mac.chunk = Chunk{kLengths[integer(generator, 0, 5)], second};
}

MacDesign nearest_even_floats(Generator& generator) {
  MacDesign mac;
  mac.a = small_float(generator);
  mac.b = chance(generator, 70) ? mac.a : small_float(generator);
  if (chance(generator, 10)) mac.a = mac.b = NumberFormat::parse("fp16");
  const bool subnormals = chance(generator, 70);
  const auto accumulator = [&] {
    const NumberFormat format = float_accumulator(generator);
    return Conversion{format, {}, any_overflow(generator, format), subnormals};
  };
  mac.accumulator = accumulator();
  maybe_chunked(generator, mac, accumulator);
  return mac;
}

MacDesign other_roundings_of_floats(Generator& generator) {
  MacDesign mac;
  mac.a = small_float(generator);
  mac.b = chance(generator, 70) ? mac.a : small_float(generator);
  if (chance(generator, 10)) mac.a = mac.b = NumberFormat::parse("fp16");
  const bool subnormals = chance(generator, 70);
  const auto accumulator = [&] {
    const NumberFormat format = float_accumulator(generator);
    const Rounding rounding = chance(generator, 85) ? any_but_nearest_even(generator) : Rounding{};
    return Conversion{format, rounding, any_overflow(generator, format), subnormals};
  };
  mac.accumulator = accumulator();
  maybe_chunked(generator, mac, accumulator);
  return mac;
}

MacDesign fixed_point(Generator& generator) {
  MacDesign mac;
  const auto operand = [&] {
    if (chance(generator, 20)) return small_float(generator);
    return fixed_of(integer(generator, 2, chance(generator, 70) ? 8 : 16),
                    integer(generator, -2, 8));
  };
  mac.a = operand();
  mac.b = chance(generator, 70) ? mac.a : operand();
  const auto accumulator = [&] {
    const NumberFormat format = fixed_accumulator(generator, mac);
    const Rounding rounding = chance(generator, 50) ? any_but_nearest_even(generator) : Rounding{};
    return Conversion{format, rounding, any_overflow(generator, format), true};
  };
  mac.accumulator = accumulator();
  maybe_chunked(generator, mac, accumulator);
  return mac;
}

/// int8-like codes into 16 to 32 bits without dropped bits, and between floats and fixed point.
MacDesign integers_and_mixtures(Generator& generator) {
  MacDesign mac;
  mac.a = fixed_of(integer(generator, 2, 8), integer(generator, 0, 7));
  mac.b = fixed_of(integer(generator, 2, 8), integer(generator, 0, 7));
  const auto accumulator = [&] {
    if (chance(generator, 20)) {
      const NumberFormat format = float_accumulator(generator);
      return Conversion{format, any_but_nearest_even(generator), any_overflow(generator, format),
                        true};
    }
    const int finest = mac.a.fraction_bits + mac.b.fraction_bits;
    const int width = chance(generator, 50) ? 16 : integer(generator, 6, 36);
    const int more = chance(generator, 70) ? 0 : integer(generator, 0, 3);
    const NumberFormat format = fixed_of(width, finest + more);
    return Conversion{format, {}, any_overflow(generator, format), true};
  };
  mac.accumulator = accumulator();
  maybe_chunked(generator, mac, accumulator);
  return mac;
}

bool in_lanes(const GemmProblem& problem) {
  const GemmPlan plan = make_plan({problem.mac, problem.order, problem.shape(),
                                   scan_operand(problem.a, problem.mac.a),
                                   scan_operand(problem.b, problem.mac.b), problem.c0.has_value()});
  return plan.lane != GemmPlan::Lane::Reference;
}

std::vector<double> results(const GemmProblem& problem, bool by_reference) {
  const GemmShape shape = problem.shape();
  std::vector<double> values(static_cast<std::size_t>(shape.m * shape.n));
  const OutputView out = OutputView::of(values.data(), shape.n);
  if (by_reference) {
    reference_gemm(problem, out);
  } else {
    gemm(problem, out);
  }
  return values;
}

::testing::AssertionResult agree(const GemmProblem& problem, const std::vector<double>& expected) {
  const std::vector<double> found = results(problem, false);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (same_bits(found[i], expected[i])) continue;
    const GemmShape shape = problem.shape();
    return ::testing::AssertionFailure()
           << describe(problem.mac) << ", " << shape.m << " x " << shape.n << " x " << shape.k
           << ", output " << i << ": " << found[i] << " instead of " << expected[i] << "\n"
           << explain_plan(problem);
  }
  return ::testing::AssertionSuccess();
}

GemmShape any_shape(Generator& generator) {
  constexpr std::int64_t kLengths[] = {1, 2, 5, 31, 63, 64, 130, 300};
  const auto side = [&](int limit) {
    return chance(generator, 20) ? integer(generator, 1, 3) : integer(generator, 1, limit);
  };
  return {side(14), side(chance(generator, 20) ? 140 : 40), kLengths[integer(generator, 0, 7)]};
}

/// Random designs until enough accumulations of lanes are compared; every 25th on all targets.
template <typename MakeDesign>
void compare(const char* name, unsigned seed, const MakeDesign& make_design) {
  Generator generator(seed);
  std::int64_t compared = 0;
  std::int64_t problems = 0;
  while (compared < kAccumulations) {
    const MacDesign mac = make_design(generator);
    const Values values = random_design::kValues[integer(generator, 1, 5)];
    const auto gemm_case =
        random_design::any_gemm(generator, mac, any_shape(generator), values, false);
    const GemmProblem& problem = gemm_case.problem;
    if (!in_lanes(problem)) continue;
    std::vector<double> expected;
    try {
      expected = results(problem, true);
    } catch (const Error&) {
      // The first level's infinity on its way into fixed point: the lanes must refuse it, too.
      EXPECT_THROW(results(problem, false), Error) << describe(mac);
      continue;
    }
    ASSERT_TRUE(agree(problem, expected));
    compared += problem.shape().macs();
    if (++problems % 25 != 0) continue;
    for_each_vector_target([&](const char* target) {
      EXPECT_TRUE(agree(problem, expected)) << target;
      compared += problem.shape().macs();
    });
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  std::printf("  %s: %lld accumulations of lanes in %lld problems\n", name,
              static_cast<long long>(compared), static_cast<long long>(problems));
}

TEST(LaneBits, NearestEvenFloats) { compare("nearest-even floats", 31, nearest_even_floats); }

TEST(LaneBits, OtherRoundingsOfFloats) {
  compare("other roundings of floats", 32, other_roundings_of_floats);
}

TEST(LaneBits, FixedPoint) { compare("fixed point", 33, fixed_point); }

TEST(LaneBits, IntegersAndMixtures) { compare("integers and mixtures", 34, integers_and_mixtures); }

TEST(LaneBits, AnyDesignThatLanesClaim) {
  compare("any design", 35, [](Generator& generator) {
    MacDesign mac = random_design::any_design(generator);
    mac.product.reset();
    return mac;
  });
}

}  // namespace
}  // namespace narrowmac
