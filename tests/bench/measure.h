#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "models/design/number_format.h"

namespace narrowmac::bench {

/// Seconds of one clock pair: wall and CPU time of the process, all threads together.
struct Seconds {
  double wall = 0;
  double cpu = 0;
};
Seconds now();

/// Runs the baseline and the work in turns, so that both meet the same state of the machine, and
/// reports GMAC/s, and the ratio of their times: above 1 the work is faster. One thread: CPU time;
/// more: wall time, in which TBB and OpenBLAS are given `threads` threads each.
void race(benchmark::State& state, int threads, std::int64_t macs,
          const std::function<void()>& baseline, const std::function<void()>& work);

/// Gaussian values of a format (fixed point: a quarter of the range is one deviation), of which
/// `zero_share` are zero.
std::vector<float> gaussian(std::int64_t count, const NumberFormat& format, unsigned seed,
                            double zero_share = 0);
/// Finite values of a format, each code equally likely: every exponent, subnormals too.
std::vector<float> any_value(std::int64_t count, const NumberFormat& format, unsigned seed);

/// Each registers its benchmarks.
void register_designs();
void register_layers();
void register_steps();
void register_array();

}  // namespace narrowmac::bench
