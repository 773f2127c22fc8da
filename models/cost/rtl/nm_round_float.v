// A magnitude, whose top bit has the weight 2^(exponent + TOP) in the result's biased units, becomes a
// float: leading one to the top, rounding, overflow, underflow.
// OVERFLOW: 0 infinity, 1 saturate.
module nm_round_float #(
  parameter KIND           = 0,
  parameter EXPONENT_BITS  = 5,
  parameter FRACTION_BITS  = 10,
  parameter EXPONENT_WIDTH = 8,
  parameter WIDTH          = 16,
  parameter TOP            = 2,
  parameter ROUNDING       = 0,
  parameter RANDOM_BITS    = 1,
  parameter OVERFLOW       = 0,
  parameter SUBNORMALS     = 1,
  parameter SPECIAL_VALUES = 1
) (
  input                               sign,
  input                               signs_differ,  // of the addends
  input  signed [EXPONENT_WIDTH-1:0]  exponent,      // at least 1 if there are subnormals
  input  [WIDTH-1:0]                  magnitude,
  input                               sticky,
  input                               infinity,
  input                               nan,
  input                               infinity_sign,
  input  [RANDOM_BITS-1:0]            random,
  output [EXPONENT_BITS+FRACTION_BITS:0] code
);
  `include "nm_functions.vh"
  localparam PLACES     = EXPONENT_BITS + FRACTION_BITS;
  localparam NORMALISED = largest(WIDTH, FRACTION_BITS + 1 + largest(RANDOM_BITS, 2));
  localparam COUNT_BITS = clog2(WIDTH + 1);
  localparam BELOW      = NORMALISED - 1 - FRACTION_BITS;
  localparam [31:0] TOP_WEIGHT = TOP;

  wire signed [EXPONENT_WIDTH-1:0] top = exponent + TOP_WEIGHT[EXPONENT_WIDTH-1:0];
  wire [WIDTH-1:0]      shifted;
  wire [COUNT_BITS-1:0] shift;
  generate
    if (SUBNORMALS != 0) begin : gradual
      // Not beyond the exponent of the smallest normal number.
      wire [COUNT_BITS-1:0] zeros;
      wire [EXPONENT_WIDTH-1:0] limit = top - 1;
      nm_leading_zeros #(.WIDTH(WIDTH), .COUNT_BITS(COUNT_BITS)) counter (
          .value(magnitude), .count(zeros));
      wire beyond = {{EXPONENT_WIDTH{1'b0}}, zeros} > {{COUNT_BITS{1'b0}}, limit};
      wire [EXPONENT_WIDTH+COUNT_BITS-1:0] wide_limit = {{COUNT_BITS{1'b0}}, limit};
      assign shift = beyond ? wide_limit[COUNT_BITS-1:0] : zeros;
      nm_shift_left #(.WIDTH(WIDTH), .AMOUNT_BITS(COUNT_BITS)) shifter (
          .value(magnitude), .amount(shift), .shifted(shifted));
    end else begin : flushed
      localparam FEWER = clog2(WIDTH);  // zero needs no count
      wire [FEWER-1:0] zeros;
      nm_normalise #(.WIDTH(WIDTH), .COUNT_BITS(FEWER)) normaliser (
          .value(magnitude), .normalised(shifted), .count(zeros));
      assign shift = {{(COUNT_BITS - FEWER) {1'b0}}, zeros};
    end
  endgenerate

  wire [NORMALISED-1:0] normalised = {{(NORMALISED - WIDTH) {1'b0}}, shifted} << (NORMALISED - WIDTH);
  wire                  hidden     = normalised[NORMALISED-1];
  wire [FRACTION_BITS-1:0] fraction = normalised[NORMALISED-2 -: FRACTION_BITS];
  wire [BELOW-1:0]      below      = normalised[BELOW-1:0];
  wire [EXPONENT_WIDTH+COUNT_BITS-1:0] wide_shift = {{EXPONENT_WIDTH{1'b0}}, shift};
  wire [EXPONENT_WIDTH-1:0] own_field = top - wide_shift[EXPONENT_WIDTH-1:0];
  // A subnormal has the field 0; a flushed zero is recognised below.
  wire [EXPONENT_WIDTH-1:0] field =
      (SUBNORMALS != 0) ? own_field & {EXPONENT_WIDTH{hidden}} : own_field;

  wire is_zero = ~(|magnitude) & ~sticky;
  wire negative = (signs_differ & is_zero) ? (ROUNDING == 3) : sign;
  wire up;
  nm_round_up #(.ROUNDING(ROUNDING), .WIDTH(BELOW), .RANDOM_BITS(RANDOM_BITS)) rounder (
      .negative(sign), .odd(fraction[0]), .below(below), .sticky(sticky), .random(random), .up(up));
  // A carry out of the fraction moves into the exponent by itself.
  wire [EXPONENT_WIDTH+FRACTION_BITS-1:0] rounded =
      {field, fraction} + {{(EXPONENT_WIDTH + FRACTION_BITS - 1) {1'b0}}, up};
  wire [EXPONENT_WIDTH-1:0] rounded_field = rounded[FRACTION_BITS +: EXPONENT_WIDTH];
  wire below_range = (SUBNORMALS != 0) ? 1'b0
                     : ~hidden | rounded_field[EXPONENT_WIDTH-1] | ~(|rounded_field);
  wire beyond_field = |rounded_field[EXPONENT_WIDTH-2:EXPONENT_BITS];
  wire beyond_range = ~rounded_field[EXPONENT_WIDTH-1]
                      & (beyond_field | ((KIND == 1) ? &rounded[PLACES-1:0]
                                                     : &rounded_field[EXPONENT_BITS-1:0]));

  localparam [PLACES-1:0] INFINITY = {{EXPONENT_BITS{1'b1}}, {FRACTION_BITS{1'b0}}};
  localparam [PLACES-1:0] ONES     = {PLACES{1'b1}};
  localparam [PLACES-1:0] NAN  = (KIND == 1) ? ONES : INFINITY | ({{(PLACES - 1) {1'b0}}, 1'b1}
                                                                  << (FRACTION_BITS - 1));
  localparam [PLACES-1:0] MOST = (KIND == 1) ? ONES - 1 : INFINITY - 1;
  localparam              INWARD = (OVERFLOW == 1 || ROUNDING == 2);

  wire clamps = INWARD || (ROUNDING == 3 && !negative);
  wire [PLACES-1:0] finite = below_range ? {PLACES{1'b0}}
                             : (beyond_range & clamps) ? MOST : rounded[PLACES-1:0];
  generate
    if (SPECIAL_VALUES == 0) begin : finite_data
      assign code = {negative, finite};
    end else begin : ieee
      wire overflows = beyond_range & ~below_range & ~clamps;
      wire no_number = nan | (KIND == 1 && (infinity | overflows));
      assign code = no_number ? {1'b0, NAN}
                    : infinity ? {infinity_sign, INFINITY}
                    : overflows ? {negative, INFINITY} : {negative, finite};
    end
  endgenerate
endmodule
