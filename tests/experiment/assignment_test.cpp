#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "models/design/error.h"
#include "models/numerics/gemm.h"
#include "sim/experiment/assignment_text.h"
#include "sim/experiment/files.h"
#include "sim/experiment/precision_assignment.h"
#include "sim/experiment/run.h"
#include "sim/experiment/run_directory.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

/// Operands drawn from N(0, a third of the largest value), clamped: without sign half are zero.
FixedOperands fixed_operands(const std::string& a, const std::string& b, std::int64_t length) {
  FixedOperands operands;
  operands.a_format = NumberFormat::parse(a);
  operands.b_format = NumberFormat::parse(b);
  std::mt19937_64 random(5);
  const auto matrix = [&](const NumberFormat& format, std::int64_t rows, std::int64_t columns) {
    std::normal_distribution<double> normal(0, format.max_value() / 3);
    std::vector<float> values;
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const double unit = format.smallest_value();
      const double value = std::round(normal(random) / unit) * unit;
      values.push_back(
          static_cast<float>(std::clamp(value, format.lowest_value(), format.max_value())));
    }
    return OperandMatrix{rows, columns, std::move(values)};
  };
  operands.a = matrix(operands.a_format, 12, length);
  operands.b = matrix(operands.b_format, length, 10);
  return operands;
}

struct Outcome {
  std::int64_t overflowed = 0;
  double noise = 0;
};
Outcome in_accumulator(const FixedOperands& operands, const NumberFormat& format) {
  GemmProblem problem;
  problem.mac.a = operands.a_format;
  problem.mac.b = operands.b_format;
  problem.mac.accumulator.format = format;
  problem.mac.accumulator.overflow = Overflow::Saturate;
  problem.a = operands.a.view();
  problem.b = operands.b.view();
  std::vector<double> out(120);
  const GemmStatistics statistics = *gemm(problem, OutputView::of(out.data(), 10), Observation{});
  return {statistics.overflowed, statistics.squared_error / 120};
}

/// Of the variance that operands rounded to their formats would leave in a sum.
double operand_noise(const FixedOperands& operands) {
  const auto square_of = [](const OperandView& view, std::int64_t row, std::int64_t column) {
    return view.at(row, column) * view.at(row, column);
  };
  double a = 0, b = 0;
  const std::int64_t length = operands.a.columns;
  for (std::int64_t k = 0; k < length; ++k) {
    for (std::int64_t m = 0; m < 12; ++m) a += square_of(operands.a.view(), m, k) / 12;
    for (std::int64_t n = 0; n < 10; ++n) b += square_of(operands.b.view(), k, n) / 10;
  }
  const double result = operands.result_step.value_or(0);
  return (a * std::pow(operands.b_format.smallest_value(), 2) +
          b * std::pow(operands.a_format.smallest_value(), 2) + result * result) /
         12;
}

TEST(AccumulatorWidths, TheMeasuredOneHoldsTheSumsAndNoNarrowerOneDoes) {
  for (const auto& [a, b] : {std::pair("ufx8.7", "fx8.7"), std::pair("ufx6.5", "fx12.20"),
                             std::pair("fx9.14", "fx7.6"), std::pair("uint8", "uint8")}) {
    for (const std::int64_t length : {7, 300, 5000}) {
      const FixedOperands operands = fixed_operands(a, b, length);
      const NumberFormat format = accumulator_widths(operands).measured;
      const double allowed = kAccumulatorNoiseShare * operand_noise(operands);
      const Outcome outcome = in_accumulator(operands, format);
      EXPECT_EQ(outcome.overflowed, 0) << a << " x " << b << ", " << length;
      EXPECT_LE(outcome.noise, allowed * (1 + 1e-9));

      NumberFormat coarser = format;
      --coarser.fraction_bits;
      --coarser.width;
      EXPECT_GT(in_accumulator(operands, coarser).noise, allowed)
          << a << " x " << b << ", " << length;
      NumberFormat smaller = format;
      smaller.width -= 2;  // the bit of headroom, and one that the sums need
      EXPECT_GT(in_accumulator(operands, smaller).overflowed, 0)
          << a << " x " << b << ", " << length;
    }
  }
}

TEST(AccumulatorWidths, TheTheoryHoldsTheLargestSumOfTheFormats) {
  FixedOperands operands = fixed_operands("ufx8.7", "fx8.7", 100);
  // 100 * 255/128 * 1 is below 2^8.
  NumberFormat theory = accumulator_widths(operands).theory;
  EXPECT_EQ(theory.width - 1 - theory.fraction_bits, 8);
  EXPECT_LE(theory.fraction_bits, 14);
  EXPECT_EQ(in_accumulator(operands, theory).overflowed, 0);
  EXPECT_LE(in_accumulator(operands, theory).noise,
            kAccumulatorNoiseShare * operand_noise(operands));

  // A result that is rounded to whole numbers needs few bits of the sum behind the point: a
  // quarter of 1/12, in 100 steps of u^2/12, gives u = 1/20, and the power of two below is 2^-5.
  operands.result_step = 1.0;
  theory = accumulator_widths(operands).theory;
  EXPECT_EQ(theory.fraction_bits, 5);
  EXPECT_EQ(theory.width, 8 + 5 + 1);
}

TEST(AccumulatorWidths, AreThoseOfFixedPoint) {
  FixedOperands operands = fixed_operands("ufx8.7", "fx8.7", 10);
  operands.b_format = NumberFormat::parse("e5m2");
  EXPECT_THROW(accumulator_widths(operands), Error);
}

/// The tiny run in full precision, with statistics; its ReLU and its weights are clipped.
class AssignedRun : public ::testing::Test {
 protected:
  AssignedRun() {
    std::string network = read_file(folder_ / "tiny.toml");
    network.replace(network.find("\"relu\""), 6, "\"relu\"\nclip = 2.0");
    folder_.write("tiny.toml", network);
  }
  std::filesystem::path train(const std::vector<std::string>& set, const std::string& name) const {
    RunOptions options;
    options.config = folder_ / "run.toml";
    options.set = set;
    options.out = folder_ / name;
    options.quiet = true;
    options.threads = 1;
    run_experiment(options);
    return options.out;
  }
  std::filesystem::path train_full() const {
    return train(
        {"mac=false", "formats=false", "observe.precision=true", "training.weight_clip=1.0"},
        "full");
  }
  static AssignmentOptions options(const std::filesystem::path& run, std::optional<int> bits) {
    AssignmentOptions options;
    options.run = run;
    options.minimum_bits = bits;
    return options;
  }
  const TinyRun folder_;
};

TEST_F(AssignedRun, TrainsWithTheFormatsAndAccumulatorsOfTheAssignment) {
  const PrecisionAssignment assignment = assign_run(options(train_full(), 6));
  ASSERT_EQ(assignment.layers.size(), 2U);
  EXPECT_TRUE(assignment.warnings.empty());
  // Bits of a weight gradient for each of 4 x 9 and 10 x 144 weights, as written.
  EXPECT_EQ(assignment.costs[0].communication_bits, 36 * assignment.layers[0].weight_gradient.bits);
  EXPECT_EQ(assignment.costs[1].communication_bits,
            1440 * assignment.layers[1].weight_gradient.bits);
  ASSERT_EQ(assignment.accumulators.size(), 5U);  // BWD of the first layer is never computed
  for (const AccumulatorSource source : {AccumulatorSource::Theory, AccumulatorSource::Measured}) {
    const std::filesystem::path file = folder_ / "fixed.toml";
    write_file(file, assigned_run_text(assignment, source, folder_ / "full", file));
    const RunConfig config = read_run_config(file);
    for (const LayerAssignment& layer : assignment.layers) {
      const LayerFormats& formats = config.training.formats.of(layer.name);
      const NumberFormat& weight = formats.weight.conversion.format;
      EXPECT_EQ(weight.width, layer.weight.bits);
      EXPECT_EQ(weight.smallest_value(), layer.weight.step);
      EXPECT_EQ(weight.lowest_value(), -layer.weight.range);
      EXPECT_EQ(formats.gradient.conversion.format.width, layer.activation_gradient->bits);
      EXPECT_EQ(formats.weight_gradient.conversion.format.smallest_value(),
                layer.weight_gradient.step);
      ASSERT_TRUE(formats.weight_residual);
      EXPECT_EQ(formats.weight_residual->conversion.format.smallest_value(),
                layer.weight_residual.step);
      EXPECT_EQ(formats.activation.conversion.format.width,
                layer.activation ? layer.activation->bits : 8);
    }
    for (const GemmAccumulators& gemm : assignment.accumulators) {
      const MacDesign* mac = config.training.macs.find(gemm.layer, gemm.pass);
      ASSERT_NE(mac, nullptr);
      EXPECT_EQ(mac->accumulator.format,
                source == AccumulatorSource::Theory ? gemm.widths.theory : gemm.widths.measured);
      EXPECT_EQ(mac->accumulator.overflow, Overflow::Saturate);
    }
    RunOptions run;
    run.config = file;
    run.out = folder_ / (source == AccumulatorSource::Theory ? "theory" : "measured");
    run.quiet = true;
    EXPECT_FALSE(run_experiment(run).diverged);
  }
}

TEST_F(AssignedRun, TakesTheFewestBitsWhoseInferenceDecidesAlike) {
  AssignmentOptions found = options(train_full(), {});
  found.mismatch = 0.05;
  const PrecisionAssignment assignment = assign_run(found);
  ASSERT_GE(assignment.inference.size(), 2U);
  for (const InferencePoint& point : assignment.inference) {
    EXPECT_EQ(point.mismatch <= 0.05, point.minimum_bits == assignment.minimum_bits);
    EXPECT_LE(std::abs(point.accuracy - *assignment.full_precision_accuracy), point.mismatch);
  }
  EXPECT_EQ(assignment.inference.back().minimum_bits, assignment.minimum_bits);
  // A bit more is half the step, and a quarter of the bound.
  EXPECT_NEAR(assignment.inference[0].mismatch_bound / assignment.inference[1].mismatch_bound, 4,
              1e-12);
  found.mismatch = 0;
  EXPECT_EQ(assign_run(found).inference.back().mismatch, 0);
}

TEST_F(AssignedRun, WarnsWhereTheRunIsNotClipped) {
  folder_.write("tiny.toml", read_file(TinyRun() / "tiny.toml"));
  const auto run =
      train({"mac=false", "formats=false", "observe.precision=true", "training.loss_scale=1000"},
            "unclipped");
  const std::vector<std::string> warnings = assign_run(options(run, 5)).warnings;
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_NE(warnings[0].find("weight_clip"), std::string::npos);
  EXPECT_NE(warnings[1].find("clip = 2.0 in relu1"), std::string::npos);
}

TEST_F(AssignedRun, OfCodesGetsAccumulatorsAndKeepsItsOperands) {
  const auto run = train({"formats=false", "quantization={gradient=\"psq\", gradient_bits=4}",
                          "mac={accumulator=\"fx32.0\", overflow=\"saturate\"}"},
                         "codes");
  const PrecisionAssignment assignment = assign_run(options(run, {}));
  EXPECT_TRUE(assignment.layers.empty());
  ASSERT_EQ(assignment.accumulators.size(), 5U);
  const RunConfig config = assignment.assigned(AccumulatorSource::Theory);
  EXPECT_EQ(config.training.quantization, assignment.config.training.quantization);
  for (const GemmAccumulators& gemm : assignment.accumulators) {
    EXPECT_EQ(gemm.widths.measured.width - gemm.widths.measured.fraction_bits,
              gemm.widths.theory.width - gemm.widths.theory.fraction_bits)
        << "the sums of codes grow when their zero moves";
    EXPECT_EQ(config.training.macs.find(gemm.layer, gemm.pass)->a,
              assignment.config.training.macs.find(gemm.layer, gemm.pass)->a);
    if (gemm.layer == "fc1" && gemm.pass == Pass::Forward) {
      // 144 products of codes up to 255 stay below 2^24.
      EXPECT_EQ(gemm.widths.theory.width - gemm.widths.theory.fraction_bits, 24 + 1);
    }
  }
}

TEST_F(AssignedRun, OfNarrowOperandsOrWithoutStatisticsIsRefused) {
  const auto narrow = train({}, "narrow");
  expect_error([&] { assign_run(options(narrow, 4)); },
               {"narrow", "statistics.json", "observe.precision=true"});
  const auto floats =
      train({"formats=false", "mac=false", "quantization={gradient=\"ptq\"}"}, "floats");
  expect_error([&] { assign_run(options(floats, {})); }, {"floats", "[quantization]", "[mac]"});
  expect_error([&] { assign_run(options(folder_ / "images", 4)); }, {"images", "config.toml"});
}

}  // namespace
}  // namespace narrowmac
