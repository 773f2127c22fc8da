// GEMM through the kernels, as the ratio to OpenBLAS sgemm of the same shape in the same process,
// on one thread.
#include <benchmark/benchmark.h>
#include <cblas.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "models/numerics/convert.h"
#include "models/numerics/gemm.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kM = 128;
constexpr std::int64_t kN = 128;
constexpr std::int64_t kK = 1024;

/// Gaussian operands of a format.
std::vector<float> gaussian(std::int64_t count, const NumberFormat& format, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  const double scale = format.is_fixed() ? format.max_value() / 4 : 1.0;
  Conversion to;
  to.format = format;
  to.overflow = Overflow::Saturate;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(convert(normal(generator) * scale, to));
  return values;
}

/// Best of several sgemm calls, in billions of multiply-accumulates a second.
double sgemm_rate() {
  static const double rate = [] {
    openblas_set_num_threads(1);
    const NumberFormat format = NumberFormat::parse("e5m2");
    const std::vector<float> a = gaussian(kM * kK, format, 1);
    const std::vector<float> b = gaussian(kK * kN, format, 2);
    std::vector<float> c(static_cast<std::size_t>(kM * kN));
    double best = 0;
    for (int i = 0; i < 60; ++i) {
      const auto start = std::chrono::steady_clock::now();
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kM, kN, kK, 1.0F, a.data(), kK,
                  b.data(), kN, 0.0F, c.data(), kN);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      best = std::max(best, static_cast<double>(kM * kN * kK) / seconds.count() / 1e9);
    }
    return best;
  }();
  return rate;
}

struct Design {
  const char* name;
  const char* operands;
  const char* accumulator;
  Overflow overflow;
  std::int64_t chunk;
};
constexpr Design kDesigns[] = {
    {"e6m9", "e5m2", "e6m9", Overflow::Infinity, 0},
    {"e6m9_chunk64", "e5m2", "e6m9", Overflow::Infinity, 64},
    {"e6m4", "e5m2", "e6m4", Overflow::Infinity, 0},
    {"e6m3", "e5m2", "e6m3", Overflow::Infinity, 0},
    {"e6m3_chunk64", "e5m2", "e6m3", Overflow::Infinity, 64},
    {"e4m3_into_e5m9_saturate", "e4m3", "e5m9", Overflow::Saturate, 0},
    {"fp32_accumulator", "e5m2", "fp32", Overflow::Infinity, 0},
    {"e8m15", "e5m2", "e8m15", Overflow::Infinity, 0},
    {"fp16_into_e5m10", "fp16", "e5m10", Overflow::Infinity, 0},
    {"int8_into_fx24", "int8", "fx24.0", Overflow::Saturate, 0},
    {"int8_into_fx16.-4", "int8", "fx16.-4", Overflow::Saturate, 0},
    {"int8_into_fx32", "int8", "fx32.0", Overflow::Saturate, 0},
};

void run_design(benchmark::State& state, const Design& design, bool observed) {
  const tbb::global_control control(tbb::global_control::max_allowed_parallelism, 1);
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse(design.operands);
  mac.accumulator.format = NumberFormat::parse(design.accumulator);
  mac.accumulator.overflow = design.overflow;
  if (design.chunk > 0) mac.chunk = Chunk{design.chunk, mac.accumulator};
  const std::vector<float> a = gaussian(kM * kK, mac.a, 1);
  const std::vector<float> b = gaussian(kK * kN, mac.b, 2);
  std::vector<float> c(static_cast<std::size_t>(kM * kN));
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(a.data(), kM, kK, kK);
  problem.b = OperandView::dense(b.data(), kK, kN, kN);
  const double sgemm = sgemm_rate();
  const std::optional<Observation> observation =
      observed ? std::optional(Observation{}) : std::nullopt;
  double best = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(gemm(problem, OutputView::of(c.data(), kN), observation));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(kM * kN * kK) / seconds.count() / 1e9);
  }
  state.counters["GMAC/s"] = best;
  state.counters["x_sgemm"] = best / sgemm;
}

/// The scalar reference on a smaller problem: the yardstick of what the plans gain.
void run_reference(benchmark::State& state) {
  const tbb::global_control control(tbb::global_control::max_allowed_parallelism, 1);
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  const std::vector<float> a = gaussian(8 * kK, mac.a, 1);
  const std::vector<float> b = gaussian(kK * 8, mac.b, 2);
  std::vector<float> c(64);
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(a.data(), 8, kK, kK);
  problem.b = OperandView::dense(b.data(), kK, 8, 8);
  double best = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    reference_gemm(problem, OutputView::of(c.data(), 8));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(64 * kK) / seconds.count() / 1e9);
  }
  state.counters["GMAC/s"] = best;
  state.counters["x_sgemm"] = best / sgemm_rate();
}

}  // namespace
}  // namespace narrowmac

int main(int argc, char** argv) {
  using namespace narrowmac;  // NOLINT(google-build-using-namespace)
  for (const Design& design : kDesigns) {
    benchmark::RegisterBenchmark(
        (std::string("gemm/") + design.name).c_str(),
        [&design](benchmark::State& state) { run_design(state, design, false); });
    benchmark::RegisterBenchmark(
        (std::string("gemm_with_statistics/") + design.name).c_str(),
        [&design](benchmark::State& state) { run_design(state, design, true); });
  }
  benchmark::RegisterBenchmark("reference/e6m9", run_reference);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
