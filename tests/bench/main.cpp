// Not a test. scripts/bench runs this and prints a table; Google Benchmark's own options work, too.
#include <benchmark/benchmark.h>
#include <hwy/highway.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <systemc>

#include "tests/bench/measure.h"

namespace {

/// Restricts kernels to vector instructions by Highway's name, such as AVX2; false if this
/// processor has none of that name.
bool use_target(const std::string& name) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name != hwy::TargetName(target)) continue;
    hwy::SetSupportedTargetsForTest(target);
    return true;
  }
  return false;
}

}  // namespace

int sc_main(int argc, char** argv) {
  const char* target = std::getenv("NARROWMAC_BENCH_TARGET");
  if (target != nullptr && !use_target(target)) {
    std::fprintf(stderr, "error: NARROWMAC_BENCH_TARGET: found %s; accepted:", target);
    for (const std::int64_t known : hwy::SupportedAndGeneratedTargets()) {
      std::fprintf(stderr, " %s", hwy::TargetName(known));
    }
    std::fprintf(stderr, "\n");
    return 2;
  }
  narrowmac::bench::register_designs();
  narrowmac::bench::register_layers();
  narrowmac::bench::register_steps();
  narrowmac::bench::register_array();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  benchmark::ClearRegisteredBenchmarks();  // simulations end before SystemC does
  return 0;
}
