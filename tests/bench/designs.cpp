// One GEMM of 128 x 128 x 1024 through the kernel of each design, against OpenBLAS sgemm.
#include <cblas.h>

#include <string>

#include "models/numerics/gemm.h"
#include "models/numerics/reference.h"
#include "tests/bench/measure.h"

namespace narrowmac::bench {
namespace {

constexpr std::int64_t kM = 128;
constexpr std::int64_t kN = 128;
constexpr std::int64_t kK = 1024;

enum class Values { Gaussian, Any };

struct Design {
  const char* name;
  const char* operands;
  const char* accumulator;
  Overflow overflow = Overflow::Infinity;
  RoundingMode rounding = RoundingMode::NearestEven;
  std::int64_t chunk = 0;
  double zero_share = 0;  ///< of A
  Values values = Values::Gaussian;
  Dot dot = {};  ///< terms 0: none
  bool exact = false;
};

constexpr Design kDesigns[] = {
    {.name = "e5m2 into e6m9", .operands = "e5m2", .accumulator = "e6m9"},
    {.name = "e5m2 into e6m9, chunk 64", .operands = "e5m2", .accumulator = "e6m9", .chunk = 64},
    {.name = "e5m2 into e6m9, half of A zero",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .zero_share = 0.5},
    {.name = "e5m2 into e6m9, three quarters of A zero",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .zero_share = 0.75},
    {.name = "e5m2 into e6m9, chunk 64, half of A zero",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .chunk = 64,
     .zero_share = 0.5},
    {.name = "e4m3 into e5m9, saturating, subnormals",
     .operands = "e4m3",
     .accumulator = "e5m9",
     .overflow = Overflow::Saturate,
     .values = Values::Any},
    {.name = "e5m2 into e6m4, any values",
     .operands = "e5m2",
     .accumulator = "e6m4",
     .values = Values::Any},
    {.name = "e5m2 into e6m3, any values",
     .operands = "e5m2",
     .accumulator = "e6m3",
     .values = Values::Any},
    {.name = "e5m2 into e6m3", .operands = "e5m2", .accumulator = "e6m3"},
    {.name = "e5m2 into e6m9, stochastic, 8 bits",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .rounding = RoundingMode::Stochastic},
    {.name = "e5m2 into e6m9, toward zero",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .rounding = RoundingMode::TowardZero},
    {.name = "e5m2 into e6m9, truncate-aligned",
     .operands = "e5m2",
     .accumulator = "e6m9",
     .rounding = RoundingMode::TruncateAligned},
    {.name = "e4m3fn into fp32, dot of 32 at 13 bits",
     .operands = "e4m3fn",
     .accumulator = "fp32",
     .rounding = RoundingMode::TowardZero,
     .dot = {.terms = 32, .fraction_bits = 13}},
    {.name = "fp16 into fp32, dot of 4 at 23 bits",
     .operands = "fp16",
     .accumulator = "fp32",
     .rounding = RoundingMode::TowardZero,
     .dot = {.terms = 4, .fraction_bits = 23}},
    {.name = "fp16 into fp32, dot of 16 at 25 bits",
     .operands = "fp16",
     .accumulator = "fp32",
     .rounding = RoundingMode::TowardZero,
     .dot = {.terms = 16, .fraction_bits = 25}},
    {.name = "e5m2 into e6m9, exact", .operands = "e5m2", .accumulator = "e6m9", .exact = true},
    {.name = "fp16 into fp32, exact", .operands = "fp16", .accumulator = "fp32", .exact = true},
    {.name = "e5m2 into e8m15", .operands = "e5m2", .accumulator = "e8m15"},
    {.name = "e5m2 into e8m22", .operands = "e5m2", .accumulator = "e8m22"},
    {.name = "fp16 into e5m10", .operands = "fp16", .accumulator = "e5m10"},
    {.name = "e5m2 into fp32", .operands = "e5m2", .accumulator = "fp32"},
    {.name = "int8 into fx16.0, saturating",
     .operands = "int8",
     .accumulator = "fx16.0",
     .overflow = Overflow::Saturate},
    {.name = "int8 into fx16.-4, saturating",
     .operands = "int8",
     .accumulator = "fx16.-4",
     .overflow = Overflow::Saturate},
    {.name = "int8 into fx32.0, saturating",
     .operands = "int8",
     .accumulator = "fx32.0",
     .overflow = Overflow::Saturate},
    {.name = "int8 into fx16.0, wrapping",
     .operands = "int8",
     .accumulator = "fx16.0",
     .overflow = Overflow::Wrap},
};

MacDesign mac_of(const Design& design) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse(design.operands);
  mac.accumulator.format = NumberFormat::parse(design.accumulator);
  mac.accumulator.overflow = design.overflow;
  mac.accumulator.rounding.mode = design.rounding;
  if (design.rounding == RoundingMode::Stochastic) mac.accumulator.rounding.random_bits = 8;
  if (design.chunk > 0) mac.chunk = Chunk{design.chunk, mac.accumulator};
  if (design.dot.terms > 0) mac.dot = design.dot;
  mac.exact = design.exact;
  return mac;
}

void run_design(benchmark::State& state, const Design& design, int threads, bool observed) {
  const MacDesign mac = mac_of(design);
  const bool any = design.values == Values::Any;
  const std::vector<float> a =
      any ? any_value(kM * kK, mac.a, 1) : gaussian(kM * kK, mac.a, 1, design.zero_share);
  const std::vector<float> b = any ? any_value(kK * kN, mac.b, 2) : gaussian(kK * kN, mac.b, 2);
  std::vector<float> c(static_cast<std::size_t>(kM * kN));
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(a.data(), kM, kK, kK);
  problem.b = OperandView::dense(b.data(), kK, kN, kN);
  const auto observe = observed ? std::optional(Observation{}) : std::nullopt;
  openblas_set_num_threads(threads);
  race(
      state, threads, kM * kN * kK,
      [&] {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kM, kN, kK, 1.0F, a.data(), kK,
                    b.data(), kN, 0.0F, c.data(), kN);
      },
      [&] { benchmark::DoNotOptimize(gemm(problem, OutputView::of(c.data(), kN), observe)); });
}

/// The exact scalar reference on 8 x 8 outputs: the yardstick of what plans gain.
void run_reference(benchmark::State& state) {
  const MacDesign mac = mac_of(kDesigns[0]);
  const std::vector<float> a = gaussian(8 * kK, mac.a, 1);
  const std::vector<float> b = gaussian(kK * 8, mac.b, 2);
  std::vector<float> c(64);
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(a.data(), 8, kK, kK);
  problem.b = OperandView::dense(b.data(), kK, 8, 8);
  openblas_set_num_threads(1);
  race(
      state, 1, 64 * kK,
      [&] {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 8, 8, kK, 1.0F, a.data(), kK,
                    b.data(), 8, 0.0F, c.data(), 8);
      },
      [&] { reference_gemm(problem, OutputView::of(c.data(), 8)); });
}

}  // namespace

void register_designs() {
  for (const Design& design : kDesigns) {
    for (const int threads : {1, 2}) {
      const std::string name =
          "gemm/" + std::string(design.name) + "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(name.c_str(), [&design, threads](benchmark::State& state) {
        run_design(state, design, threads, false);
      })->UseManualTime();
    }
  }
  benchmark::RegisterBenchmark(
      "statistics/e5m2 into e6m9, every output/threads:1",
      [](benchmark::State& state) { run_design(state, kDesigns[0], 1, true); })
      ->UseManualTime();
  benchmark::RegisterBenchmark("reference/e5m2 into e6m9, 8 x 8 outputs/threads:1", run_reference)
      ->UseManualTime();
}

}  // namespace narrowmac::bench
