#include "tests/bench/measure.h"

#include <cblas.h>
#include <tbb/global_control.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "models/numerics/convert.h"

namespace narrowmac::bench {
namespace {

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Seconds seconds_of(const std::function<void()>& work) {
  const Seconds start = now();
  work();
  const Seconds end = now();
  return {end.wall - start.wall, end.cpu - start.cpu};
}

}  // namespace

Seconds now() { return {seconds_of(CLOCK_MONOTONIC), seconds_of(CLOCK_PROCESS_CPUTIME_ID)}; }

void race(benchmark::State& state, int threads, std::int64_t macs,
          const std::function<void()>& baseline, const std::function<void()>& work) {
  const tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads));
  baseline();  // caches, pages and threads exist before anything is timed
  work();
  Seconds of_baseline, of_work;
  for (auto unused : state) {
    (void)unused;
    const Seconds first = seconds_of(baseline);
    const Seconds second = seconds_of(work);
    of_baseline.wall += first.wall;
    of_baseline.cpu += first.cpu;
    of_work.wall += second.wall;
    of_work.cpu += second.cpu;
    state.SetIterationTime(second.wall);
  }
  const auto of = [&](const Seconds& seconds) { return threads == 1 ? seconds.cpu : seconds.wall; };
  const double rounds = static_cast<double>(state.iterations());
  state.counters["GMAC/s"] = rounds * static_cast<double>(macs) / of(of_work) / 1e9;
  state.counters["baseline_GMAC/s"] = rounds * static_cast<double>(macs) / of(of_baseline) / 1e9;
  state.counters["ratio"] = of(of_baseline) / of(of_work);
}

std::vector<float> gaussian(std::int64_t count, const NumberFormat& format, unsigned seed,
                            double zero_share) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::bernoulli_distribution is_zero(zero_share);
  const double scale = format.is_fixed() ? format.max_value() / 4 : 1.0;
  Conversion to;
  to.format = format;
  to.overflow = Overflow::Saturate;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    const double drawn = normal(generator) * scale;
    value = is_zero(generator) ? 0.0F : static_cast<float>(convert(drawn, to));
  }
  return values;
}

std::vector<float> any_value(std::int64_t count, const NumberFormat& format, unsigned seed) {
  std::mt19937 generator(seed);
  const int quantum = format.min_quantum_exponent();
  std::uniform_int_distribution<int> exponent(format.min_exponent() - 1, format.max_exponent());
  std::uniform_int_distribution<int> fraction(0, (1 << format.fraction_bits) - 1);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    const int e = exponent(generator);
    const int f = fraction(generator);
    const bool subnormal = e < format.min_exponent();
    const double magnitude =
        subnormal ? std::ldexp(f, quantum)
                  : std::ldexp(f + (1 << format.fraction_bits), e - format.fraction_bits);
    const bool fits = magnitude <= format.max_value();
    value = static_cast<float>(fits ? magnitude : format.max_value());
    if (generator() % 2 == 0) value = -value;
  }
  return values;
}

}  // namespace narrowmac::bench
