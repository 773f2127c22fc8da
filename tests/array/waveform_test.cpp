#include "models/array/waveform.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bitset>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "models/array/timing.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/reference.h"
#include "tests/temporary_root.h"

// One waveform per TEST: a process holds one simulation.

namespace narrowmac {
namespace {

/// The values of every signal after every clock edge, from a VCD file.
class Vcd {
 public:
  explicit Vcd(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::map<std::string, std::string> names;
    std::vector<std::string> scopes;
    std::int64_t time = 0;
    bool defined = false;
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string word;
      words >> word;
      if (word == "$scope") {
        std::string kind, name;
        words >> kind >> name;
        scopes.push_back(name);
      } else if (word == "$upscope") {
        scopes.pop_back();
      } else if (word == "$var") {
        std::string kind, width, code, name;
        words >> kind >> width >> code >> name;
        std::string path_name;
        for (const std::string& scope : scopes) {
          if (scope != "SystemC") path_name += scope + ".";
        }
        names[code] = path_name + name;
      } else if (word == "$enddefinitions") {
        defined = true;
      } else if (!defined) {
        continue;
      } else if (!word.empty() && word[0] == '#') {
        time = std::stoll(word.substr(1));
      } else if (!word.empty() && (word[0] == 'r' || word[0] == 'b')) {
        std::string code;
        words >> code;
        set(names.at(code), time,
            word[0] == 'r' ? std::stod(word.substr(1))
                           : static_cast<double>(std::stoull(word.substr(1), nullptr, 2)));
      } else if (!word.empty() && (word[0] == '0' || word[0] == '1')) {
        set(names.at(word.substr(1)), time, word[0] - '0');
      }
    }
  }

  /// After clock edge `edge`.
  [[nodiscard]] double at(int row, int column, const std::string& signal, std::int64_t edge) const {
    const std::string name =
        "array.pe_" + std::to_string(row) + "_" + std::to_string(column) + "." + signal;
    const auto& changes = changes_.at(name);
    return std::prev(changes.upper_bound((edge + 1) * kWaveformNanoseconds))->second;
  }

 private:
  void set(const std::string& name, std::int64_t time, double value) {
    changes_[name][time] = value;
  }
  std::map<std::string, std::map<std::int64_t, double>> changes_;
};

MacDesign narrow_mac() {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m3");
  return mac;
}

/// 1, 1.25, 1.5 or 1.75 times a power of two, and zeros.
std::vector<double> values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<double> result(static_cast<std::size_t>(count));
  for (double& value : result) {
    value = std::ldexp(1 + 0.25 * static_cast<double>(random() % 4),
                       static_cast<int>(random() % 6) - 3);
    if (random() % 2 == 0) value = -value;
    if (random() % 8 == 0) value = 0;
  }
  return result;
}

/// A traced GEMM with all that it was made of.
struct Traced {
  std::vector<double> a, b, out;
  GemmShape shape;
  std::int64_t cycles = 0;
  Vcd vcd;
};

Traced trace(const ArrayDesign& array, const MacDesign& mac, const GemmShape& shape) {
  const std::filesystem::path path =
      temporary_root() / ("waveform-" + std::to_string(getpid()) + ".vcd");
  std::vector<double> a = values(shape.m * shape.k, 1);
  std::vector<double> b = values(shape.k * shape.n, 2);
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  std::vector<double> expected(out.size());
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac, array);
  problem.a = OperandView::dense(a.data(), shape.m, shape.k, shape.k);
  problem.b = OperandView::dense(b.data(), shape.k, shape.n, shape.n);
  const std::int64_t cycles =
      write_waveform(problem, array, path, OutputView::of(out.data(), shape.n));
  reference_gemm(problem, OutputView::of(expected.data(), shape.n));
  EXPECT_EQ(out, expected);
  EXPECT_EQ(cycles, timing(shape, array, mac).cycles.total());
  Traced traced{a, b, out, shape, cycles, Vcd(path)};
  std::filesystem::remove(path);
  return traced;
}

/// PE (row, column) multiplies a and b at this edge and adds them to `acc`.
void expect_step(const Traced& traced, const MacDesign& mac, int row, int column, std::int64_t edge,
                 double a, double b, double acc) {
  const Vcd& vcd = traced.vcd;
  const StepOutcome step = mac_step(mac, acc, a, b);
  const bool counts = a * b != 0;
  const auto signal = [&](const char* name) { return vcd.at(row, column, name, edge); };
  ASSERT_EQ(signal("valid"), 1) << row << "," << column << " at " << edge;
  ASSERT_EQ(signal("a"), a);
  ASSERT_EQ(signal("b"), b);
  ASSERT_EQ(signal("product"), a * b);
  ASSERT_EQ(signal("accumulator"), step.value);
  ASSERT_EQ(signal("accumulator_bits"),
            static_cast<double>(encode(step.value, mac.accumulator.format)));
  ASSERT_EQ(signal("full_swamping"), counts && step.inexact && step.value == acc);
  ASSERT_EQ(signal("partial_swamping"), counts && step.inexact && step.value != acc);
}

TEST(Waveform, AnOutputStationaryPeShowsEveryStepOfItsSum) {
  ArrayDesign array;
  array.rows = 3;
  array.columns = 4;
  const MacDesign mac = narrow_mac();
  const Traced traced = trace(array, mac, {3, 4, 40});
  int swamped = 0;
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c) {
      double acc = 0;
      for (int k = 0; k < 40; ++k) {
        const double a = traced.a[static_cast<std::size_t>(r * 40 + k)];
        const double b = traced.b[static_cast<std::size_t>(k * 4 + c)];
        expect_step(traced, mac, r, c, k + r + c, a, b, acc);
        if (HasFatalFailure()) return;
        acc = mac_step(mac, acc, a, b).value;
        swamped += traced.vcd.at(r, c, "full_swamping", k + r + c) != 0 ? 1 : 0;
      }
      EXPECT_EQ(acc, traced.out[static_cast<std::size_t>(r * 4 + c)]);
    }
  }
  EXPECT_GT(swamped, 10);
}

TEST(Waveform, APeIsNotValidBeforeItsOperandsComeNorAfter) {
  ArrayDesign array;
  array.rows = array.columns = 3;
  const Traced traced = trace(array, narrow_mac(), {3, 3, 5});
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) {
      for (std::int64_t edge = 0; edge < traced.cycles; ++edge) {
        const bool valid = edge >= r + c && edge < r + c + 5;
        EXPECT_EQ(traced.vcd.at(r, c, "valid", edge), valid) << r << "," << c << " at " << edge;
      }
    }
  }
}

TEST(Waveform, AWeightStationaryPsumGrowsOnItsWaySouth) {
  ArrayDesign array;
  array.rows = 4;
  array.columns = 2;
  array.dataflow = Dataflow::WeightStationary;
  array.psum = Psum::Chained;
  const MacDesign mac = narrow_mac();
  const Traced traced = trace(array, mac, {6, 2, 4});
  for (int c = 0; c < 2; ++c) {
    for (int m = 0; m < 6; ++m) {
      double psum = 0;
      for (int r = 0; r < 4; ++r) {
        const double a = traced.a[static_cast<std::size_t>(m * 4 + r)];
        const double b = traced.b[static_cast<std::size_t>(r * 2 + c)];
        expect_step(traced, mac, r, c, 4 + m + r + c, a, b, psum);
        if (HasFatalFailure()) return;
        psum = mac_step(mac, psum, a, b).value;
      }
      EXPECT_EQ(psum, traced.out[static_cast<std::size_t>(m * 2 + c)]);
    }
  }
}

TEST(Waveform, APipelinedSumAppearsOnTimeAndNotACycleEarly) {
  ArrayDesign array;
  array.rows = array.columns = 1;
  array.multiplier_latency = 2;
  array.adder_latency = 3;
  MacDesign mac = narrow_mac();
  const Traced traced = trace(array, mac, {1, 1, 8});
  double sum = 0;
  int changes = 0;
  for (int k = 0; k < 8; ++k) {
    const auto i = static_cast<std::size_t>(k);
    const double next = mac_step(mac, sum, traced.a[i], traced.b[i]).value;
    // Operands at edge 3 k, product 2 edges later, in the accumulator after 3 stages.
    EXPECT_EQ(traced.vcd.at(0, 0, "accumulator", 3 * k + 3), sum);
    EXPECT_EQ(traced.vcd.at(0, 0, "accumulator", 3 * k + 4), next);
    changes += next != sum ? 1 : 0;
    sum = next;
  }
  EXPECT_GT(changes, 3);
  EXPECT_EQ(traced.cycles, 7 * 3 + 1 + 2 + 3 - 1);
}

/// Partial folds leave PEs idle, whose wires may still carry what others use.
void expect_every_product_once(Dataflow dataflow) {
  ArrayDesign array;
  array.rows = array.columns = 4;
  array.dataflow = dataflow;
  array.psum = dataflow == Dataflow::OutputStationary ? Psum::Buffer : Psum::Chained;
  const Traced traced = trace(array, narrow_mac(), {6, 7, 9});
  std::int64_t valid = 0;
  for (std::int64_t edge = 0; edge < traced.cycles; ++edge) {
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c) {
        const auto signal = [&](const char* name) { return traced.vcd.at(r, c, name, edge); };
        if (signal("valid") == 0) continue;
        ++valid;
        ASSERT_EQ(signal("product"), signal("a") * signal("b")) << r << "," << c << " at " << edge;
      }
    }
  }
  EXPECT_EQ(valid, 6 * 7 * 9);
}

TEST(Waveform, OutputStationaryPesAreValidOnceForEveryProductOfPartialFolds) {
  expect_every_product_once(Dataflow::OutputStationary);
}
TEST(Waveform, WeightStationaryPesAreValidOnceForEveryProductOfPartialFolds) {
  expect_every_product_once(Dataflow::WeightStationary);
}
TEST(Waveform, InputStationaryPesAreValidOnceForEveryProductOfPartialFolds) {
  expect_every_product_once(Dataflow::InputStationary);
}

TEST(Waveform, TooManyPesAndUnwritableFilesAreRefused) {
  ArrayDesign array;
  array.rows = array.columns = 65;
  const std::vector<double> one = {1};
  double out = 0;
  GemmProblem problem;
  problem.mac = narrow_mac();
  problem.a = problem.b = OperandView::dense(one.data(), 1, 1, 1);
  const auto view = OutputView::of(&out, 1);
  EXPECT_THROW(write_waveform(problem, array, "x.vcd", view), Error);
  array.rows = array.columns = 1;
  EXPECT_THROW(write_waveform(problem, array, "/nonexistent/x.vcd", view), Error);
}

}  // namespace
}  // namespace narrowmac
