#include <fmt/core.h>

#include "models/design/config.h"

namespace narrowmac {
namespace {

const std::vector<std::string>& rounding_names() {
  static const std::vector<std::string> names = {
      "nearest-even", "nearest-away", "toward-zero", "down", "stochastic", "truncate-aligned"};
  return names;
}

const std::vector<std::string>& overflow_names() {
  static const std::vector<std::string> names = {"infinity", "saturate", "wrap"};
  return names;
}

NumberFormat read_format(const ConfigTable& table, std::string_view key) {
  const std::string text = table.string(key);
  try {
    return NumberFormat::parse(text);
  } catch (const Error& failure) {
    throw table.error(key, failure.what());
  }
}

bool is_legal(Overflow overflow, const NumberFormat& format) {
  return format.is_float() ? overflow != Overflow::Wrap : overflow != Overflow::Infinity;
}

/// The overflow of the product's format: the design's where it is legal for the family.
Overflow product_overflow(Overflow design, const NumberFormat& product) {
  if (is_legal(design, product)) return design;
  return product.is_float() ? Overflow::Infinity : Overflow::Saturate;
}

Overflow read_overflow(const ConfigTable& table, const NumberFormat& format,
                       std::optional<Overflow> inherited) {
  const std::string name = format.to_string();
  if (table.has("overflow")) {
    const auto overflow = static_cast<Overflow>(table.choice("overflow", overflow_names()));
    if (!is_legal(overflow, format)) {
      throw table.error(
          "overflow",
          format.is_float()
              ? fmt::format("found 'wrap', but the accumulator '{}' is a float; accepted: "
                            "infinity, saturate",
                            name)
              : fmt::format("found 'infinity', but the accumulator '{}' has none; accepted: "
                            "saturate, wrap",
                            name));
    }
    return overflow;
  }
  if (inherited && is_legal(*inherited, format)) return *inherited;
  if (format.is_float() && !inherited) return Overflow::Infinity;
  throw table.error("overflow",
                    inherited
                        ? fmt::format("must be set, because the inherited '{}' is impossible "
                                      "for the accumulator '{}'; accepted: {}",
                                      to_string(*inherited), name,
                                      format.is_float() ? "infinity, saturate" : "saturate, wrap")
                        : fmt::format("must be set for the fixed-point accumulator '{}'; "
                                      "accepted: saturate, wrap",
                                      name));
}

RoundingMode read_mode(const ConfigTable& table, std::string_view key, RoundingMode fallback) {
  if (!table.has(key)) return fallback;
  return static_cast<RoundingMode>(table.choice(key, rounding_names()));
}

/// random_bits of a table: required where something rounds stochastically, refused elsewhere.
int read_random_bits(const ConfigTable& table, bool stochastic, int inherited) {
  if (!stochastic) {
    if (table.has("random_bits")) {
      throw table.error("random_bits",
                        "is set, but nothing here rounds stochastically; accepted with rounding "
                        "= \"stochastic\"");
    }
    return 0;
  }
  if (!table.has("random_bits") && inherited == 0) {
    throw table.error("random_bits", "must be set for stochastic rounding; accepted: 1..24");
  }
  return static_cast<int>(table.integer_or("random_bits", inherited, 1, 24));
}

/// guard_bits of a table, by the same rule.
int read_guard_bits(const ConfigTable& table, RoundingMode mode, int inherited) {
  if (mode == RoundingMode::TruncateAligned) {
    return static_cast<int>(table.integer_or("guard_bits", inherited, 0, kMaxGuardBits));
  }
  if (table.has("guard_bits")) {
    throw table.error("guard_bits",
                      fmt::format("is set, but the rounding is '{}'; accepted with rounding = "
                                  "\"truncate-aligned\"",
                                  to_string(mode)));
  }
  return 0;
}

/// The keys that an accumulator's table holds beside its format. `inherited` supplies what is left
/// out; without one the defaults do.
Conversion read_accumulator(const ConfigTable& table, const Conversion* inherited,
                            const NumberFormat* inherited_format) {
  Conversion result;
  result.format = inherited_format != nullptr && !table.has("accumulator")
                      ? *inherited_format
                      : read_format(table, "accumulator");
  if (result.format.family == NumberFormat::Family::Unsigned) {
    throw table.error("accumulator",
                      fmt::format("'{}' is unsigned, which is for operands only; accepted: a float "
                                  "or a signed fixed-point format",
                                  result.format.to_string()));
  }
  result.rounding.mode = read_mode(
      table, "rounding", inherited ? inherited->rounding.mode : RoundingMode::NearestEven);
  const bool aligned = result.rounding.mode == RoundingMode::TruncateAligned;
  if (aligned && !result.format.is_float()) {
    throw table.error(
        "rounding", fmt::format("{}'truncate-aligned' is for floats, but the accumulator is "
                                "'{}'; accepted: nearest-even, nearest-away, toward-zero, down, "
                                "stochastic",
                                table.has("rounding") ? "" : "must be set, because the inherited ",
                                result.format.to_string()));
  }
  result.rounding.guard_bits =
      read_guard_bits(table, result.rounding.mode, inherited ? inherited->rounding.guard_bits : 0);
  result.overflow =
      read_overflow(table, result.format,
                    inherited ? std::optional<Overflow>(inherited->overflow) : std::nullopt);
  result.subnormals = table.boolean_or("subnormals", inherited ? inherited->subnormals : true);
  return result;
}

bool is_stochastic(RoundingMode mode) { return mode == RoundingMode::Stochastic; }

/// `product` and `product_rounding`; random_bits come later, because the accumulator shares them.
std::optional<Conversion> read_product(const ConfigTable& table, const MacDesign* inherited,
                                       const Conversion& accumulator) {
  std::optional<Conversion> product;
  if (inherited != nullptr) product = inherited->product;
  if (table.has("product")) {
    if (table.string("product") == "exact") {
      product.reset();
    } else {
      if (!product) product.emplace();
      product->format = read_format(table, "product");
      if (product->format.family == NumberFormat::Family::Unsigned) {
        throw table.error("product", fmt::format("'{}' is unsigned, which is for operands only; "
                                                 "accepted: exact, a float or a signed "
                                                 "fixed-point format",
                                                 product->format.to_string()));
      }
    }
  }
  if (!product) {
    if (table.has("product_rounding")) {
      throw table.error("product_rounding",
                        "is set, but the product is exact; accepted where product names a format");
    }
    return product;
  }
  product->rounding.mode = read_mode(table, "product_rounding", product->rounding.mode);
  if (product->rounding.mode == RoundingMode::TruncateAligned) {
    throw table.error("product_rounding",
                      "found \"truncate-aligned\", which aligns the addends of a sum; accepted: "
                      "nearest-even, nearest-away, toward-zero, down, stochastic");
  }
  product->overflow = product_overflow(accumulator.overflow, product->format);
  product->subnormals = accumulator.subnormals;
  return product;
}

/// What an inherited chunk gives to a pass's: its format and length, and of the rules those that it
/// did not share with the inherited first level.
Conversion chunk_rules(const MacDesign* inherited, const Conversion& first) {
  Conversion rules = first;
  if (inherited == nullptr || !inherited->chunk) return rules;
  const Conversion& old_first = inherited->accumulator;
  const Conversion& old_second = inherited->chunk->accumulator;
  if (old_second.rounding != old_first.rounding) rules.rounding = old_second.rounding;
  if (old_second.overflow != old_first.overflow) rules.overflow = old_second.overflow;
  if (old_second.subnormals != old_first.subnormals) rules.subnormals = old_second.subnormals;
  return rules;
}

std::optional<Chunk> read_chunk(const ConfigTable& table, const MacDesign* inherited,
                                const Conversion& first) {
  if (table.is_boolean("chunk")) {
    if (table.boolean("chunk")) {
      throw table.error("chunk", "found true; accepted: false, or a table");
    }
    return std::nullopt;
  }
  const Conversion rules = chunk_rules(inherited, first);
  const Chunk* old = inherited != nullptr && inherited->chunk ? &*inherited->chunk : nullptr;
  if (!table.has("chunk") && old == nullptr) return std::nullopt;
  // A table of its own inherits key by key; without one an empty table inherits everything.
  const ConfigTable own =
      table.has("chunk") ? table.table("chunk") : ConfigTable::parse("", "inherited chunk");
  Chunk chunk;
  chunk.length = own.integer_or("length", old != nullptr ? old->length : 0, 1,
                                std::numeric_limits<std::int64_t>::max());
  try {
    chunk.accumulator =
        read_accumulator(own, &rules, old != nullptr ? &old->accumulator.format : nullptr);
    chunk.accumulator.rounding.random_bits = read_random_bits(
        own, is_stochastic(chunk.accumulator.rounding.mode), rules.rounding.random_bits);
  } catch (const Error& failure) {
    if (table.has("chunk")) throw;
    throw table.error("chunk", fmt::format("inherited, but {}", failure.what()));
  }
  return chunk;
}

std::optional<Dot> read_dot(const ConfigTable& table, const MacDesign* inherited) {
  const Dot* old = inherited != nullptr && inherited->dot ? &*inherited->dot : nullptr;
  if (!table.has("dot")) return old != nullptr ? std::optional<Dot>(*old) : std::nullopt;
  if (table.is_boolean("dot")) {
    if (table.boolean("dot")) throw table.error("dot", "found true; accepted: false, or a table");
    return std::nullopt;
  }
  const ConfigTable own = table.table("dot");
  Dot dot = old != nullptr ? *old : Dot();
  if (old == nullptr || own.has("terms")) dot.terms = own.integer("terms", 1, kMaxDotTerms);
  if (old == nullptr || own.has("fraction_bits")) {
    dot.fraction_bits = static_cast<int>(own.integer("fraction_bits", 0, kMaxDotFractionBits));
  }
  if (own.has("accumulator")) {
    dot.accumulator =
        static_cast<DotAccumulator>(own.choice("accumulator", {"aligned", "separate"}));
  }
  if (own.has("alignment")) {
    dot.alignment =
        static_cast<Alignment>(own.choice("alignment", {"toward-zero", "down", "nearest-even"}));
  }
  return dot;
}

/// The order that a table's own tables speak of; none if it has none.
std::optional<MacOrder> order_of_tables(const ConfigTable& table) {
  const bool chunk = table.is_table("chunk");
  const bool dot = table.is_table("dot");
  if (chunk && dot) {
    throw table.error("dot", "cannot stand beside a chunk; accepted: one of [chunk] and [dot]");
  }
  if (chunk) return MacOrder::Chunk;
  if (dot) return MacOrder::Dot;
  return std::nullopt;
}

/// `order` if it is set, else what the table's own tables say, else what is inherited.
MacOrder read_order(const ConfigTable& table, const MacDesign* inherited) {
  const std::optional<MacOrder> own = order_of_tables(table);
  if (!table.has("order")) {
    if (own) return *own;
    const MacOrder old = inherited != nullptr ? inherited->order() : MacOrder::Sequential;
    const bool removed = (old == MacOrder::Chunk && table.is_boolean("chunk")) ||
                         (old == MacOrder::Dot && table.is_boolean("dot"));
    return removed ? MacOrder::Sequential : old;
  }
  const auto order =
      static_cast<MacOrder>(table.choice("order", {"sequential", "chunk", "dot", "exact"}));
  if (own && *own != order) {
    throw table.error("order", fmt::format("found \"{}\", but there is a table [{}]; accepted "
                                           "with it: \"{}\"",
                                           to_string(order), to_string(*own), to_string(*own)));
  }
  const bool needs_table = order == MacOrder::Chunk || order == MacOrder::Dot;
  const bool inherits =
      inherited != nullptr && inherited->order() == order && !table.is_boolean(to_string(order));
  if (needs_table && !own && !inherits) {
    throw table.error("order", fmt::format("found \"{}\", which needs a table [{}] beside it",
                                           to_string(order), to_string(order)));
  }
  return order;
}

NumberFormat read_operand(const ConfigTable& table, std::string_view key,
                          const NumberFormat* inherited, const NumberFormat* given) {
  if (given != nullptr) {
    if (table.has(key)) {
      throw table.error(key,
                        "must not be set here: the operand formats follow from [formats] (FWD "
                        "activation and weight, BWD gradient and weight, GRAD activation and "
                        "gradient)");
    }
    return *given;
  }
  if (inherited != nullptr && !table.has(key)) return *inherited;
  return read_format(table, key);
}

}  // namespace

MacDesign parse_mac(const ConfigTable& table, const MacDesign* inherited,
                    const Operands* operands) {
  MacDesign mac;
  mac.a = read_operand(table, "a", inherited ? &inherited->a : nullptr,
                       operands ? &operands->a : nullptr);
  mac.b = read_operand(table, "b", inherited ? &inherited->b : nullptr,
                       operands ? &operands->b : nullptr);
  mac.accumulator = read_accumulator(table, inherited ? &inherited->accumulator : nullptr,
                                     inherited ? &inherited->accumulator.format : nullptr);
  mac.product = read_product(table, inherited, mac.accumulator);

  const bool sum = is_stochastic(mac.accumulator.rounding.mode);
  const bool product = mac.product && is_stochastic(mac.product->rounding.mode);
  int inherited_bits = 0;
  if (inherited != nullptr) {
    inherited_bits = inherited->accumulator.rounding.random_bits;
    if (inherited_bits == 0 && inherited->product) {
      inherited_bits = inherited->product->rounding.random_bits;
    }
  }
  const int bits = read_random_bits(table, sum || product, inherited_bits);
  mac.accumulator.rounding.random_bits = sum ? bits : 0;
  if (mac.product) mac.product->rounding.random_bits = product ? bits : 0;

  const MacOrder order = read_order(table, inherited);
  // Read in any case: `chunk = false` is a key like others. What the order has no use for is
  // inherited at most.
  if (order == MacOrder::Chunk || table.has("chunk")) {
    mac.chunk = read_chunk(table, inherited, mac.accumulator);
  }
  if (order == MacOrder::Dot || table.has("dot")) mac.dot = read_dot(table, inherited);
  mac.exact = order == MacOrder::Exact;
  mac.special_values =
      table.boolean_or("special_values", inherited == nullptr || inherited->special_values);
  try {
    validate(mac);
  } catch (const Error& failure) {
    throw table.error(failure.what());
  }
  return mac;
}

namespace {

MemoryDesign parse_memory(const ConfigTable& table) {
  constexpr std::int64_t kMost = std::int64_t{1} << 50;
  MemoryDesign memory;
  memory.operand_scratchpad_bytes =
      table.integer_or("operand_scratchpad_bytes", memory.operand_scratchpad_bytes, 1, kMost);
  memory.psum_scratchpad_bytes =
      table.integer_or("psum_scratchpad_bytes", memory.psum_scratchpad_bytes, 1, kMost);
  memory.dram_latency_cycles =
      table.integer_or("dram_latency_cycles", memory.dram_latency_cycles, 0, kMost);
  memory.scratchpad_bytes_per_cycle =
      table.number_or("scratchpad_bytes_per_cycle", memory.scratchpad_bytes_per_cycle);
  memory.dram_bytes_per_cycle =
      table.number_or("dram_bytes_per_cycle", memory.dram_bytes_per_cycle);
  for (const std::string_view key : {"scratchpad_bytes_per_cycle", "dram_bytes_per_cycle"}) {
    const double value =
        key.front() == 's' ? memory.scratchpad_bytes_per_cycle : memory.dram_bytes_per_cycle;
    if (!(value > 0)) throw table.error(key, fmt::format("found {}; accepted: above 0", value));
  }
  return memory;
}

}  // namespace

ArrayDesign parse_array(const ConfigTable& root) {
  ArrayDesign array;
  if (root.has("array")) {
    const ConfigTable table = root.table("array");
    array.rows = static_cast<int>(table.integer_or("rows", array.rows, 1, kMaxArraySide));
    array.columns = static_cast<int>(table.integer_or("columns", array.columns, 1, kMaxArraySide));
    if (table.has("dataflow")) {
      array.dataflow = static_cast<Dataflow>(table.choice("dataflow", {"os", "ws", "is"}));
    }
    if (table.has("psum")) {
      array.psum = static_cast<Psum>(table.choice("psum", {"buffer", "chained"}));
    }
    if (table.has("fidelity")) {
      array.fidelity =
          static_cast<Fidelity>(table.choice("fidelity", {"functional", "transaction", "cycle"}));
    }
    if (table.has("policy")) {
      array.policy =
          static_cast<Policy>(table.choice("policy", {"padded", "ragged", "overlapped"}));
    }
    const auto stages = [&table](std::string_view key, int& value, int low) {
      value = static_cast<int>(table.integer_or(key, value, low, kMaxPipeline));
    };
    stages("multiplier_latency", array.multiplier_latency, 0);
    stages("adder_latency", array.adder_latency, 1);
    stages("interleave", array.interleave, 1);
  }
  if (root.has("memory")) array.memory = parse_memory(root.table("memory"));
  validate(array);
  return array;
}

MacFile read_mac_file(const std::filesystem::path& path) {
  const ConfigTable root = ConfigTable::read_file(path);
  MacFile file;
  file.mac = parse_mac(root.table("mac"));
  if (root.has("array")) {
    file.array = parse_array(root);
  } else if (root.has("memory")) {
    throw root.error("memory", "is set without an [array]");
  }
  root.reject_unknown();
  return file;
}

}  // namespace narrowmac
