// An exact sum, two's complement with DROPPED bits below the unit, becomes a code of WIDTH bits.
// Roundings are defined on magnitudes; the bits above the point are the sum rounded down, and `up` adds
// one to them. OVERFLOW: 1 saturate, 2 wrap.
module nm_round_fixed #(
  parameter WIDTH       = 32,
  parameter DROPPED     = 0,
  parameter SUM         = 33,
  parameter ROUNDING    = 0,
  parameter RANDOM_BITS = 1,
  parameter OVERFLOW    = 1
) (
  input  signed [SUM-1:0]         sum,
  input         [RANDOM_BITS-1:0] random,
  output        [WIDTH-1:0]       code
);
  localparam UNITS = SUM - DROPPED;
  wire [UNITS-1:0] floor = sum[SUM-1:DROPPED];
  wire [UNITS-1:0] rounded;
  wire negative = sum[SUM-1];
  generate
    if (DROPPED == 0) begin : exact
      assign rounded = floor;
    end else begin : inexact
      wire [DROPPED-1:0] rest  = sum[DROPPED-1:0];
      wire [DROPPED:0]   twice = {rest, 1'b0};
      wire at_least_half = rest[DROPPED-1];
      wire half = at_least_half & ~(|twice[DROPPED-1:0]);
      wire up;
      if (ROUNDING == 0) begin : nearest_even
        assign up = at_least_half & ~(half & ~floor[0]);
      end else if (ROUNDING == 1) begin : nearest_away
        assign up = at_least_half & ~(half & negative);
      end else if (ROUNDING == 3) begin : down
        assign up = 1'b0;
      end else if (ROUNDING == 4) begin : stochastic
        wire [DROPPED-1:0] size = negative ? -rest : rest;
        wire [DROPPED+RANDOM_BITS-1:0] places = {size, {RANDOM_BITS{1'b0}}};
        wire [RANDOM_BITS:0] total = {1'b0, places[DROPPED+RANDOM_BITS-1 -: RANDOM_BITS]}
                                     + {1'b0, random};
        assign up = negative ? (|rest) & ~total[RANDOM_BITS] : total[RANDOM_BITS];
      end else begin : toward_zero
        assign up = negative & (|rest);
      end
      assign rounded = floor + {{(UNITS - 1) {1'b0}}, up};
    end
    if (OVERFLOW == 2 || UNITS <= WIDTH) begin : wraps
      assign code = rounded[WIDTH-1:0];
    end else begin : saturates
      wire fits = (&rounded[UNITS-1:WIDTH-1]) | ~(|rounded[UNITS-1:WIDTH-1]);
      assign code = fits ? rounded[WIDTH-1:0]
                         : {rounded[UNITS-1], {(WIDTH - 1) {~rounded[UNITS-1]}}};
    end
  endgenerate
endmodule
