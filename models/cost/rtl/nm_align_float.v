// Brings the addend and the accumulator to a common exponent, the larger of the two: the other one is
// shifted right. Bit FRACTION + GUARD of both windows has the weight 2^exponent, in the accumulator's
// biased units. Above it INTEGER - 1 bits are left for addends up to 2^INTEGER.
module nm_align_float #(
  parameter EXPONENT_BITS    = 5,   // of the accumulator
  parameter FRACTION_BITS    = 10,
  parameter ADDEND_WIDTH     = 6,   // INTEGER bits, a point, fraction bits
  parameter ADDEND_EXPONENT  = 7,   // signed
  parameter OFFSET           = 0,   // of the addend's exponent against the accumulator's field
  parameter EXPONENT_WIDTH   = 8,   // signed, for all sums and differences of exponents
  parameter INTEGER          = 2,
  parameter FRACTION         = 10,
  parameter GUARD            = 2,
  parameter WINDOW           = INTEGER + FRACTION + GUARD
) (
  input  [EXPONENT_BITS-1:0]                 accumulator_exponent,  // at least 1
  input  [FRACTION_BITS:0]                   accumulator_magnitude,
  input  signed [ADDEND_EXPONENT-1:0]        addend_exponent,
  input  [ADDEND_WIDTH-1:0]                  addend_magnitude,
  output signed [EXPONENT_WIDTH-1:0]         exponent,
  output                                     addend_is_larger,
  output [WINDOW-1:0]                        larger,
  output [WINDOW-1:0]                        smaller,
  output                                     sticky
);
  localparam ADDEND_FRACTION = ADDEND_WIDTH - INTEGER;
  localparam BELOW = FRACTION + GUARD;
  localparam [31:0] DISTANCE = OFFSET;

  wire signed [EXPONENT_WIDTH-1:0] addend_field =
      {{(EXPONENT_WIDTH - ADDEND_EXPONENT) {addend_exponent[ADDEND_EXPONENT-1]}}, addend_exponent}
      + DISTANCE[EXPONENT_WIDTH-1:0];
  wire signed [EXPONENT_WIDTH-1:0] own_field =
      $signed({{(EXPONENT_WIDTH - EXPONENT_BITS) {1'b0}}, accumulator_exponent});
  wire signed [EXPONENT_WIDTH-1:0] difference = own_field - addend_field;

  wire [WINDOW-1:0] own = {{(WINDOW - 1 - FRACTION_BITS) {1'b0}}, accumulator_magnitude}
                          << (BELOW - FRACTION_BITS);
  wire [WINDOW-1:0] other;
  generate
    if (BELOW >= ADDEND_FRACTION) begin : all_bits
      assign other = {{(WINDOW - ADDEND_WIDTH) {1'b0}}, addend_magnitude}
                     << (BELOW - ADDEND_FRACTION);
    end else begin : upper_bits
      assign other = addend_magnitude[ADDEND_WIDTH-1 -: WINDOW];
    end
  endgenerate

  // A zero addend has no exponent.
  assign addend_is_larger = difference[EXPONENT_WIDTH-1] & (|addend_magnitude);
  assign exponent = addend_is_larger ? addend_field : own_field;
  assign larger   = addend_is_larger ? other : own;
  // -difference - 1 is the inverse of the difference; the 1 is a shift by wires.
  wire [WINDOW-1:0] shifted_in = addend_is_larger ? own >> 1 : other;
  wire [EXPONENT_WIDTH-2:0] amount =
      difference[EXPONENT_WIDTH-2:0] ^ {(EXPONENT_WIDTH - 1) {addend_is_larger}};
  nm_shift_right #(.WIDTH(WINDOW), .AMOUNT_BITS(EXPONENT_WIDTH - 1)) shifter (
      .value(shifted_in), .amount(amount), .shifted(smaller), .sticky(sticky));
endmodule
