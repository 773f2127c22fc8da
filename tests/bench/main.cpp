// Not a test. scripts/bench runs this and prints a table; Google Benchmark's own options work, too.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>
#include <systemc>

#include "tests/bench/measure.h"

int sc_main(int argc, char** argv) {
  narrowmac::bench::register_designs();
  narrowmac::bench::register_layers();
  narrowmac::bench::register_steps();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  return 0;
}
