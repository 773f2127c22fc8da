#include <fmt/core.h>

#include <cmath>

#include "models/design/error.h"
#include "models/theory/accumulation_length.h"
#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

/// What a chunk choice is called; 0 stands for no chunk.
std::string chunk_text(std::int64_t chunk) {
  return chunk == 0 ? "sequential" : fmt::format("chunk {}", chunk);
}

/// Everything that the command prints, one row.
ResultTable results_of(const VrrCommand& command, int mantissa) {
  const Accumulation& sum = command.sum;
  const double loss = swamping_loss(mantissa, sum);
  ResultTable table;
  std::vector<Json> row;
  const auto add = [&](const char* column, Json value) {
    table.columns.emplace_back(column);
    row.push_back(std::move(value));
  };
  if (!command.accumulator_mantissa) add("minimum_mantissa", mantissa);
  add("vrr", 1 - loss);
  add("one_minus_vrr", loss);
  add("log_v", log_v(mantissa, sum));
  const AccumulationLevels parts = levels(mantissa, sum);
  add("log_v_chunk", parts.chunked ? Json(log_v(mantissa, parts.first)) : Json());
  add("log_v_sum_of_chunks", parts.chunked ? Json(log_v(mantissa, parts.second)) : Json());
  add("sufficient", is_sufficient(mantissa, sum));
  add("accumulator_mantissa", mantissa);
  add("product_mantissa", sum.product_mantissa);
  add("length", sum.length);
  add("chunk", sum.chunk);
  add("nonzero_ratio", sum.nonzero_ratio);
  const auto longest = longest_length(mantissa, sum);
  add("longest_length", longest ? Json(*longest) : Json());
  if (command.accumulator_mantissa) {
    add("best_chunk", least_loss_chunk(mantissa, sum));
  } else {
    const ChunkChoice best = best_chunk(sum);
    add("best_chunk", best.chunk);
    add("best_chunk_mantissa", best.minimum_mantissa);
  }
  table.rows.push_back(std::move(row));
  return table;
}

std::string level_text(int mantissa, const char* name, const AccumulationLevel& level) {
  const double value = log_v(mantissa, level);

  return fmt::format(
      "{}: {} terms of {} bits, 1 - VRR = {:.6g}, ln v = {:.6g} ({} ln 50 = 3.912)\n", name,
      level.length, level.product_mantissa,
      swamping_loss(mantissa, level.product_mantissa, level.length), value,
      value < kLogVThreshold ? "below" : "not below");
}

std::string for_people(const VrrCommand& command, int mantissa) {
  const Accumulation& sum = command.sum;
  const AccumulationLevels parts = levels(mantissa, sum);
  std::string text =
      fmt::format("accumulator of {} mantissa bits{}, {} products of {} bits, {}", mantissa,
                  command.accumulator_mantissa ? "" : " (the smallest that suffices)", sum.length,
                  sum.product_mantissa, chunk_text(sum.chunk));
  if (sum.nonzero_ratio < 1) text += fmt::format(", {:g} of them not zero", sum.nonzero_ratio);
  const double loss = swamping_loss(mantissa, sum);
  text += fmt::format("\nVRR = {:.9g}, 1 - VRR = {:.9g}\n", 1 - loss, loss);
  if (!parts.chunked) {
    text += level_text(mantissa, "the sum", parts.first);
  } else {
    text += level_text(mantissa, "a chunk", parts.first);
    text += level_text(mantissa, "the sum of chunks", parts.second);
  }
  text += is_sufficient(mantissa, sum) ? "sufficient" : "not sufficient";
  if (mantissa < sum.product_mantissa) text += ": the theory needs the products' mantissa at least";
  if (const auto longest = longest_length(mantissa, sum)) {
    text += *longest == kMaxTheoryLength
                ? "; any length up to 2^40 is"
                : fmt::format("; the longest sum that {} bits suffice for: {}", mantissa, *longest);
  }
  if (command.accumulator_mantissa) {
    return text + fmt::format("\nleast loss at {} bits: {}\n", mantissa,
                              chunk_text(least_loss_chunk(mantissa, sum)));
  }
  const ChunkChoice best = best_chunk(sum);
  return text +
         fmt::format("\nfewest bits: {}, {} bits\n", chunk_text(best.chunk), best.minimum_mantissa);
}

}  // namespace

int vrr_command(const VrrCommand& command, OutputFormat format) {
  if (!command.find && !command.accumulator_mantissa) {
    throw Error("vrr: found neither --accumulator-mantissa M nor --find; accepted: one of them");
  }
  const int mantissa =
      command.accumulator_mantissa ? *command.accumulator_mantissa : minimum_mantissa(command.sum);
  if (format == OutputFormat::Table) {
    print(for_people(command, mantissa));
    return 0;
  }
  const ResultTable table = results_of(command, mantissa);
  if (format == OutputFormat::Csv) {
    print(render(table, format));
    return 0;
  }
  Json::Object object = {{"schema", 1}};
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    object.emplace_back(table.columns[i], table.rows.front()[i]);
  }
  print(Json(std::move(object)).to_text());
  return 0;
}

}  // namespace narrowmac
