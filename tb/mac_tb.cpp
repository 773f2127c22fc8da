// MacUnit: a sum is in the result register multiplier_latency + adder_latency - 1 edges after its
// operands were taken, and not an edge earlier, one after the other without a gap.
#include <memory>
#include <vector>

#include "models/array/systemc/structural/mac_unit.h"
#include "models/numerics/reference.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

constexpr int kProducts = 20;
constexpr int kMultipliers[] = {0, 1, 3};
constexpr int kAdders[] = {1, 2, 4};

class MacTestbench : public Testbench {
 public:
  explicit MacTestbench(const sc_core::sc_module_name& name) : Testbench(name) {
    values_.assign(kProducts, 1.25);
    problem_.mac = narrow_mac();
    problem_.a = OperandView::dense(values_.data(), 1, kProducts, kProducts);
    problem_.b = OperandView::dense(values_.data(), kProducts, 1, 1);
    for (const int multiplier : kMultipliers) {
      for (const int adder : kAdders) {
        const std::string unit = fmt::format("mac_{}_{}", multiplier, adder);
        units_.push_back(std::make_unique<MacUnit>(unit.c_str(), multiplier, adder));
      }
    }
  }

 private:
  void stimulus() override {
    const ExactMac arithmetic(problem_);
    std::size_t unit = 0;
    for (const int multiplier : kMultipliers) {
      for (const int adder : kAdders) {
        units_[unit]->configure(arithmetic, true);
        stream(*units_[unit++], multiplier, adder);
      }
    }
  }

  static double operand(int edge) { return 1 + 0.25 * (edge % 4); }
  static double addend(int edge) { return edge - 10; }

  /// New operands at every edge; the addend belongs to the product that is due at its edge.
  void stream(MacUnit& mac, int multiplier, int adder) {
    const int latency = multiplier + adder - 1;
    for (int edge = 0; edge < kProducts + latency; ++edge) {
      wait(cycles(1));
      MacInput input;
      if (edge < kProducts) input = {operand(edge), 1.5, {0, 0, edge}, &fold_, edge};
      const MacInput due = mac.multiply(input);
      const bool is_due = edge >= multiplier && edge - multiplier < kProducts;
      expect(due.valid() == is_due, "a product is due after the multiplier's stages only");
      const MacResult result = due.valid() ? mac.add(due, addend(edge)) : mac.pass({});
      check(result, edge, latency, multiplier);
      if (due.valid()) check_flags(mac, due, addend(edge));
    }
  }

  void check(const MacResult& result, int edge, int latency, int multiplier) {
    expect(result.valid() == (edge >= latency), "a sum is valid on time and not an edge early");
    if (!result.valid()) return;
    const int taken = edge - latency;
    const double sum =
        mac_step(problem_.mac, addend(taken + multiplier), operand(taken), 1.5).value;
    expect(result.element == taken, "sums come in the order of their operands");
    expect(result.value == sum, fmt::format("{} is {}", result.value, sum));
  }

  void check_flags(const MacUnit& mac, const MacInput& due, double before) {
    const StepOutcome step = mac_step(problem_.mac, before, due.a, due.b);
    expect(mac.product == due.a * due.b, "the product is exact");
    expect(mac.full_swamping == (step.inexact && step.value == before), "full swamping is flagged");
    expect(mac.partial_swamping == (step.inexact && step.value != before),
           "partial swamping is flagged");
  }

  std::vector<double> values_;
  GemmProblem problem_;
  Fold fold_;
  std::vector<std::unique_ptr<MacUnit>> units_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::MacTestbench bench("mac_tb");
  return bench.simulate();
}
