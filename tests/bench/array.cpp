// What the array's fidelities cost. A process holds one SystemC simulation, so of these benchmarks
// one runs in a process: scripts/bench starts one for each.
#include <memory>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/systemc/structural/structural_array.h"
#include "models/workload/topology.h"
#include "tests/bench/measure.h"
#include "tests/bench/training_setup.h"

namespace narrowmac::bench {
namespace {

/// An array, and a GEMM of full folds on it: PEs are idle in the skew only.
struct Work {
  std::string name;
  Dataflow dataflow;
  int side;
  RoundingMode rounding = RoundingMode::NearestEven;
};

const Work kWork[] = {
    {"os 16x16", Dataflow::OutputStationary, 16},
    {"os 32x32", Dataflow::OutputStationary, 32},
    {"ws 16x16", Dataflow::WeightStationary, 16},
    {"ws 32x32", Dataflow::WeightStationary, 32},
    {"is 16x16", Dataflow::InputStationary, 16},
    {"is 32x32", Dataflow::InputStationary, 32},
    {"os 32x32, toward zero", Dataflow::OutputStationary, 32, RoundingMode::TowardZero},
    {"os 32x32, stochastic", Dataflow::OutputStationary, 32, RoundingMode::Stochastic},
    {"ws 32x32, stochastic", Dataflow::WeightStationary, 32, RoundingMode::Stochastic},
};

constexpr GemmShape kShape{128, 128, 512};
constexpr GemmShape kStructuralShape{64, 64, 128};

/// A GEMM with operands of its own; psums are chained, so that all dataflows add in one order.
class Gemm {
 public:
  Gemm(const Work& work, const GemmShape& shape)
      : out_(static_cast<std::size_t>(shape.m * shape.n)) {
    MacDesign mac;
    mac.a = mac.b = NumberFormat::parse("e5m2");
    mac.accumulator.format = NumberFormat::parse("e6m9");
    mac.accumulator.rounding.mode = work.rounding;
    if (work.rounding == RoundingMode::Stochastic) mac.accumulator.rounding.random_bits = 8;
    array.rows = array.columns = work.side;
    array.dataflow = work.dataflow;
    array.psum = Psum::Chained;
    a_ = gaussian(shape.m * shape.k, mac.a, 1);
    b_ = gaussian(shape.k * shape.n, mac.b, 2);
    problem.mac = mac;
    problem.order = accumulation_order(mac, array);
    problem.a = OperandView::dense(a_.data(), shape.m, shape.k, shape.k);
    problem.b = OperandView::dense(b_.data(), shape.k, shape.n, shape.n);
  }

  [[nodiscard]] OutputView out() { return OutputView::of(out_.data(), problem.shape().n); }

  ArrayDesign array;
  GemmProblem problem;

 private:
  std::vector<float> a_, b_, out_;
};

/// Against the kernel's time for the same values. PE steps: cycles of every PE, idle ones included.
void report_steps(benchmark::State& state, const Gemm& gemm) {
  const GemmShape shape = gemm.problem.shape();
  const auto cycles =
      static_cast<double>(timing(shape, gemm.array, gemm.problem.mac).cycles.total());
  const double steps = cycles * gemm.array.rows * gemm.array.columns;
  state.counters["GPE/s"] = state.counters["GMAC/s"] * steps / static_cast<double>(shape.macs());
}

class CycleBench {
 public:
  explicit CycleBench(const Work& work) : gemm_(work, kShape), platform_(Fidelity::Cycle) {}
  void operator()(benchmark::State& state) {
    PlatformJob job;
    job.problem = gemm_.problem;
    job.out = gemm_.out();
    job.array = gemm_.array;
    race(
        state, 1, kShape.macs(), [&] { gemm(job.problem, job.out); },
        [&] { benchmark::DoNotOptimize(platform_.run(job)); });
    report_steps(state, gemm_);
  }

 private:
  Gemm gemm_;
  Platform platform_;
};

class StructuralBench {
 public:
  explicit StructuralBench(const Work& work)
      : gemm_(work, kStructuralShape), array_("array", gemm_.array) {
    array_.clock(clock_);
  }
  void operator()(benchmark::State& state) {
    race(
        state, 1, kStructuralShape.macs(), [&] { gemm(gemm_.problem, gemm_.out()); },
        [&] {
          array_.begin(gemm_.problem, gemm_.array.psum, false);
          while (!array_.done()) sc_core::sc_start(64 * period_);
          array_.write(gemm_.out());
        });
    report_steps(state, gemm_);
  }

 private:
  Gemm gemm_;
  sc_core::sc_time period_{1, sc_core::SC_NS};
  sc_core::sc_clock clock_{"clock", period_, 0.5, period_ / 2, false};
  StructuralArray array_;
};

/// Training steps with functional and with transaction fidelity, in turns; there are stalls to
/// simulate.
class TransactionSteps {
 public:
  explicit TransactionSteps(int threads) : threads_(threads) {}
  void operator()(benchmark::State& state) {
    const auto run = [](TrainingSetup& setup) {
      for (int i = 0; i < 4; ++i) setup.trainer().step();
    };
    race(
        state, threads_, 4 * functional_.step_macs(), [&] { run(functional_); },
        [&] { run(transaction_); });
  }

 private:
  static std::vector<std::string> settings(const std::string& fidelity) {
    return {"mac.accumulator=\"e6m9\"", "observe.sample=0",
            "memory={operand_scratchpad_bytes=131072, psum_scratchpad_bytes=131072, "
            "scratchpad_bytes_per_cycle=128, dram_bytes_per_cycle=32, dram_latency_cycles=100}",
            "array.fidelity=\"" + fidelity + "\""};
  }
  int threads_;
  TrainingSetup functional_{"cnn", settings("functional")};
  TrainingSetup transaction_{"cnn", settings("transaction")};
};

/// ResNet-18, three passes, batch 256, on 128 x 128 PEs: all transactions against the closed form.
class ResNetTiming {
 public:
  explicit ResNetTiming(Dataflow dataflow) {
    array_.rows = array_.columns = 128;
    array_.dataflow = dataflow;
    array_.memory = MemoryDesign{1 << 21, 1 << 21, 512, 128, 200};
    const auto layers = read_topology(NARROWMAC_CONFIGS_FOLDER "/topologies/resnet18.csv");
    for (const TopologyLayer& layer : layers) {
      for (const Pass pass : kPasses) shapes_.push_back(gemm_shape(layer, pass, 256));
    }
  }
  void operator()(benchmark::State& state) {
    constexpr ElementBytes kBytes{1, 1, 4};
    std::int64_t macs = 0;
    for (const GemmShape& shape : shapes_) macs += shape.macs();
    race(
        state, 1, macs,
        [&] {
          for (const GemmShape& shape : shapes_) {
            benchmark::DoNotOptimize(timing(shape, array_, kBytes));
          }
        },
        [&] {
          for (const GemmShape& shape : shapes_) {
            benchmark::DoNotOptimize(platform_.time(shape, array_, kBytes));
          }
        });
  }

 private:
  ArrayDesign array_;
  std::vector<GemmShape> shapes_;
  Platform platform_;
};

/// A benchmark that holds a simulation is built when it is first run, and kept: Google Benchmark
/// runs it several times.
template <typename Bench, typename Argument>
void add(const std::string& name, const Argument& argument) {
  auto bench = std::make_shared<std::unique_ptr<Bench>>();
  benchmark::RegisterBenchmark(name.c_str(),
                               [bench, argument](benchmark::State& state) {
                                 if (!*bench) *bench = std::make_unique<Bench>(argument);
                                 (**bench)(state);
                               })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_array() {
  for (const Work& work : kWork) add<CycleBench>("cycle/" + work.name + "/threads:1", work);
  for (const Work& work : kWork) {
    if (work.side == 16) add<StructuralBench>("structural/" + work.name + "/threads:1", work);
  }
  for (const int threads : {1, 2}) {
    add<TransactionSteps>("transaction/step of cnn, e6m9/threads:" + std::to_string(threads),
                          threads);
  }
  for (const Dataflow dataflow :
       {Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary}) {
    add<ResNetTiming>("timing/resnet18, batch 256, three passes, 128x128 " +
                          std::string(to_string(dataflow)) + "/threads:1",
                      dataflow);
  }
}

}  // namespace narrowmac::bench
