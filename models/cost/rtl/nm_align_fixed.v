// (-1)^sign * magnitude * 2^(exponent + ADDEND_BASE) as a two's complement number of WIDTH + 2 bits in
// units of 2^-FRACTION_BITS, with DROPPED bits below them; the last of these tells that a 1 lies
// deeper. What does not fit becomes +-2^WIDTH, which saturates any accumulator of WIDTH bits; if the
// accumulator wraps, its low bits.
module nm_align_fixed #(
  parameter WIDTH           = 32,
  parameter FRACTION_BITS   = 0,
  parameter DROPPED         = 2,  // 0, or at least 2
  parameter WRAPS           = 0,
  parameter ADDEND_WIDTH    = 6,
  parameter ADDEND_EXPONENT = 7,
  parameter ADDEND_BASE     = -34,
  parameter ADDEND_LOW      = 0,
  parameter ADDEND_HIGH     = 62
) (
  input                               sign,
  input  signed [ADDEND_EXPONENT-1:0] exponent,
  input  [ADDEND_WIDTH-1:0]           magnitude,
  output signed [WIDTH+DROPPED+1:0]   aligned
);
  `include "nm_functions.vh"
  localparam PLACES  = (DROPPED == 0) ? 0 : DROPPED - 1;  // of the fraction
  localparam OFFSET  = ADDEND_BASE + FRACTION_BITS;
  localparam HIGHEST = largest(smallest(ADDEND_HIGH + OFFSET, WIDTH + 1), -PLACES);
  localparam BITS    = ADDEND_WIDTH + HIGHEST + PLACES;
  localparam INTEGER = WIDTH + 1;
  localparam AMOUNT_WIDTH = largest(signed_bits(HIGHEST - OFFSET - ADDEND_HIGH,
                                                HIGHEST - OFFSET - ADDEND_LOW),
                                    ADDEND_EXPONENT + 1);
  localparam [31:0] START = HIGHEST - OFFSET;

  // The highest place that matters, and from there to the right.
  wire [AMOUNT_WIDTH-1:0] amount = START[AMOUNT_WIDTH-1:0]
      - {{(AMOUNT_WIDTH - ADDEND_EXPONENT) {exponent[ADDEND_EXPONENT-1]}}, exponent};
  wire too_large = amount[AMOUNT_WIDTH-1];
  wire [BITS-1:0] highest = {{(BITS - ADDEND_WIDTH) {1'b0}}, magnitude} << (BITS - ADDEND_WIDTH);
  wire [BITS-1:0] shifted;
  wire            sticky;
  nm_shift_right #(.WIDTH(BITS), .AMOUNT_BITS(AMOUNT_WIDTH - 1)) shifter (
      .value(highest), .amount(amount[AMOUNT_WIDTH-2:0]), .shifted(shifted), .sticky(sticky));

  wire [BITS+INTEGER+PLACES-1:0] extended = {{(INTEGER + PLACES) {1'b0}}, shifted};
  wire [INTEGER+PLACES-1:0] low = extended[INTEGER+PLACES-1:0] & {(INTEGER + PLACES) {~too_large}};
  wire overflow = (WRAPS != 0) ? 1'b0
                  : (|extended[BITS+INTEGER+PLACES-1:INTEGER+PLACES]) | (too_large & (|magnitude));
  wire [WIDTH+DROPPED+1:0] positive;
  generate
    if (DROPPED == 0) begin : whole
      assign positive = {1'b0, overflow, low[INTEGER-2:0] & {(INTEGER - 1) {~overflow}}}
                        | {1'b0, low[INTEGER-1] & ~overflow, {(INTEGER - 1) {1'b0}}};
    end else begin : with_fraction
      wire [INTEGER+PLACES:0] all = {low, sticky & ~too_large} & {(INTEGER + PLACES + 1) {~overflow}};
      assign positive = {1'b0, all[INTEGER+PLACES] | overflow, all[INTEGER+PLACES-1:0]};
    end
  endgenerate
  assign aligned = (positive ^ {(WIDTH + DROPPED + 2) {sign}})
                   + {{(WIDTH + DROPPED + 1) {1'b0}}, sign};
endmodule
