// accumulator + addend, rounded once to the accumulator's float format. The addend is
// (-1)^sign * magnitude * 2^(exponent + ADDEND_BASE); its leading one is among the INTEGER upper bits.
// STAGES 2 has registers after the alignment, 3 also after the addition.
// ROUNDING 5 is truncate-aligned with GUARD_BITS.
//
// The window has bits enough that what is lost below it needs no more than `sticky`: bits are lost only
// by shifts of more than GUARD places; then the result's leading one lies at the larger addend's or one
// below it, and FRACTION + GUARD places hold its fraction, one more, and the bit (or the random bits)
// below.
module nm_add_float #(
  parameter KIND            = 0,
  parameter EXPONENT_BITS   = 5,
  parameter FRACTION_BITS   = 10,
  parameter ROUNDING        = 0,
  parameter RANDOM_BITS     = 1,
  parameter GUARD_BITS      = 0,
  parameter OVERFLOW        = 0,
  parameter SUBNORMALS      = 1,
  parameter SPECIAL_VALUES  = 1,
  parameter ADDEND_WIDTH    = 6,
  parameter ADDEND_EXPONENT = 7,
  parameter ADDEND_BASE     = -34,
  parameter ADDEND_LOW      = 0,  // bounds of the addend's exponent
  parameter ADDEND_HIGH     = 62,
  parameter INTEGER         = 2,
  parameter STAGES          = 1
) (
  input                                  clock,
  input  [EXPONENT_BITS+FRACTION_BITS:0] accumulator,
  input                                  addend_sign,
  input  signed [ADDEND_EXPONENT-1:0]    addend_exponent,
  input  [ADDEND_WIDTH-1:0]              addend_magnitude,
  input                                  addend_infinity,
  input                                  addend_nan,
  input  [RANDOM_BITS-1:0]               random,
  output [EXPONENT_BITS+FRACTION_BITS:0] sum
);
  `include "nm_functions.vh"
  localparam TRUNCATES = (ROUNDING == 5);
  localparam BIAS      = (1 << (EXPONENT_BITS - 1)) - 1;
  localparam OFFSET    = ADDEND_BASE + ADDEND_WIDTH - INTEGER + BIAS;
  localparam LOW       = ADDEND_LOW + OFFSET;
  localparam HIGH      = ADDEND_HIGH + OFFSET;
  localparam FRACTION  = TRUNCATES ? FRACTION_BITS : largest(FRACTION_BITS, ADDEND_WIDTH - INTEGER);
  localparam PLACES    = FRACTION_BITS + ((ROUNDING == 4) ? largest(2, RANDOM_BITS + 1) : 2);
  localparam GUARD     = TRUNCATES ? GUARD_BITS + 1 : largest(INTEGER, PLACES - FRACTION);
  localparam WINDOW    = INTEGER + FRACTION + GUARD;
  localparam MOST      = (1 << EXPONENT_BITS) - 1;
  localparam EXPONENT_WIDTH = largest(largest(EXPONENT_BITS + 2, ADDEND_EXPONENT),
      largest(signed_bits(1 - HIGH, MOST - LOW),
              signed_bits(smallest(LOW, -WINDOW), largest(HIGH, MOST) + INTEGER + 1)));

  wire                     own_sign;
  wire [EXPONENT_BITS-1:0] own_exponent;
  wire [FRACTION_BITS:0]   own_magnitude;
  wire                     own_infinity;
  wire                     own_nan;
  // An accumulator without subnormals has none to flush; its zero counts as one all the same.
  nm_unpack #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
              .WIDTH(EXPONENT_BITS + FRACTION_BITS + 1), .SUBNORMALS(1),
              .SPECIAL_VALUES(SPECIAL_VALUES)) unpack (
      .code(accumulator), .sign(own_sign), .exponent(own_exponent), .magnitude(own_magnitude),
      .infinity(own_infinity), .nan(own_nan));

  wire signed [EXPONENT_WIDTH-1:0] exponent;
  wire                             addend_is_larger;
  wire [WINDOW-1:0]                larger;
  wire [WINDOW-1:0]                smaller;
  wire                             lost;
  nm_align_float #(.EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
                   .ADDEND_WIDTH(ADDEND_WIDTH), .ADDEND_EXPONENT(ADDEND_EXPONENT),
                   .OFFSET(OFFSET), .EXPONENT_WIDTH(EXPONENT_WIDTH), .INTEGER(INTEGER),
                   .FRACTION(FRACTION), .GUARD(GUARD)) align (
      .accumulator_exponent(own_exponent), .accumulator_magnitude(own_magnitude),
      .addend_exponent(addend_exponent), .addend_magnitude(addend_magnitude),
      .exponent(exponent), .addend_is_larger(addend_is_larger), .larger(larger),
      .smaller(smaller), .sticky(lost));
  wire subtract  = own_sign ^ addend_sign;
  wire bad       = own_nan | addend_nan | (own_infinity & addend_infinity & subtract);
  wire infinite  = own_infinity | addend_infinity;
  wire infinity_sign = own_infinity ? own_sign : addend_sign;
  // Aligned truncation keeps GUARD_BITS; the place below only served the shift by wires.
  wire [WINDOW-1:0] kept = {{(WINDOW - 1) {1'b1}}, !TRUNCATES};

  wire signed [EXPONENT_WIDTH-1:0] exponent2;
  wire [WINDOW-1:0] larger2;
  wire [WINDOW-1:0] smaller2;
  wire lost2, subtract2, larger_sign2, smaller_sign2, bad2, infinite2, infinity_sign2;
  nm_register #(.WIDTH(EXPONENT_WIDTH + 2 * WINDOW + 7), .DEPTH((STAGES >= 2) ? 1 : 0)) aligned (
      .clock(clock),
      .d({exponent, larger & kept, smaller & kept, lost & !TRUNCATES, subtract,
          addend_is_larger ? addend_sign : own_sign, addend_is_larger ? own_sign : addend_sign,
          bad, infinite, infinity_sign}),
      .q({exponent2, larger2, smaller2, lost2, subtract2, larger_sign2, smaller_sign2,
          bad2, infinite2, infinity_sign2}));

  wire [WINDOW:0] magnitude;
  wire            smaller_wins;
  nm_add_magnitude #(.WINDOW(WINDOW)) add (
      .larger(larger2), .smaller(smaller2), .sticky(lost2), .subtract(subtract2),
      .magnitude(magnitude), .smaller_wins(smaller_wins));

  wire signed [EXPONENT_WIDTH-1:0] exponent3;
  wire [WINDOW:0] magnitude3;
  wire lost3, subtract3, sign3, bad3, infinite3, infinity_sign3;
  nm_register #(.WIDTH(EXPONENT_WIDTH + WINDOW + 7), .DEPTH((STAGES >= 3) ? 1 : 0)) added (
      .clock(clock),
      .d({exponent2, magnitude, lost2, subtract2, smaller_wins ? smaller_sign2 : larger_sign2,
          bad2, infinite2, infinity_sign2}),
      .q({exponent3, magnitude3, lost3, subtract3, sign3, bad3, infinite3, infinity_sign3}));

  nm_round_float #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
                   .EXPONENT_WIDTH(EXPONENT_WIDTH), .WIDTH(WINDOW + 1), .TOP(INTEGER),
                   .ROUNDING(TRUNCATES ? 2 : ROUNDING), .RANDOM_BITS(RANDOM_BITS),
                   .OVERFLOW(OVERFLOW), .SUBNORMALS(SUBNORMALS),
                   .SPECIAL_VALUES(SPECIAL_VALUES)) round (
      .sign(sign3), .signs_differ(subtract3), .exponent(exponent3), .magnitude(magnitude3),
      .sticky(lost3), .infinity(infinite3), .nan(bad3), .infinity_sign(infinity_sign3),
      .random(random), .code(sum));
endmodule
