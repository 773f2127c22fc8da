#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "models/design/config.h"
#include "models/theory/accumulation_length.h"
#include "models/theory/mac_theory.h"
#include "sim/cli/commands.h"
#include "sim/cli/cycle_workload.h"
#include "sim/cli/image_shape.h"
#include "sim/cli/mac_argument.h"
#include "sim/cli/nonzero_ratios.h"

namespace narrowmac {
namespace {

constexpr int kProductMantissa = 5;  // of two e5m2 operands
constexpr std::int64_t kChunkLength = 64;

struct Assumptions {
  int product_mantissa = kProductMantissa;
  std::int64_t chunk = kChunkLength;
};

/// Options first, then the MAC file, then the published settings.
Assumptions assumptions_of(const PredictCommand& command) {
  Assumptions assumed;
  if (command.mac) {
    const MacDesign mac = read_mac_argument(*command.mac).mac;
    assumed.product_mantissa = product_mantissa(mac);
    if (!theory_of(mac, accumulation_order(mac), kChunkLength, 1)) {
      spdlog::warn(
          "{}: the theory describes float accumulators that take products one by one; the widths "
          "below are those of such an adder for products of {} mantissa bits",
          command.mac->string(), assumed.product_mantissa);
    }
    if (mac.chunk && mac.chunk->length > 0) assumed.chunk = mac.chunk->length;
  }
  if (command.product_mantissa) assumed.product_mantissa = *command.product_mantissa;
  if (command.chunk) assumed.chunk = *command.chunk;
  return assumed;
}

struct Prediction {
  const WorkloadGemm* gemm = nullptr;
  double nonzero_ratio = 1;
  int sequential = 0, chunked = 0;
};

std::vector<Prediction> predict(const Workload& workload, const Assumptions& assumed,
                                const NonzeroRatios& ratios) {
  std::vector<Prediction> predictions;
  for (const WorkloadGemm& gemm : workload.gemms) {
    if (!gemm.in_training) continue;
    Prediction prediction;
    prediction.gemm = &gemm;
    prediction.nonzero_ratio = ratios.of(gemm.layer, gemm.pass);
    Accumulation sum;
    sum.product_mantissa = assumed.product_mantissa;
    sum.length = gemm.shape.k;
    sum.nonzero_ratio = prediction.nonzero_ratio;
    prediction.sequential = minimum_mantissa(sum);
    sum.chunk = assumed.chunk;
    prediction.chunked = minimum_mantissa(sum);
    predictions.push_back(prediction);
  }
  return predictions;
}

ResultTable table_of(const std::vector<Prediction>& predictions, const Assumptions& assumed) {
  ResultTable table;
  table.columns = {"layer",
                   "pass",
                   "length",
                   "nonzero_ratio",
                   "product_mantissa",
                   "mantissa_sequential",
                   "mantissa_chunked"};
  for (const Prediction& prediction : predictions) {
    table.rows.push_back({prediction.gemm->layer, to_string(prediction.gemm->pass),
                          prediction.gemm->shape.k, prediction.nonzero_ratio,
                          assumed.product_mantissa, prediction.sequential, prediction.chunked});
  }
  return table;
}

/// The widest of each pass: what an array needs that computes all layers.
ResultTable widest(const std::vector<Prediction>& predictions) {
  ResultTable table;
  table.columns = {"widest of", "mantissa_sequential", "mantissa_chunked"};
  int sequential_of_all = 0, chunked_of_all = 0;
  for (const Pass pass : kPasses) {
    int sequential = 0, chunked = 0;
    for (const Prediction& prediction : predictions) {
      if (prediction.gemm->pass != pass) continue;
      sequential = std::max(sequential, prediction.sequential);
      chunked = std::max(chunked, prediction.chunked);
    }
    if (sequential > 0) table.rows.push_back({to_string(pass), sequential, chunked});
    sequential_of_all = std::max(sequential_of_all, sequential);
    chunked_of_all = std::max(chunked_of_all, chunked);
  }
  table.rows.push_back({"all passes", sequential_of_all, chunked_of_all});
  return table;
}

}  // namespace

int predict_command(const PredictCommand& command, OutputFormat format) {
  const Assumptions assumed = assumptions_of(command);
  const std::vector<Pass> passes(std::begin(kPasses), std::end(kPasses));
  std::optional<FeatureShape> input;
  if (command.input) input = image_shape(*command.input);
  const Workload workload = load_workload(command.network, passes, command.batch, input);
  const NonzeroRatios ratios =
      command.nonzero_ratios ? NonzeroRatios::parse(*command.nonzero_ratios) : NonzeroRatios();
  const std::vector<Prediction> predictions = predict(workload, assumed, ratios);
  const ResultTable table = table_of(predictions, assumed);
  if (format != OutputFormat::Table) {
    print(render(table, format));
    return 0;
  }
  print(fmt::format("{}, batch {}; products of {} mantissa bits; chunk {}\n\n", command.network,
                    workload.batch, assumed.product_mantissa, assumed.chunk) +
        render(table, format) + "\n" + render(widest(predictions), format));
  return 0;
}

}  // namespace narrowmac
