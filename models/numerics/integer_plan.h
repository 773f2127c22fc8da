#pragma once

#include <cstdint>
#include <string>

namespace narrowmac {

struct PlanInput;

/// Fixed point in integer lanes: operands as 16-bit codes, sums in codes of the accumulator.
struct IntegerPlan {
  enum class Lanes : std::uint8_t {
    None,
    Saturating16,  ///< 16-bit products, added one by one, saturating
    Pairs32,       ///< any order gives the same bits: 32-bit sums of pairs of products
  };
  Lanes lanes = Lanes::None;
  int a_exponent = 0;    ///< codes of A are values times 2^a_exponent
  int b_exponent = 0;    ///< so that products are codes of the accumulator
  int sum_exponent = 0;  ///< a result is its code times 2^sum_exponent
  int wrapped_bits = 0;  ///< Pairs32: results are reduced modulo 2^wrapped_bits; 0: they fit
  std::string reason;
};

/// The integer lanes that are proven exact for this GEMM, or none.
IntegerPlan plan_integers(const PlanInput& input);

}  // namespace narrowmac
