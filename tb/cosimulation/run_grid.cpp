#include <dlfcn.h>
#include <fmt/core.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "models/cost/mac_cycles.h"
#include "models/cost/step_vectors.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/reference.h"
#include "tb/cosimulation/grid.h"

namespace narrowmac {
namespace {

/// Designs whose steps have no more bits are tried in full.
constexpr int kExhaustiveBits = 20;
constexpr std::size_t kBatch = 2048;

/// The ports as model.cpp has them.
struct GridPorts {
  std::uint64_t *a, *b, *accumulator, *random, *next;
  std::uint64_t *mac_a, *mac_b, *mac_control, *mac_random, *mac_random_second, *sum;
  std::uint64_t *chunk_sum, *second_accumulator, *second_random, *second_next;
};

/// The shared library with Verilator's model, and a field per port and design.
class GridModel {
 public:
  GridModel(const std::filesystem::path& library, std::size_t designs)
      : library_(dlopen(library.c_str(), RTLD_NOW), &dlclose) {
    if (!library_) throw Error(fmt::format("cannot load {}: {}", library.string(), dlerror()));
    for (std::vector<std::uint64_t>& port : fields_) port.resize(designs);
    auto** const pointers = reinterpret_cast<std::uint64_t**>(&ports_);
    for (std::size_t port = 0; port < fields_.size(); ++port) pointers[port] = fields_[port].data();
    model_ = find<void* (*)()>("grid_create")();
    step_ = find<Evaluate>("grid_step");
    cycle_ = find<Evaluate>("grid_cycle");
  }
  ~GridModel() { find<void (*)(void*)>("grid_destroy")(model_); }
  GridModel(const GridModel&) = delete;
  GridModel& operator=(const GridModel&) = delete;

  [[nodiscard]] const GridPorts& ports() const { return ports_; }
  void step() { step_(model_, &ports_); }
  void cycle() { cycle_(model_, &ports_); }

 private:
  using Evaluate = void (*)(void*, const GridPorts*);

  template <typename Function>
  Function find(const char* name) const {
    void* const symbol = dlsym(library_.get(), name);
    if (symbol == nullptr) throw Error(fmt::format("the model has no function {}", name));
    return reinterpret_cast<Function>(symbol);
  }

  std::unique_ptr<void, int (*)(void*)> library_;
  std::array<std::vector<std::uint64_t>, sizeof(GridPorts) / sizeof(std::uint64_t*)> fields_;
  GridPorts ports_{};
  void* model_ = nullptr;
  Evaluate step_ = nullptr;
  Evaluate cycle_ = nullptr;
};

/// Every legal step of a small design, one after another.
class AllSteps {
 public:
  explicit AllSteps(const MacDesign& mac)
      : mac_(mac), a_(mac, mac.a), b_(mac, mac.b), sum_(mac, mac.accumulator.format) {}

  /// The next legal one, or nothing after the last.
  std::optional<StepVector> next() {
    const int total = bits(mac_);
    while (at_ >> total == 0) {
      std::uint64_t rest = at_++;
      const auto take = [&rest](int count) {
        const std::uint64_t field = rest & ((std::uint64_t{1} << count) - 1);
        rest >>= count;
        return field;
      };
      StepVector step;
      step.a = take(mac_.a.width);
      step.b = take(mac_.b.width);
      step.accumulator = take(mac_.accumulator.format.width);
      step.random_sum = static_cast<std::uint32_t>(take(mac_.accumulator.rounding.random_bits));
      step.random_product = static_cast<std::uint32_t>(rest);
      const StepVector asked = step;
      if (!a_.legalise(step.a) || !b_.legalise(step.b) || !sum_.legalise(step.accumulator))
        continue;
      if (asked.a != step.a || asked.b != step.b || asked.accumulator != step.accumulator) continue;
      try {
        evaluate(mac_, step);
        return step;
      } catch (const Error&) {
        continue;  // an infinite product in front of fixed point
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] bool done() const { return at_ >> bits(mac_) != 0; }
  static int bits(const MacDesign& mac) {
    return mac.a.width + mac.b.width + mac.accumulator.format.width +
           mac.accumulator.rounding.random_bits +
           (mac.product ? mac.product->rounding.random_bits : 0);
  }

 private:
  MacDesign mac_;
  CodeSource a_, b_, sum_;
  std::uint64_t at_ = 0;
};

/// The second accumulator's step as a step of a MAC: chunk sum times one.
struct SecondVector {
  std::uint64_t chunk_sum = 0, accumulator = 0, next = 0;
  std::uint32_t random = 0;
};

MacDesign second_as_mac(const MacDesign& mac) {
  MacDesign second;
  second.a = mac.accumulator.format;
  second.b = NumberFormat::parse("e8m23");
  second.accumulator = mac.chunk->accumulator;
  second.special_values = mac.special_values;
  return second;
}

/// Where a design's vectors come from.
struct Source {
  std::optional<StepGenerator> generator, recorded_generator, second;
  std::optional<AllSteps> all;
  std::vector<std::uint64_t> recorded_a, recorded_b;
  std::uint64_t turn = 0;

  Source(const GridDesign& entry, const std::vector<double>& recorded) {
    const MacDesign& mac = entry.design.mac;
    generator.emplace(mac, 1);
    recorded_generator.emplace(mac, 2);
    if (AllSteps::bits(mac) <= kExhaustiveBits) all.emplace(mac);
    if (mac.chunk) second.emplace(second_as_mac(mac), 3);
    for (const double value : recorded) {
      recorded_a.push_back(encode(convert(value, mac.operand_conversion(mac.a)), mac.a));
      recorded_b.push_back(encode(convert(value, mac.operand_conversion(mac.b)), mac.b));
    }
  }
};

std::string describe_mismatch(const GridDesign& entry, const StepVector& step, std::uint64_t got) {
  const MacDesign& mac = entry.design.mac;
  return fmt::format(
      "a {:#x} ({}) b {:#x} ({}) accumulator {:#x} ({}) random {:#x} {:#x}: Verilog {:#x}, "
      "reference "
      "{:#x} ({})",
      step.a, decode(step.a, mac.a), step.b, decode(step.b, mac.b), step.accumulator,
      decode(step.accumulator, mac.accumulator.format), step.random_product, step.random_sum, got,
      step.next, decode(step.next, mac.accumulator.format));
}

void count_mismatch(GridCounts& counts, const std::string& text) {
  if (counts.mismatches++ == 0) counts.first_mismatch = text;
}

/// The next step of a design: all there are if they are few, then alternately random ones and such
/// with recorded operands.
StepVector draw(Source& source, GridCounts& counts) {
  if (source.all) {
    if (const std::optional<StepVector> step = source.all->next()) return *step;
  }
  const std::size_t size = source.recorded_a.size();
  const std::uint64_t turn = source.turn++;
  if (size == 0 || turn % 2 == 0) return source.generator->next();
  const std::size_t at = turn / 2;
  try {
    // Two walks of different lengths: all pairs come in the end.
    const StepVector step = source.recorded_generator->next_with(
        source.recorded_a[at % size], source.recorded_b[(at + at / size * 7 + 3) % size]);
    ++counts.recorded;
    return step;
  } catch (const Error&) {
    return source.generator->next();  // an infinite product in front of fixed point
  }
}

template <typename Draw>
void run_steps(GridModel& model, const std::vector<GridDesign>& designs, std::uint64_t steps,
               std::vector<GridCounts>& counts, const Draw& draw) {
  const std::size_t fields = designs.size();
  std::vector<std::vector<StepVector>> batch(fields);
  const GridPorts& ports = model.ports();
  for (std::uint64_t done = 0; done < steps; done += kBatch) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatch, steps - done));
    tbb::parallel_for(std::size_t{0}, fields, [&](std::size_t field) {
      batch[field].resize(size);
      for (StepVector& vector : batch[field]) vector = draw(field);
    });
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t field = 0; field < fields; ++field) {
        const StepVector& vector = batch[field][i];
        ports.a[field] = vector.a;
        ports.b[field] = vector.b;
        ports.accumulator[field] = vector.accumulator;
        ports.random[field] = std::uint64_t{vector.random_product} << 32 | vector.random_sum;
      }
      model.step();
      for (std::size_t field = 0; field < fields; ++field) {
        const StepVector& vector = batch[field][i];
        ++counts[field].steps;
        if (ports.next[field] == vector.next) continue;
        count_mismatch(counts[field], describe_mismatch(designs[field], vector, ports.next[field]));
      }
    }
  }
}

void run_second_steps(GridModel& model, const std::vector<GridDesign>& designs,
                      std::vector<Source>& sources, std::uint64_t steps,
                      std::vector<GridCounts>& counts) {
  const GridPorts& ports = model.ports();
  std::vector<SecondVector> vectors(designs.size());
  for (std::uint64_t step = 0; step < steps; ++step) {
    bool any = false;
    for (std::size_t field = 0; field < designs.size(); ++field) {
      if (!sources[field].second) continue;
      any = true;
      const MacDesign& mac = designs[field].design.mac;
      const Conversion& conversion = mac.chunk->accumulator;
      // One is what the chunk's sum is multiplied with.
      const StepVector drawn = sources[field].second->next_with(
          sources[field].generator->any_accumulator(), encode(1, NumberFormat{}));
      vectors[field] = {drawn.a, drawn.accumulator, 0, drawn.random_sum};
      vectors[field].next =
          encode(add_step(conversion, decode(drawn.accumulator, conversion.format),
                          decode(drawn.a, mac.accumulator.format), drawn.random_sum)
                     .value,
                 conversion.format);
      ports.chunk_sum[field] = drawn.a;
      ports.second_accumulator[field] = drawn.accumulator;
      ports.second_random[field] = drawn.random_sum;
    }
    if (!any) return;
    model.step();
    for (std::size_t field = 0; field < designs.size(); ++field) {
      if (!sources[field].second) continue;
      ++counts[field].second_steps;
      if (ports.second_next[field] == vectors[field].next) continue;
      count_mismatch(
          counts[field],
          fmt::format("second accumulator {:#x} chunk sum {:#x} random {:#x}: Verilog "
                      "{:#x}, reference {:#x}",
                      vectors[field].accumulator, vectors[field].chunk_sum, vectors[field].random,
                      ports.second_next[field], vectors[field].next));
    }
  }
}

void run_cycles(GridModel& model, const std::vector<GridDesign>& designs, std::uint64_t count,
                std::vector<GridCounts>& counts) {
  const GridPorts& ports = model.ports();
  std::vector<std::vector<MacCycle>> cycles(designs.size());
  tbb::parallel_for(std::size_t{0}, designs.size(), [&](std::size_t field) {
    cycles[field] = mac_cycles(designs[field].design, count, 4);
  });
  for (std::size_t cycle = 0; cycle < count; ++cycle) {
    for (std::size_t field = 0; field < designs.size(); ++field) {
      const MacCycle& now = cycles[field][cycle];
      ports.mac_a[field] = now.a;
      ports.mac_b[field] = now.b;
      ports.mac_control[field] = (now.start ? 1U : 0U) | (now.chunk_end ? 2U : 0U);
      ports.mac_random[field] = std::uint64_t{now.random_product} << 32 | now.random_sum;
      ports.mac_random_second[field] = now.random_second;
    }
    model.cycle();
    for (std::size_t field = 0; field < designs.size(); ++field) {
      const MacCycle& now = cycles[field][cycle];
      if (!now.compared) continue;
      ++counts[field].cycles;
      if (ports.sum[field] == now.sum) continue;
      count_mismatch(counts[field], fmt::format("cycle {}: sum {:#x}, reference {:#x}", cycle,
                                                ports.sum[field], now.sum));
    }
  }
}

}  // namespace

std::vector<GridCounts> run_grid(const std::vector<GridDesign>& designs,
                                 const std::filesystem::path& library, std::uint64_t steps,
                                 std::uint64_t cycles, const std::vector<double>& recorded) {
  GridModel model(library, designs.size());
  std::vector<GridCounts> counts(designs.size());
  std::vector<Source> sources;
  for (std::size_t field = 0; field < designs.size(); ++field) {
    counts[field].name = designs[field].name;
    counts[field].description = describe(designs[field].design.mac);
    sources.emplace_back(designs[field], recorded);
  }
  run_steps(model, designs, steps, counts,
            [&](std::size_t field) { return draw(sources[field], counts[field]); });
  for (std::size_t field = 0; field < designs.size(); ++field) {
    counts[field].exhaustive = sources[field].all && sources[field].all->done();
  }
  run_second_steps(model, designs, sources, steps, counts);
  run_cycles(model, designs, cycles, counts);
  return counts;
}

}  // namespace narrowmac
