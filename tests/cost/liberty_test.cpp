#include "models/cost/liberty.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/cost/cell_function.h"
#include "models/cost/gate_netlist.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// Two cells with round numbers: 2 V, femtofarads, so energies in femtojoules times 4.
constexpr const char* kLibrary = R"(/* a comment */
library(small) {
  voltage_unit : "1V"; time_unit : "1ns"; leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff);
  nom_voltage : 2.0;
  power_lut_template(energy) {
    variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("0, 10"); index_2 ("1, 2, 3");
  }
  cell(INV) {
    area : 3; cell_leakage_power : 5;
    pin(A) { direction : input; capacitance : 1.5; }
    pin(Y) { direction : output; function : "!A";
      internal_power() { related_pin : "A";
        rise_power(energy) { values ("1, 2, 3", \
                                     "11, 12, 13"); }
        fall_power(energy) { values ("3, 4, 5", "13, 14, 15"); }
      }
    }
  }
  cell(DFF) {
    area : 20; cell_leakage_power : 7;
    ff(IQ, IQN) { next_state : "D"; clocked_on : "CK"; }
    pin(D) { direction : input; capacitance : 2; }
    pin(CK) { direction : input; capacitance : 4; clock : true; }
    pin(Q) { direction : output; function : "IQ"; }
  }
}
)";

/// A register whose inverse is its next state: it changes in every cycle.
constexpr const char* kNetlist = R"({"modules": {"mac": {
  "ports": {"clock": {"direction": "input", "bits": [2]}, "q": {"direction": "output", "bits": [3]}},
  "cells": {
    "i": {"type": "INV", "connections": {"A": [3], "Y": [4]}},
    "r": {"type": "DFF", "connections": {"CK": [2], "D": [4], "Q": [3]}}}}}})";

class LibertyTest : public testing::Test {
 protected:
  LibertyTest()
      : path_(std::filesystem::path(testing::TempDir()) /
              ("liberty-" + std::to_string(::getpid()) + ".lib")) {}
  ~LibertyTest() override { std::filesystem::remove(path_); }
  LibertyTest(const LibertyTest&) = delete;
  LibertyTest& operator=(const LibertyTest&) = delete;

  Liberty read(const std::string& text) const {
    std::ofstream(path_, std::ios::binary) << text;
    return read_liberty(path_);
  }
  std::string error_of(const std::string& text) const {
    try {
      (void)read(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static std::string replaced(const std::string& from, const std::string& to) {
    std::string text = kLibrary;
    text.replace(text.find(from), from.size(), to);
    return text;
  }

 private:
  std::filesystem::path path_;
};

TEST_F(LibertyTest, IsReadInSiUnits) {
  const Liberty library = read(kLibrary);
  EXPECT_EQ(library.name, "small");
  EXPECT_DOUBLE_EQ(library.voltage, 2);
  const LibertyCell& inverter = library.cells.at("INV");
  EXPECT_DOUBLE_EQ(inverter.area, 3);
  EXPECT_DOUBLE_EQ(inverter.leakage, 5e-9);
  EXPECT_DOUBLE_EQ(inverter.pin("A")->capacitance, 1.5e-15);
  const LibertyPower& power = inverter.pin("Y")->powers.at(0);
  // Half way between loads of 0 and 10 fF, at the second transition: (2 + 12) / 2 and (4 + 14) / 2.
  EXPECT_NEAR(power.rise->at(5e-15, 2e-9), 7e-15, 1e-24);
  EXPECT_NEAR(power.at(5e-15, 2e-9), 8e-15, 1e-24);
  EXPECT_NEAR(power.rise->at(1, 1), 13e-15, 1e-24);  // beyond the ends: the last point
  ASSERT_TRUE(library.cells.at("DFF").flip_flop);
  EXPECT_TRUE(library.cells.at("DFF").pin("CK")->is_clock);
}

TEST_F(LibertyTest, ErrorsNameFileLineAndWhatIsWrong) {
  EXPECT_NE(error_of("").find(".lib:1: no liberty file: it ends too early"), std::string::npos);
  EXPECT_NE(error_of(replaced("area : 3;", "area : wide;")).find(".lib:11: found 'wide'"),
            std::string::npos);
  EXPECT_NE(error_of(replaced("capacitive_load_unit (1, ff);", "")).find("capacitive_load_unit"),
            std::string::npos);
  EXPECT_NE(error_of(replaced("nom_voltage : 2.0;", "")).find("nom_voltage"), std::string::npos);
  EXPECT_NE(error_of(replaced("13, 14, 15", "13, 14")).find("a table has 5 values"),
            std::string::npos);
  EXPECT_NE(error_of(replaced("ff(IQ, IQN)", "gg(IQ, IQN)")).find("no flip-flop"),
            std::string::npos);
  std::string deep = "library(x) {";
  for (int i = 0; i < 100000; ++i) deep += "a(b) {";
  EXPECT_NE(error_of(deep).find("nested too deeply"), std::string::npos);
  EXPECT_NE(error_of("library(x) { /* ").find("comment does not end"), std::string::npos);
}

TEST_F(LibertyTest, EnergyOfANetlistIsTheSumOfItsTransitions) {
  const Liberty library = read(kLibrary);
  const GateNetlist netlist(kNetlist, "mac", library);
  EXPECT_DOUBLE_EQ(netlist.area(), 23);
  EXPECT_DOUBLE_EQ(netlist.register_area(), 20);
  EXPECT_DOUBLE_EQ(netlist.leakage(), 12e-9);
  GateSimulation simulation(netlist);
  simulation.settle(false);
  for (int cycle = 0; cycle < 10; ++cycle) {
    simulation.clock();
    simulation.settle(true);
    EXPECT_EQ(simulation.get(netlist.port("q"), 0), cycle % 2 == 0 ? ~std::uint64_t{0} : 0U);
  }
  // Both nets change in every cycle. q: pin A, 1.5 fF; the inverter's output: pin D, 2 fF, and the
  // inverter's own energy at a load of 2 fF and the second transition, (2 + 2 + 4 + 2) / 2 in units
  // of 1 fF V^2. The clock: 4 fF, twice.
  const double expected = (1.5 * 4 / 2 + 2 * 4 / 2.0 + 5) * 1e-15 + 4 * 4e-15;
  EXPECT_NEAR(GateEnergy(netlist).per_cycle(simulation), expected, 1e-20);
}

TEST_F(LibertyTest, NetlistsWithUnknownCellsOrLoopsAreRefused) {
  const Liberty library = read(kLibrary);
  std::string unknown = kNetlist;
  unknown.replace(unknown.find("INV"), 3, "BUF");
  EXPECT_THROW(GateNetlist(unknown, "mac", library), Error);
  std::string loop = kNetlist;
  loop.replace(loop.find("\"A\": [3]"), 8, "\"A\": [4]");
  EXPECT_THROW(GateNetlist(loop, "mac", library), Error);
}

TEST(CellFunctionTest, KnowsLibertysNotations) {
  const std::uint64_t a = 0b1100, b = 0b1010;
  const auto value = [&](const char* text) {
    const CellFunction function(text);
    std::vector<std::uint64_t> pins;
    for (const std::string& pin : function.pins()) pins.push_back(pin == "A" ? a : b);
    return function.evaluate(pins) & 0b1111;
  };
  EXPECT_EQ(value("(!(A B))"), 0b0111U);
  EXPECT_EQ(value("A & B"), 0b1000U);
  EXPECT_EQ(value("A*B"), 0b1000U);
  EXPECT_EQ(value("A + B"), 0b1110U);
  EXPECT_EQ(value("A|!B"), 0b1101U);
  EXPECT_EQ(value("A ^ B"), 0b0110U);
  EXPECT_EQ(value("A'B"), 0b0010U);
  EXPECT_EQ(value("A + B A'"), 0b1110U);
  EXPECT_EQ(value("(A^B)'"), 0b1001U);
  EXPECT_EQ(value("1"), 0b1111U);
  EXPECT_THROW(CellFunction("A &"), Error);
  EXPECT_THROW(CellFunction("(A"), Error);
  EXPECT_THROW(CellFunction(std::string(1000, '(')), Error);
}

}  // namespace
}  // namespace narrowmac
