#pragma once

#include <fmt/core.h>

#include <string>
#include <systemc>

#include "models/array/systemc/clock.h"
#include "models/numerics/gemm.h"

namespace narrowmac {

/// What a testbench is: a module whose stimulus() runs as a thread, drives the module under test
/// and says what it expects of it. Cycles are those of models/array/systemc/clock.h: 1 ns.
class Testbench : public sc_core::sc_module {
 public:
  SC_HAS_PROCESS(Testbench);
  explicit Testbench(const sc_core::sc_module_name& name) : sc_core::sc_module(name) {
    SC_THREAD(run);
  }

  /// Simulates to the end of the stimulus. Returns the exit code.
  int simulate() {
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_start();
    if (!ended_) expect(false, "the stimulus comes to its end");
    fmt::print("{}: {} checks, {} failed\n", name(), checks_, failures_);
    return failures_ == 0 ? 0 : 1;
  }

 protected:
  virtual void stimulus() = 0;
  void expect(bool condition, const std::string& what) {
    ++checks_;
    if (condition) return;
    ++failures_;
    fmt::print("{} at {}: expected that {}\n", name(), sc_core::sc_time_stamp().to_string(), what);
  }

 private:
  void run() {
    try {
      stimulus();
      ended_ = true;
    } catch (const std::exception& error) {
      expect(false, std::string("nothing is thrown: ") + error.what());
    }
    sc_core::sc_stop();
  }

  int checks_ = 0;
  int failures_ = 0;
  bool ended_ = false;
};

/// e5m2 products in an e6m3 accumulator: sums that lose bits.
inline MacDesign narrow_mac() {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m3");
  return mac;
}

}  // namespace narrowmac
