// Whole training steps through the bit-true array, against the fp32 step: unrounded tensors,
// OpenBLAS.
#include <map>
#include <memory>
#include <string>

#include "tests/bench/measure.h"
#include "tests/bench/training_setup.h"

namespace narrowmac::bench {
namespace {

struct Design {
  const char* name;
  std::vector<std::string> set;
};

const std::vector<Design>& designs() {
  static const std::vector<Design> kDesigns = {
      {"e6m9", {"mac.accumulator=\"e6m9\""}},
      {"e6m9, no statistics", {"mac.accumulator=\"e6m9\"", "observe.sample=0"}},
      {"e6m9, chunk 64",
       {"mac.accumulator=\"e6m9\"", "mac.chunk={length=64, accumulator=\"e6m9\"}"}},
      {"e6m3", {"mac.accumulator=\"e6m3\""}},
      {"e6m9, stochastic, 8 bits",
       {"mac.accumulator=\"e6m9\"", "mac.rounding=\"stochastic\"", "mac.random_bits=8"}},
  };
  return kDesigns;
}

/// A pair of runs that are stepped in turns. The sample of observed steps is one in 16, so a round
/// is 16 steps.
void run_steps(benchmark::State& state, const std::string& network, const Design& design,
               int threads) {
  TrainingSetup plain(network, {"mac=false", "formats=false"});
  TrainingSetup on_array(network, design.set);
  const int steps = network == "cnn" ? 16 : 1;
  const auto run = [steps](TrainingSetup& setup) {
    for (int i = 0; i < steps; ++i) setup.trainer().step();
  };
  race(
      state, threads, steps * on_array.step_macs(), [&] { run(plain); }, [&] { run(on_array); });
}

/// 8-bit operands, exact accumulators: with plain formats and a power-of-two scale per tensor, or
/// as codes with any scale and zero point, gradients of 5 bits.
void run_quantised_steps(benchmark::State& state, const std::string& network,
                         const std::string& scheme, int threads) {
  const std::vector<std::string> common = {
      "formats=false", "mac={accumulator=\"fx32.0\", overflow=\"saturate\"}", "observe.sample=0"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> set = common;
    set.insert(set.end(), more.begin(), more.end());
    return set;
  };
  const char* integer = "{format=\"int8\", scaling=\"max-abs\"}";
  TrainingSetup plain(network,
                      with({std::string("formats={activation=") + integer + ", weight=" + integer +
                            ", gradient={format=\"int8\", scaling=\"max-abs\", "
                            "rounding=\"stochastic\", random_bits=8}}"}));
  TrainingSetup quantised(network,
                          with({"quantization={gradient=\"" + scheme + "\", gradient_bits=5}"}));
  race(
      state, threads, quantised.step_macs(), [&] { plain.trainer().step(); },
      [&] { quantised.trainer().step(); });
}

/// Fixed point as in configs/experiments/seed-fixed-cnn.toml's middle layers: rounding weight
/// gradients and keeping residuals, against the same operands and accumulators with fp32 weights.
void run_fixed_point_steps(benchmark::State& state, const std::string& network, int threads) {
  const auto format = [](const std::string& name) {
    return "{format=\"" + name + "\", scaling=\"none\", rounding=\"nearest-away\"}";
  };
  const std::string operands = "activation=" + format("ufx5.4") + ", weight=" + format("fx8.7") +
                               ", gradient=" + format("fx9.15");
  const std::string mac = "mac={accumulator=\"fx20.15\", overflow=\"saturate\"}";
  TrainingSetup plain(network, {mac, "formats={" + operands + "}", "observe.sample=0"});
  TrainingSetup fixed(network, {mac,
                                "formats={" + operands + ", weight_gradient=" + format("fx8.10") +
                                    ", weight_residual=" + format("fx12.19") + "}",
                                "observe.sample=0"});
  race(
      state, threads, fixed.step_macs(), [&] { plain.trainer().step(); },
      [&] { fixed.trainer().step(); });
}

void register_fixed_point_steps() {
  for (const std::string network : {"cnn", "resnet8"}) {
    const std::string name = "fixed-point/" + network + "/threads:1";
    benchmark::RegisterBenchmark(
        name.c_str(),
        [network](benchmark::State& state) { run_fixed_point_steps(state, network, 1); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
}

void register_quantised_steps() {
  for (const std::string network : {"cnn", "resnet8"}) {
    for (const std::string scheme : {"ptq", "psq", "bhq"}) {
      for (const int threads : {1, 2}) {
        const std::string name =
            "quantised/" + network + ", " + scheme + "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [network, scheme, threads](benchmark::State& state) {
                                       run_quantised_steps(state, network, scheme, threads);
                                     })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace

void register_steps() {
  register_quantised_steps();
  register_fixed_point_steps();
  for (const char* network : {"cnn", "resnet20"}) {
    for (const Design& design : designs()) {
      for (const int threads : {1, 2}) {
        const std::string name = "step/" + std::string(network) + ", " + design.name +
                                 "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [network, &design, threads](benchmark::State& state) {
                                       run_steps(state, network, design, threads);
                                     })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace narrowmac::bench
