// accumulator + addend, rounded once to the accumulator's format, whatever it is. The addend comes
// unpacked, (-1)^sign * magnitude * 2^(exponent + ADDEND_BASE), or, if WHOLE, as a two's complement
// `magnitude` in units of 2^ADDEND_BASE.
// ROUNDING: 0 nearest-even, 1 nearest-away, 2 toward-zero, 3 down, 4 stochastic, 5 truncate-aligned.
// OVERFLOW: 0 infinity, 1 saturate, 2 wrap.
module nm_add #(
  parameter KIND            = 0,
  parameter EXPONENT_BITS   = 5,
  parameter FRACTION_BITS   = 10,
  parameter WIDTH           = 16,
  parameter ROUNDING        = 0,
  parameter RANDOM_BITS     = 1,
  parameter GUARD_BITS      = 0,
  parameter OVERFLOW        = 0,
  parameter SUBNORMALS      = 1,
  parameter SPECIAL_VALUES  = 1,
  parameter WHOLE           = 0,
  parameter ADDEND_WIDTH    = 6,
  parameter ADDEND_EXPONENT = 7,
  parameter ADDEND_BASE     = -34,
  parameter ADDEND_LOW      = 0,
  parameter ADDEND_HIGH     = 62,
  parameter INTEGER         = 2,
  parameter STAGES          = 1
) (
  input                               clock,
  input  [WIDTH-1:0]                  accumulator,
  input                               addend_sign,
  input  signed [ADDEND_EXPONENT-1:0] addend_exponent,
  input  [ADDEND_WIDTH-1:0]           addend_magnitude,
  input                               addend_infinity,
  input                               addend_nan,
  input  [RANDOM_BITS-1:0]            random,
  output [WIDTH-1:0]                  sum
);
  `include "nm_functions.vh"
  localparam SHIFT = ADDEND_BASE + FRACTION_BITS;  // fixed point: from the addend's units to ours
  localparam ROUNDED_BITS = (ROUNDING == 4) ? RANDOM_BITS : 1;
  // Deeper than that a bit cannot change the rounding.
  localparam DROPPED = (WHOLE != 0)
      ? ((SHIFT >= 0) ? 0 : smallest(-SHIFT, ADDEND_WIDTH + ROUNDED_BITS + 1))
      : ((SHIFT + ADDEND_LOW >= 0) ? 0 : ROUNDED_BITS + 1);
  localparam RAISED = (WHOLE != 0) ? smallest(largest(SHIFT, 0), WIDTH + 1) : 0;
  localparam ALIGNED = (WHOLE != 0) ? ADDEND_WIDTH + RAISED : WIDTH + DROPPED + 2;
  localparam TOTAL = largest(WIDTH + DROPPED, ALIGNED) + 1;
  generate
    if (KIND < 2) begin : float
      nm_add_float #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
                     .ROUNDING(ROUNDING), .RANDOM_BITS(RANDOM_BITS), .GUARD_BITS(GUARD_BITS),
                     .OVERFLOW(OVERFLOW), .SUBNORMALS(SUBNORMALS),
                     .SPECIAL_VALUES(SPECIAL_VALUES), .ADDEND_WIDTH(ADDEND_WIDTH),
                     .ADDEND_EXPONENT(ADDEND_EXPONENT), .ADDEND_BASE(ADDEND_BASE),
                     .ADDEND_LOW(ADDEND_LOW), .ADDEND_HIGH(ADDEND_HIGH), .INTEGER(INTEGER),
                     .STAGES(STAGES)) adder (
          .clock(clock), .accumulator(accumulator), .addend_sign(addend_sign),
          .addend_exponent(addend_exponent), .addend_magnitude(addend_magnitude),
          .addend_infinity(addend_infinity), .addend_nan(addend_nan), .random(random), .sum(sum));
    end else begin : fixed
      wire [ALIGNED-1:0] aligned;
      if (WHOLE != 0) begin : shifted
        assign aligned = {{RAISED{addend_magnitude[ADDEND_WIDTH-1]}}, addend_magnitude} << RAISED;
      end else begin : unpacked
        nm_align_fixed #(.WIDTH(WIDTH), .FRACTION_BITS(FRACTION_BITS), .DROPPED(DROPPED),
                         .WRAPS(OVERFLOW == 2), .ADDEND_WIDTH(ADDEND_WIDTH),
                         .ADDEND_EXPONENT(ADDEND_EXPONENT), .ADDEND_BASE(ADDEND_BASE),
                         .ADDEND_LOW(ADDEND_LOW), .ADDEND_HIGH(ADDEND_HIGH)) align (
            .sign(addend_sign), .exponent(addend_exponent), .magnitude(addend_magnitude),
            .aligned(aligned));
      end
      wire [ALIGNED-1:0] aligned2;
      wire [WIDTH-1:0]   accumulator2;
      nm_register #(.WIDTH(ALIGNED + WIDTH), .DEPTH((STAGES >= 2) ? 1 : 0)) after_alignment (
          .clock(clock), .d({aligned, accumulator}), .q({aligned2, accumulator2}));
      wire [TOTAL-1:0] total;
      nm_add_signed #(.WIDTH(WIDTH), .DROPPED(DROPPED), .ADDEND_WIDTH(ALIGNED), .SUM(TOTAL)) add (
          .accumulator(accumulator2), .addend(aligned2), .sum(total));
      wire [TOTAL-1:0] total3;
      nm_register #(.WIDTH(TOTAL), .DEPTH((STAGES >= 3) ? 1 : 0)) after_addition (
          .clock(clock), .d(total), .q(total3));
      nm_round_fixed #(.WIDTH(WIDTH), .DROPPED(DROPPED), .SUM(TOTAL), .ROUNDING(ROUNDING),
                       .RANDOM_BITS(RANDOM_BITS), .OVERFLOW(OVERFLOW)) round (
          .sum(total3), .random(random), .code(sum));
    end
  endgenerate
endmodule
