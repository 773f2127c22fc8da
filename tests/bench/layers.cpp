// The GEMMs of training, each layer and pass with e5m2 operands and e6m9 accumulators, against the
// same request through OpenBLAS (patches packed into panels, sgemm on them).
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "sim/accelerators/functional.h"
#include "tests/bench/measure.h"
#include "tests/bench/training_setup.h"

namespace narrowmac::bench {
namespace {

constexpr int kStepsBeforeRecording = 40;  // activations and gradients as sparse as in training

enum class Operands { Dense, HalfZero, Recorded };

/// The recorded step of a network; made when the first benchmark needs it.
const std::vector<RecordedRequest>& recorded_step(const std::string& network) {
  static std::map<std::string, std::vector<RecordedRequest>> steps;
  auto& step = steps[network];
  if (step.empty()) {
    TrainingSetup setup(network, {});
    const int steps_before = network == "cnn" ? kStepsBeforeRecording : 0;
    for (int i = 0; i < steps_before; ++i) setup.trainer().step();
    step = setup.record_step();
  }
  return step;
}

void run_layer(benchmark::State& state, const std::string& network, const std::string& layer,
               Pass pass, Operands operands, int threads) {
  const auto& step = recorded_step(network);
  const auto found = std::find_if(step.begin(), step.end(), [&](const RecordedRequest& request) {
    return request.layer() == layer && request.pass() == pass;
  });
  if (found == step.end()) throw std::logic_error("no such GEMM: " + layer);
  RecordedRequest recorded = operands == Operands::Recorded
                                 ? *found
                                 : found->with_gaussian(operands == Operands::HalfZero ? 0.5 : 0.0);
  static FunctionalAccelerator array{ArrayDesign{}};
  const GemmRequest on_array = recorded.request();
  GemmRequest plain = on_array;
  plain.mac = nullptr;
  race(
      state, threads, recorded.macs(), [&] { (void)array.execute(plain); },
      [&] { (void)array.execute(on_array); });
}

struct Case {
  const char* network;
  const char* layer;
  bool first = false;  ///< no BWD
};
constexpr Case kCases[] = {{"cnn", "conv1", true},
                           {"cnn", "conv2"},
                           {"cnn", "fc1"},
                           {"resnet20", "conv1", true},
                           {"resnet20", "stage1_block1_conv1"},
                           {"resnet20", "stage2_block1_conv1"},
                           {"resnet20", "stage2_block2_conv1"},
                           {"resnet20", "stage3_block1_conv1"},
                           {"resnet20", "stage3_block2_conv1"}};

void register_case(const Case& layer, Pass pass, Operands operands) {
  const char* kind = operands == Operands::Dense      ? "dense"
                     : operands == Operands::HalfZero ? "half of X zero"
                                                      : "a real step's operands";
  for (const int threads : {1, 2}) {
    const std::string name = "layer/" + std::string(layer.network) + " " + layer.layer + " " +
                             std::string(to_string(pass)) + ", " + kind +
                             "/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(name.c_str(), [layer, pass, operands,
                                                threads](benchmark::State& state) {
      run_layer(state, layer.network, layer.layer, pass, operands, threads);
    })->UseManualTime();
  }
}

}  // namespace

void register_layers() {
  for (const Case& layer : kCases) {
    for (const Pass pass : {Pass::Forward, Pass::Backward, Pass::Gradient}) {
      if (layer.first && pass == Pass::Backward) continue;
      register_case(layer, pass, Operands::Dense);
      if (pass != Pass::Backward) register_case(layer, pass, Operands::HalfZero);
      if (std::string(layer.network) == "cnn") register_case(layer, pass, Operands::Recorded);
    }
  }
}

}  // namespace narrowmac::bench
