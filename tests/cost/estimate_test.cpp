#include "models/cost/estimate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "models/cost/gate_netlist.h"
#include "models/cost/liberty.h"
#include "models/cost/tool.h"
#include "models/design/config.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

RtlDesign flushed(const std::string& accumulator) {
  RtlDesign design;
  design.mac = parse_mac(ConfigTable::parse("[mac]\na = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"" +
                                                accumulator +
                                                "\"\nsubnormals = false\noverflow = \"saturate\"\n"
                                                "special_values = false\n",
                                            "test")
                             .table("mac"));
  return design;
}

/// Why synthesis cannot run here; empty if it can.
std::string missing() {
  try {
    (void)find_tool({"yosys", "yosys"});
    (void)find_tool({"sta", "opensta"});
    (void)default_liberty();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(EstimateTest, Fp32AccumulatorCostsTwiceTheAreaOfE5m10AndMoreEnergy) {
  if (!missing().empty()) GTEST_SKIP() << missing();
  const ScratchFolder cache;
  const auto price = [&](const std::string& accumulator) {
    const RtlDesign design = flushed(accumulator);
    return estimate_by_synthesis(design, default_liberty(), normal_operands(design.mac, 0),
                                 cache.path());
  };
  const CostRecord wide = price("fp32");
  const CostRecord narrow = price("e5m10");
  EXPECT_GT(wide.area_um2 / narrow.area_um2, 1.7);
  EXPECT_LT(wide.area_um2 / narrow.area_um2, 2.2);
  EXPECT_GT(wide.energy_pj, 1.2 * narrow.energy_pj);
  EXPECT_GT(wide.delay_ns, narrow.delay_ns);
  EXPECT_GT(wide.leakage_uw, narrow.leakage_uw);
  double parts = 0;
  for (const AreaPart& part : narrow.parts) parts += part.area_um2;
  EXPECT_NEAR(parts, narrow.area_um2, 1e-6 * narrow.area_um2);
  EXPECT_EQ(narrow.parts.size(), 5U);  // multiplier, alignment, adder, rounding, registers
  // 16 registers of 96 um^2 each.
  EXPECT_NEAR(narrow.parts.back().area_um2 / 1536, 1, 0.1);

  // The second time everything comes from the cache, in the same numbers.
  const CostRecord again = price("e5m10");
  EXPECT_EQ(again.area_um2, narrow.area_um2);
  EXPECT_EQ(again.energy_pj, narrow.energy_pj);
  EXPECT_EQ(again.delay_ns, narrow.delay_ns);
  EXPECT_EQ(again.parts.front().area_um2, narrow.parts.front().area_um2);

  // Energies are kept by the operands: zeros move nothing but the clock.
  const RtlDesign design = flushed("e5m10");
  OperandTrace zeros = normal_operands(design.mac, 0);
  std::fill(zeros.a.begin(), zeros.a.end(), 0.0);
  std::fill(zeros.b.begin(), zeros.b.end(), 0.0);
  const CostRecord idle = estimate_by_synthesis(design, default_liberty(), zeros, cache.path());
  EXPECT_EQ(idle.area_um2, narrow.area_um2);
  EXPECT_LT(idle.energy_pj, 0.5 * narrow.energy_pj);
  EXPECT_GE(idle.energy_pj, idle.clock_pj);
  EXPECT_EQ(idle.clock_pj, narrow.clock_pj);
  const OperandActivity activity = operand_activity(design.mac, zeros);
  EXPECT_EQ(activity.a + activity.b, 0);

  // 16 bits of an accumulator take 16 clock pins.
  const RegisterCost bit = register_cost(read_liberty(default_liberty()));
  EXPECT_EQ(bit.area_um2, 96);
  EXPECT_NEAR(16 * bit.clock_pj, narrow.clock_pj, 0.05 * narrow.clock_pj);
  EXPECT_GT(bit.toggle_pj, 0);
}

TEST(OperandActivity, IsThePartOfBitsThatChange) {
  const RtlDesign design = flushed("e5m10");
  OperandTrace trace;
  trace.length = 3;
  trace.a = {1, -1, -1};  // the sign bit once: 1 of 16 bits
  trace.b = {1, 2, 1};    // e5m2's 0x3c and 0x40: five bits, twice
  EXPECT_EQ(operand_activity(design.mac, trace).a, 1.0 / 16);
  EXPECT_EQ(operand_activity(design.mac, trace).b, 10.0 / 16);
}

TEST(ToolTest, AMissingProgramIsNamedWithItsPackage) {
  try {
    (void)find_tool({"no-such-program", "its-package"});
    FAIL() << "found it";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("its-package"), std::string::npos);
  }
}

TEST(ToolTest, AFailingProgramIsAnErrorWithWhatItSaid) {
  const ScratchFolder folder;
  try {
    (void)run_tool({"ls", "coreutils"}, {"no such; file"}, folder.path(), "log");
    FAIL() << "ls succeeded";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no such; file"), std::string::npos);
  }
}

}  // namespace
}  // namespace narrowmac
