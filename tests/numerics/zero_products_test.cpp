// What plans claim of zero products, held against the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "models/numerics/plan.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

namespace narrowmac {
namespace {

using random_design::Generator;
using random_design::Values;

GemmPlan plan_of(const GemmProblem& problem) {
  return make_plan({problem.mac, problem.order, problem.shape(),
                    scan_operand(problem.a, problem.mac.a), scan_operand(problem.b, problem.mac.b),
                    problem.c0.has_value()});
}

std::vector<double> by_reference(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  std::vector<double> values(static_cast<std::size_t>(shape.m * shape.n));
  reference_gemm(problem, OutputView::of(values.data(), shape.n));
  return values;
}

/// The result of one row without its zero elements of A.
std::vector<double> without_zeros(const random_design::Gemm& gemm) {
  const std::size_t n = static_cast<std::size_t>(gemm.problem.shape().n);
  std::vector<double> a;
  std::vector<double> b;
  for (std::size_t k = 0; k < gemm.a.size(); ++k) {
    if (gemm.a[k] == 0) continue;
    a.push_back(gemm.a[k]);
    b.insert(b.end(), gemm.b.begin() + static_cast<std::ptrdiff_t>(k * n),
             gemm.b.begin() + static_cast<std::ptrdiff_t>((k + 1) * n));
  }
  GemmProblem problem = gemm.problem;
  const std::int64_t length = std::ssize(a);
  problem.a = OperandView::dense(a.data(), 1, length, length);
  problem.b = OperandView::dense(b.data(), length, std::ssize(gemm.b) / std::ssize(gemm.a),
                                 static_cast<std::int64_t>(n));
  return by_reference(problem);
}

TEST(ZeroProducts, AreSkippedExactlyWhereThePlanSaysSo) {
  Generator generator(71);
  int unchanged = 0;
  int signs = 0;
  int changed_signs = 0;
  for (int i = 0; i < 6000; ++i) {
    MacDesign mac =
        i % 2 == 0 ? random_design::common_design(generator) : random_design::any_design(generator);
    // One chunk, so that leaving out products does not move the others to another chunk.
    if (mac.chunk) mac.chunk->length = 64;
    const Values values = i % 3 == 0 ? Values::Corners : Values::Sparse;
    const auto gemm = random_design::any_gemm(generator, mac, {1, 8, 24}, values, false);
    const GemmPlan plan = plan_of(gemm.problem);
    if (plan.zero_products == ZeroProducts::Matter) continue;
    const bool exact = plan.zero_products == ZeroProducts::ChangeNothing;
    ++(exact ? unchanged : signs);
    const std::vector<double> expected = by_reference(gemm.problem);
    const std::vector<double> found = without_zeros(gemm);
    for (std::size_t n = 0; n < expected.size(); ++n) {
      if (!exact && found[n] == 0 && std::signbit(found[n])) {
        ASSERT_EQ(expected[n], 0);
        changed_signs += std::signbit(expected[n]) ? 0 : 1;
      } else {
        ASSERT_TRUE(same_bits(found[n], expected[n]))
            << describe(mac) << ": " << found[n] << " instead of " << expected[n];
      }
    }
  }
  std::printf("  %d problems unchanged, %d but for signs of zero, which %d outputs show\n",
              unchanged, signs, changed_signs);
  EXPECT_GT(unchanged, 1000);
  EXPECT_GT(signs, 100);
  EXPECT_GT(changed_signs, 0);
}

TEST(ZeroProducts, AreCountedInTheScanOfTheOperands) {
  std::vector<float> values(3000, 1.5F);
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] = i % 2 == 0 ? 0.0F : -0.0F;
  const NumberFormat format = NumberFormat::parse("e5m2");
  const OperandRange rows = scan_operand(OperandView::dense(values.data(), 30, 100, 100), format);
  EXPECT_EQ(rows.values, 3000);
  EXPECT_EQ(rows.zeros, 1000);
  EXPECT_NEAR(rows.zero_share(), 1.0 / 3, 1e-12);
  const OperandRange strided =
      scan_operand(OperandView::dense(values.data(), 500, 2, 6, 3), format);
  EXPECT_EQ(strided.zeros, 1000);
  ConvolutionPatches patches;
  patches.images = 3;
  patches.height = patches.width = 10;
  patches.channels = 10;
  patches.out_height = patches.out_width = 8;
  patches.kernel_height = patches.kernel_width = 3;
  EXPECT_EQ(scan_operand(OperandView::patches(values.data(), patches), format).zeros, 1000);
}

}  // namespace
}  // namespace narrowmac
