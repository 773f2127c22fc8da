#include "sim/experiment/run_pricer.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <variant>

#include "models/cost/liberty.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kSums = 128;
constexpr std::int64_t kLongestPiece = 256;

double element(const OperandMatrix& matrix, std::int64_t row, std::int64_t column) {
  const auto at = static_cast<std::size_t>(row * matrix.columns + column);
  return std::visit([at](const auto& values) { return static_cast<double>(values[at]); },
                    matrix.values);
}

/// Pieces that begin at places spread evenly over the sums: the first products of every sum would
/// be those of an image's border.
OperandTrace trace_of(const SampledOperands& sampled) {
  const std::int64_t length = sampled.a.columns;
  OperandTrace trace;
  trace.length = std::min(length, kLongestPiece);
  const std::int64_t outputs = sampled.a.rows * sampled.b.columns;
  for (std::int64_t sum = 0; sum < kSums; ++sum) {
    const std::int64_t output = sum % outputs;
    const std::int64_t first = (length - trace.length) * sum / (kSums - 1);
    for (std::int64_t k = first; k < first + trace.length; ++k) {
      trace.a.push_back(element(sampled.a, output / sampled.b.columns, k));
      trace.b.push_back(element(sampled.b, k, output % sampled.b.columns));
    }
  }
  return trace;
}

const OperandTrace* find_trace(const OperandTraces& traces, const std::string& layer, Pass pass) {
  const auto found = traces.find({layer, pass});
  return found == traces.end() ? nullptr : &found->second;
}

/// What has been priced before.
struct Priced {
  RtlDesign design;
  std::string layer;
  Pass pass;
  CostRecord record;
  [[nodiscard]] bool is(const RtlDesign& other, const std::string& its_layer, Pass its_pass) const {
    return its_pass == pass && its_layer == layer && other.mac == design.mac &&
           other.multiplier_stages == design.multiplier_stages &&
           other.adder_stages == design.adder_stages && other.interleave == design.interleave;
  }
};

}  // namespace

OperandTraces record_operands(const ReplayedStep& step, const MacAssignment& macs) {
  OperandTraces traces;
  step.run([&](const GemmRequest& gemm) {
    const MacDesign* const mac = macs.find(gemm.layer, gemm.pass);
    if (mac == nullptr) return;
    traces[{gemm.layer, gemm.pass}] = trace_of(sample_operands(gemm, *mac, kSums));
  });
  return traces;
}

MacPricer synthesis_pricer(const SynthesisSetup& setup) {
  const auto known = std::make_shared<std::deque<Priced>>();
  return [&setup, known](const RtlDesign& design, const std::string& layer, Pass pass) {
    for (const Priced& priced : *known) {
      if (priced.is(design, layer, pass)) return priced.record;
    }
    const std::string where = layer.empty() ? "" : fmt::format(", {} {}", layer, to_string(pass));
    if (setup.note) setup.note(fmt::format("pricing {}{}", describe(design.mac), where));
    const OperandTrace* const trace = find_trace(setup.operands, layer, pass);
    known->push_back(
        {design, layer, pass,
         estimate_by_synthesis(design, setup.liberty,
                               trace != nullptr ? *trace : normal_operands(design.mac, 0),
                               setup.cache)});
    return known->back().record;
  };
}

ArrayPrices prices_by_fit(const CostFit& fit, const MemoryCost& memory) {
  if (!fit.register_bit) {
    throw Error(
        fmt::format("the fit of {} has no [register], which an array needs; accepted: a "
                    "file that scripts/calibrate has made anew",
                    fit.library));
  }
  return {fit_pricer(fit),
          [](const MacDesign& mac, const std::string&, Pass) {
            return operand_activity(mac, normal_operands(mac, 0));
          },
          *fit.register_bit, memory};
}

ArrayPrices prices_by_synthesis(const SynthesisSetup& setup, const MemoryCost& memory) {
  return {synthesis_pricer(setup),
          [&setup](const MacDesign& mac, const std::string& layer, Pass pass) {
            const OperandTrace* const trace = find_trace(setup.operands, layer, pass);
            return operand_activity(mac, trace != nullptr ? *trace : normal_operands(mac, 0));
          },
          register_cost(read_liberty(setup.liberty)), memory};
}

}  // namespace narrowmac
