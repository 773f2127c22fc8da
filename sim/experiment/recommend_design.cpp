#include "sim/experiment/recommend_design.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "models/design/array_design.h"
#include "models/design/error.h"
#include "sim/experiment/plan.h"

namespace narrowmac {
namespace {

const MacDesign& pass_mac(const RunConfig& config, Pass pass) {
  return *config.training.macs.find("", pass);
}

bool has_mantissa(const Conversion& accumulator) {
  return accumulator.format.family == NumberFormat::Family::Float;
}

/// What makes a pass's MAC none that a mantissa could be chosen for; empty: nothing.
std::string obstacle(const MacDesign& mac) {
  if (mac.dot || mac.exact) return fmt::format("order \"{}\"", to_string(mac.order()));
  if (!has_mantissa(mac.accumulator)) return mac.accumulator.format.to_string();
  if (mac.chunk && !has_mantissa(mac.chunk->accumulator)) {
    return mac.chunk->accumulator.format.to_string();
  }
  return "";
}

void set_passes(RunConfig& config, const std::array<MacDesign, 3>& macs) {
  for (const Pass pass : kPasses) {
    config.training.macs.set(pass, macs[static_cast<std::size_t>(pass)]);
  }
  config.mac = macs.front();
}

}  // namespace

NumberFormat PassAccumulators::format(Pass pass) const {
  const auto index = static_cast<std::size_t>(pass);
  return NumberFormat::parse(fmt::format("e{}m{}", exponents[index], mantissas[index]));
}

std::string chunk_name(std::int64_t chunk) {
  return chunk == 0 ? "sequential" : fmt::format("chunk {}", chunk);
}

std::string describe(const PassAccumulators& accumulators) {
  std::vector<std::string> parts;
  for (const Pass pass : kPasses) {
    if (accumulators.mantissas[static_cast<std::size_t>(pass)] == 0) continue;
    parts.push_back(fmt::format("{} {}", to_string(pass), accumulators.format(pass).to_string()));
  }
  parts.push_back(chunk_name(accumulators.chunk));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<PlannedGemm> planned_step(const RunConfig& config) {
  const ImageFacts images = read_image_facts(config.data.kind, config.data.folder);
  const std::int64_t used = config.data.train_images > 0 ? config.data.train_images : images.count;
  return plan_step(config, images.shape, images.classes, std::min(config.training.batch, used));
}

std::vector<StepGemm> step_gemms(const RunConfig& config) {
  const auto& own = config.training.macs.layers();
  std::vector<StepGemm> gemms;
  for (const PlannedGemm& gemm : planned_step(config)) {
    const auto entry = own.find(gemm.layer);
    const bool has_own =
        entry != own.end() && entry->second[static_cast<std::size_t>(gemm.pass)].has_value();
    gemms.push_back({gemm.layer, gemm.pass, gemm.shape, has_own});
  }
  return gemms;
}

void check_recommendable(const RunConfig& config, const std::vector<StepGemm>& gemms,
                         const std::string& file) {
  if (!config.mac) {
    throw Error(fmt::format(
        "{}: found no [mac], so it trains in fp32; accepted: a run file with [mac], whose "
        "rounding, exponents and operands the recommendation keeps",
        file));
  }
  for (const Pass pass : kPasses) {
    const std::string found = obstacle(pass_mac(config, pass));
    if (found.empty()) continue;
    throw Error(
        fmt::format("{}: [mac], pass {}: found {}; accepted: an accumulator eXmY, in "
                    "sequence or in chunks, since a mantissa is what is recommended",
                    file, to_string(pass), found));
  }
  if (std::all_of(gemms.begin(), gemms.end(), [](const StepGemm& g) { return g.has_own_mac; })) {
    throw Error(
        fmt::format("{}: every layer has a MAC of its own ([[mac.layer]] or "
                    "accumulator_mantissa); accepted: at least one that has the pass's",
                    file));
  }
}

void check_chunk(const RunConfig& config, const std::vector<StepGemm>& gemms, std::int64_t chunk) {
  for (const StepGemm& gemm : gemms) {
    if (gemm.has_own_mac) continue;
    const MacDesign& mac = pass_mac(config, gemm.pass);
    const AccumulationOrder order =
        accumulation_order(with_accumulator(mac, chunk, mac.accumulator.format), config.array);
    check_length(order, gemm.shape.k);
    if (order.chunk.has_value() != (chunk > 0)) {
      throw Error(fmt::format("{}: the array ({}) adds in sequence", chunk_name(chunk),
                              describe(config.array)));
    }
  }
}

std::vector<std::int64_t> possible_chunks(const RunConfig& config,
                                          const std::vector<StepGemm>& gemms) {
  std::int64_t longest = 0;
  for (const StepGemm& gemm : gemms) {
    if (!gemm.has_own_mac) longest = std::max(longest, gemm.shape.k);
  }
  std::set<std::int64_t> wanted = {0, 16, 64, 256};
  for (const Pass pass : kPasses) {
    if (const auto& chunk = pass_mac(config, pass).chunk) wanted.insert(chunk->length);
  }
  if (config.array.dataflow != Dataflow::OutputStationary) wanted.insert(config.array.rows);
  std::vector<std::int64_t> possible;
  for (const std::int64_t chunk : wanted) {
    if (chunk >= longest) continue;
    try {
      check_chunk(config, gemms, chunk);
      possible.push_back(chunk);
    } catch (const Error&) {  // not in this array
    }
  }
  return possible;
}

MacDesign with_accumulator(const MacDesign& mac, std::int64_t chunk, const NumberFormat& format) {
  MacDesign changed = mac;
  changed.accumulator.format = format;
  if (chunk == 0) {
    changed.chunk.reset();
  } else {
    if (!changed.chunk) changed.chunk = Chunk{chunk, mac.accumulator};
    changed.chunk->length = chunk;
    changed.chunk->accumulator.format = format;
  }
  validate(changed);
  return changed;
}

RunConfig with_accumulators(const RunConfig& config, const PassAccumulators& accumulators) {
  RunConfig changed = config;
  std::array<MacDesign, 3> macs;
  for (const Pass pass : kPasses) {
    const auto index = static_cast<std::size_t>(pass);
    macs[index] = pass_mac(config, pass);
    if (accumulators.mantissas[index] == 0) continue;
    macs[index] = with_accumulator(macs[index], accumulators.chunk, accumulators.format(pass));
  }
  set_passes(changed, macs);
  return changed;
}

RunConfig with_wide_accumulators(const RunConfig& config, std::int64_t chunk) {
  RunConfig changed = config;
  changed.training.macs.clear();
  std::array<MacDesign, 3> macs;
  for (const Pass pass : kPasses) {
    MacDesign mac = pass_mac(config, pass);
    mac.accumulator.rounding = {};
    mac.chunk.reset();  // a new one takes over the accumulator's rounding
    macs[static_cast<std::size_t>(pass)] =
        with_accumulator(mac, chunk, NumberFormat::parse("fp32"));
  }
  set_passes(changed, macs);
  return changed;
}

}  // namespace narrowmac
