#include "models/cost/mac_energy.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "models/cost/step_vectors.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/random.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

constexpr int kRuns = 64;
constexpr std::int64_t kNormalLength = 128;
constexpr std::int64_t kLeastCycles = 256;  ///< of each run

/// Uniform in (0, 1).
double uniform(std::uint64_t seed, std::uint64_t which, std::int64_t at) {
  return (random_word(seed, which, 0, 0, RandomLevel::Product, at) + 0.5) / 4294967296.0;
}

/// The random bits of a rounding: level 0 the product's, 1 the sum's, 2 the second sum's.
std::uint32_t random_bits(int level, const Rounding& rounding, int run, std::int64_t cycle) {
  if (cycle < 0) return 0;
  return top_random_bits(
      random_word(0, static_cast<std::uint64_t>(level), run, 0, RandomLevel::Accumulator, cycle),
      rounding.random_bits);
}

/// A port's bits in all runs.
class PortWriter {
 public:
  PortWriter(GateSimulation& simulation, const GateNetlist& netlist, std::string_view name)
      : simulation_(simulation), port_(netlist.port(name)) {}

  void write(const std::array<std::uint64_t, kRuns>& values) {
    for (std::size_t bit = 0; bit < port_.size(); ++bit) {
      std::uint64_t runs = 0;
      for (std::size_t run = 0; run < kRuns; ++run) runs |= ((values[run] >> bit) & 1U) << run;
      simulation_.set(port_, bit, runs);
    }
  }
  void write_all(bool value) {
    for (std::size_t bit = 0; bit < port_.size(); ++bit) {
      simulation_.set(port_, bit, value ? ~std::uint64_t{0} : 0);
    }
  }
  [[nodiscard]] std::uint64_t read(std::size_t run) const {
    std::uint64_t value = 0;
    for (std::size_t bit = 0; bit < port_.size(); ++bit) {
      value |= ((simulation_.get(port_, bit) >> run) & 1U) << bit;
    }
    return value;
  }

 private:
  GateSimulation& simulation_;
  const std::vector<int>& port_;
};

/// The reference's accumulators of one run.
struct ReferenceRun {
  std::vector<double> first, second;  ///< per turn
};

}  // namespace

OperandTrace normal_operands(const MacDesign& mac, std::uint64_t seed) {
  OperandTrace trace;
  trace.length = kNormalLength;
  const auto draw = [&](const NumberFormat& format, std::uint64_t which, std::int64_t at) {
    // Box and Muller's transformation.
    const double radius = std::sqrt(-2 * std::log(uniform(seed, which, at)));
    const double angle = 2 * std::numbers::pi * uniform(seed, which + 2, at);
    const double sigma = format.is_fixed() ? format.max_value() / 4 : 1;
    return convert(sigma * radius * std::cos(angle), mac.operand_conversion(format));
  };
  for (std::int64_t i = 0; i < kRuns * kNormalLength; ++i) {
    trace.a.push_back(draw(mac.a, 0, i));
    trace.b.push_back(draw(mac.b, 1, i));
  }
  return trace;
}

OperandActivity operand_activity(const MacDesign& mac, const OperandTrace& trace) {
  const auto changes = [](const std::vector<double>& values, const NumberFormat& format) {
    std::int64_t changed = 0;
    for (std::size_t i = 1; i < values.size(); ++i) {
      changed += std::popcount(encode(values[i - 1], format) ^ encode(values[i], format));
    }
    const auto bits = static_cast<double>(values.size() - 1) * format.width;
    return values.size() > 1 ? static_cast<double>(changed) / bits : 0.0;
  };
  return {changes(trace.a, mac.a), changes(trace.b, mac.b)};
}

MacEnergy mac_energy(const RtlDesign& design, const GateNetlist& netlist,
                     const OperandTrace& trace) {
  const MacDesign& mac = design.mac;
  GateSimulation simulation(netlist);
  PortWriter a(simulation, netlist, "a"), b(simulation, netlist, "b");
  PortWriter start(simulation, netlist, "start"), chunk_end(simulation, netlist, "chunk_end");
  PortWriter random_product(simulation, netlist, "random_product");
  PortWriter random_sum(simulation, netlist, "random_sum");
  PortWriter random_second(simulation, netlist, "random_second");
  const PortWriter sum(simulation, netlist, "sum");

  const auto turns = static_cast<std::int64_t>(design.turns());
  const std::int64_t chunk = mac.chunk ? std::min(mac.chunk->length, trace.length) : 0;
  const std::int64_t rounds = (kLeastCycles + trace.length - 1) / trace.length;
  const int to_product = std::max(design.multiplier_stages - 1, 0);
  const int to_sum = design.multiplier_stages + design.adder_stages - 1;
  const std::vector<double> zeros(static_cast<std::size_t>(turns), 0.0);
  std::vector<ReferenceRun> reference(kRuns, ReferenceRun{zeros, zeros});
  std::vector<std::array<std::uint64_t, kRuns>> expected;
  for (std::int64_t cycle = 0; cycle < rounds * trace.length * turns; ++cycle) {
    const std::int64_t k = cycle / turns % trace.length;
    const std::int64_t turn = cycle % turns;
    const bool starts = k == 0;
    const bool ends = chunk > 0 && ((k + 1) % chunk == 0 || k + 1 == trace.length);
    std::array<std::uint64_t, kRuns> codes_a{}, codes_b{}, for_product{}, for_sum{}, for_second{};
    expected.emplace_back();
    for (int run = 0; run < kRuns; ++run) {
      const auto lane = static_cast<std::size_t>(run);
      const auto from = static_cast<std::size_t>(
          (run * turns + turn + cycle / (turns * trace.length)) % trace.sums() * trace.length + k);
      const double x = trace.a[from];
      const double y = trace.b[from];
      codes_a[lane] = encode(x, mac.a);
      codes_b[lane] = encode(y, mac.b);
      for_product[lane] = random_bits(0, product_rounding(mac), run, cycle - to_product);
      for_sum[lane] = random_bits(1, mac.accumulator.rounding, run, cycle - to_sum);
      for_second[lane] = random_bits(2, second_rounding(mac), run, cycle - to_sum - 1);
      double& first = reference[lane].first[static_cast<std::size_t>(turn)];
      double& second = reference[lane].second[static_cast<std::size_t>(turn)];
      if (starts) first = second = 0;
      first = mac_step(mac, first, x, y, random_bits(1, mac.accumulator.rounding, run, cycle),
                       random_bits(0, product_rounding(mac), run, cycle))
                  .value;
      if (ends) {
        second = add_step(mac.chunk->accumulator, second, first,
                          random_bits(2, second_rounding(mac), run, cycle))
                     .value;
        first = 0;
      }
      expected.back()[lane] = encode(mac.chunk ? second : first, design.sum_format());
    }
    a.write(codes_a);
    b.write(codes_b);
    start.write_all(starts);
    chunk_end.write_all(ends);
    random_product.write(for_product);
    random_sum.write(for_sum);
    random_second.write(for_second);
    simulation.settle(cycle > 0);
    const std::int64_t shown = cycle - design.latency();
    for (std::size_t run = 0; shown >= 0 && run < kRuns; ++run) {
      if (sum.read(run) == expected[static_cast<std::size_t>(shown)][run]) continue;
      throw Error(fmt::format("the mapped netlist computes {:#x} where the reference has {:#x}",
                              sum.read(run), expected[static_cast<std::size_t>(shown)][run]),
                  Error::Kind::System);
    }
    simulation.clock();
  }
  const GateEnergy energy(netlist);
  return {energy.per_cycle(simulation), energy.clock_per_cycle(), simulation.run_cycles()};
}

}  // namespace narrowmac
