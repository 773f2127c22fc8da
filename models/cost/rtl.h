#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/cost/rtl_template.h"
#include "models/design/array_design.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// A MAC as Verilog is written for it.
struct RtlDesign {
  MacDesign mac;
  int multiplier_stages = 0;  ///< 0..3: registers between the operands and the adder
  int adder_stages = 1;       ///< 1..3: edges from the accumulator to its next value
  int interleave = 1;         ///< sums that take turns in one unit

  /// The design with the pipeline of an array's elements.
  static RtlDesign of(const MacDesign& mac, const ArrayDesign& array);
  /// Sums in the unit's registers at a time.
  [[nodiscard]] int turns() const { return adder_stages > interleave ? adder_stages : interleave; }
  /// Clock edges from operands to the sum that holds them.
  [[nodiscard]] int latency() const {
    return multiplier_stages + adder_stages + (mac.chunk ? 1 : 0);
  }
  /// The format of the unit's output: the last accumulator's.
  [[nodiscard]] const NumberFormat& sum_format() const {
    return mac.chunk ? mac.chunk->accumulator.format : mac.accumulator.format;
  }
};

/// Throws Error naming the key if no Verilog is written for this design.
void check_rtl(const RtlDesign& design);

/// What the templates call the design's parameters and widths. `prefix` stands before the names of
/// the modules of this design.
RtlTokens rtl_tokens(const RtlDesign& design, std::string_view prefix = "");

/// The modules that every design uses: nm_*.v and nm_functions.vh.
std::vector<RtlFile> rtl_modules();
/// mac.v: modules mac, mac_step and, with a chunk, mac_second_step, with the design's parameters.
/// Throws Error as check_rtl() does.
std::string rtl_top(const RtlDesign& design, std::string_view prefix = "");

/// A folder for simulation and synthesis: the modules, mac.v, a self-checking testbench mac_tb.v
/// with its vectors, files.f, and README.txt, which says how to run it. Vectors depend on the
/// design and the seed only.
std::vector<RtlFile> rtl_folder(const RtlDesign& design, std::uint64_t seed = 0);

}  // namespace narrowmac
