#include "models/design/array_design.h"

#include <fmt/core.h>

#include "models/design/error.h"

namespace narrowmac {
namespace {

bool is_buffered(const ArrayDesign& array) {
  return array.dataflow != Dataflow::OutputStationary && array.psum == Psum::Buffer;
}

void validate_range(std::string_view name, int value, int low, int high) {
  if (value < low || value > high) {
    throw Error(fmt::format("array {} = {}; accepted: {}..{}", name, value, low, high));
  }
}

void validate_memory(const MemoryDesign& memory) {
  const auto positive = [](std::string_view name, double value) {
    if (!(value > 0)) {
      throw Error(fmt::format("memory {} = {}; accepted: above 0", name, value));
    }
  };
  positive("operand_scratchpad_bytes", static_cast<double>(memory.operand_scratchpad_bytes));
  positive("psum_scratchpad_bytes", static_cast<double>(memory.psum_scratchpad_bytes));
  positive("scratchpad_bytes_per_cycle", memory.scratchpad_bytes_per_cycle);
  positive("dram_bytes_per_cycle", memory.dram_bytes_per_cycle);
  if (memory.dram_latency_cycles < 0) {
    throw Error(fmt::format("memory dram_latency_cycles = {}; accepted: at least 0",
                            memory.dram_latency_cycles));
  }
}

}  // namespace

std::string_view to_string(Dataflow dataflow) {
  switch (dataflow) {
    case Dataflow::OutputStationary:
      return "os";
    case Dataflow::WeightStationary:
      return "ws";
    case Dataflow::InputStationary:
      return "is";
  }
  return "";
}

std::string_view to_string(Psum psum) { return psum == Psum::Buffer ? "buffer" : "chained"; }

std::string_view to_string(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::Functional:
      return "functional";
    case Fidelity::Transaction:
      return "transaction";
    case Fidelity::Cycle:
      return "cycle";
  }
  return "";
}

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::Padded:
      return "padded";
    case Policy::Ragged:
      return "ragged";
    case Policy::Overlapped:
      return "overlapped";
  }
  return "";
}

Dataflow parse_dataflow(std::string_view text) {
  for (const Dataflow dataflow :
       {Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary}) {
    if (text == to_string(dataflow)) return dataflow;
  }
  throw Error(fmt::format("dataflow '{}'; accepted: os, ws, is", text));
}

Psum parse_psum(std::string_view text) {
  if (text == "buffer") return Psum::Buffer;
  if (text == "chained") return Psum::Chained;
  throw Error(fmt::format("psum '{}'; accepted: buffer, chained", text));
}

Fidelity parse_fidelity(std::string_view text) {
  for (const Fidelity fidelity : {Fidelity::Functional, Fidelity::Transaction, Fidelity::Cycle}) {
    if (text == to_string(fidelity)) return fidelity;
  }
  throw Error(fmt::format("fidelity '{}'; accepted: functional, transaction, cycle", text));
}

Policy parse_policy(std::string_view text) {
  for (const Policy policy : {Policy::Padded, Policy::Ragged, Policy::Overlapped}) {
    if (text == to_string(policy)) return policy;
  }
  throw Error(fmt::format("policy '{}'; accepted: padded, ragged, overlapped", text));
}

AccumulationOrder accumulation_order(const MacDesign& mac) {
  if (mac.chunk && mac.chunk->length == 0) {
    throw Error(
        "the chunk has no length: only a weight- or input-stationary array with psum 'buffer' "
        "supplies it (its row count); set length in [mac.chunk]");
  }
  AccumulationOrder order;
  order.chunk = mac.chunk;
  order.dot = mac.dot;
  order.exact = mac.exact;
  return order;
}

AccumulationOrder accumulation_order(const MacDesign& mac, const ArrayDesign& array) {
  if (array.dataflow == Dataflow::OutputStationary) return accumulation_order(mac);
  if (mac.dot || mac.exact) {
    throw Error(fmt::format(
        "order '{}' on an array with dataflow '{}': a sum stays in its PE only under 'os'; use "
        "dataflow 'os', or order 'sequential' or 'chunk'",
        to_string(mac.order()), to_string(array.dataflow)));
  }
  AccumulationOrder order;
  if (!is_buffered(array)) return order;  // the psum re-enters at the top: sequential
  if (!mac.chunk) {
    order.max_length = array.rows;
    return order;
  }
  if (mac.chunk->length != 0 && mac.chunk->length != array.rows) {
    throw Error(fmt::format(
        "chunk length {} on a {} array of {} rows with psum 'buffer': each column adds the {} "
        "products of one fold, so the length must be {} or be left out",
        mac.chunk->length, to_string(array.dataflow), array.rows, array.rows, array.rows));
  }
  order.chunk = mac.chunk;
  order.chunk->length = array.rows;
  return order;
}

void check_length(const AccumulationOrder& order, std::int64_t k) {
  if (k <= order.max_length) return;
  throw Error(
      fmt::format("K = {} products on an array whose columns add {} products per fold: the folds' "
                  "sums need a second accumulator; add [mac.chunk] with an accumulator, or use "
                  "psum 'chained' or dataflow 'os'",
                  k, order.max_length));
}

void validate(const ArrayDesign& array) {
  validate_range("rows", array.rows, 1, kMaxArraySide);
  validate_range("columns", array.columns, 1, kMaxArraySide);
  validate_range("multiplier_latency", array.multiplier_latency, 0, kMaxPipeline);
  validate_range("adder_latency", array.adder_latency, 1, kMaxPipeline);
  validate_range("interleave", array.interleave, 1, kMaxPipeline);
  if (array.memory) validate_memory(*array.memory);
}

std::vector<std::string> warnings(const MacDesign& mac, const ArrayDesign& array) {
  std::vector<std::string> found;
  const bool os = array.dataflow == Dataflow::OutputStationary;
  if (os && array.psum == Psum::Chained) {
    found.emplace_back(
        "psum 'chained' has no effect: under dataflow 'os' psums never leave the PE");
  }
  if (!os && array.psum == Psum::Chained && mac.chunk) {
    found.push_back(fmt::format(
        "[mac.chunk] has no effect: under dataflow '{}' with psum 'chained' every psum re-enters "
        "at the top, so the sum is sequential",
        to_string(array.dataflow)));
  }
  if (is_buffered(array) && mac.order() == MacOrder::Sequential) {
    found.push_back(fmt::format(
        "without [mac.chunk] this '{}' array of {} rows adds at most {} products: there is no "
        "second accumulator for the sums of several folds",
        to_string(array.dataflow), array.rows, array.rows));
  }
  if (is_buffered(array) && array.rows == 1) {
    found.emplace_back(
        "one row with psum 'buffer': each product passes through both accumulators, and the first "
        "never holds a sum");
  }
  if (!os && array.interleave > 1) {
    found.push_back(
        fmt::format("interleave {} has no effect: under dataflow '{}' psums move on to the next PE",
                    array.interleave, to_string(array.dataflow)));
  }
  if (os && array.interleave < array.adder_latency) {
    found.push_back(
        fmt::format("each PE waits {} of {} cycles: its adder takes {} and it interleaves {} sum{}",
                    array.adder_latency - array.interleave, array.adder_latency,
                    array.adder_latency, array.interleave, array.interleave == 1 ? "" : "s"));
  }
  return found;
}

std::string describe(const ArrayDesign& array) {
  std::string text =
      fmt::format("{} x {} {}", array.rows, array.columns, to_string(array.dataflow));
  if (array.dataflow != Dataflow::OutputStationary) {
    text += fmt::format(" psum {}", to_string(array.psum));
  }
  text += fmt::format(", {}", to_string(array.fidelity));
  if (array.policy != Policy::Padded) text += fmt::format(", {} folds", to_string(array.policy));
  if (array.multiplier_latency != 0 || array.adder_latency != 1) {
    text += fmt::format(", multiplier {} and adder {} cycles", array.multiplier_latency,
                        array.adder_latency);
  }
  if (array.interleave != 1) text += fmt::format(", {} sums interleaved", array.interleave);
  if (!array.memory) return text + ", no memory model";
  return text + fmt::format(", scratchpads {} + {} B, {} B/cycle, DRAM {} B/cycle after {} cycles",
                            array.memory->operand_scratchpad_bytes,
                            array.memory->psum_scratchpad_bytes,
                            array.memory->scratchpad_bytes_per_cycle,
                            array.memory->dram_bytes_per_cycle, array.memory->dram_latency_cycles);
}

std::string to_toml(const ArrayDesign& array) {
  std::string text = fmt::format(
      "[array]\nrows = {}\ncolumns = {}\ndataflow = \"{}\"\npsum = \"{}\"\nfidelity = \"{}\"\n",
      array.rows, array.columns, to_string(array.dataflow), to_string(array.psum),
      to_string(array.fidelity));
  // Only what differs from the default: a run's hash is that of this text, and runs that were
  // finished before these keys existed keep theirs.
  const ArrayDesign standard;
  if (array.policy != standard.policy) {
    text += fmt::format("policy = \"{}\"\n", to_string(array.policy));
  }
  const auto add = [&text](std::string_view key, int value, int usual) {
    if (value != usual) text += fmt::format("{} = {}\n", key, value);
  };
  add("multiplier_latency", array.multiplier_latency, standard.multiplier_latency);
  add("adder_latency", array.adder_latency, standard.adder_latency);
  add("interleave", array.interleave, standard.interleave);
  if (!array.memory) return text;
  return text + fmt::format(
                    "\n[memory]\noperand_scratchpad_bytes = {}\npsum_scratchpad_bytes = {}\n"
                    "scratchpad_bytes_per_cycle = {}\ndram_bytes_per_cycle = {}\n"
                    "dram_latency_cycles = {}\n",
                    array.memory->operand_scratchpad_bytes, array.memory->psum_scratchpad_bytes,
                    array.memory->scratchpad_bytes_per_cycle, array.memory->dram_bytes_per_cycle,
                    array.memory->dram_latency_cycles);
}

}  // namespace narrowmac
