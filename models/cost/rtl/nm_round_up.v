// Whether the magnitude goes up by one unit in the last place, from what lies below that place.
// ROUNDING: 0 nearest-even, 1 nearest-away, 2 toward-zero, 3 down, 4 stochastic.
module nm_round_up #(
  parameter ROUNDING    = 0,
  parameter WIDTH       = 2,  // bits below the last place, at least 2 and RANDOM_BITS
  parameter RANDOM_BITS = 1
) (
  input                   negative,
  input                   odd,
  input [WIDTH-1:0]       below,
  input                   sticky,
  input [RANDOM_BITS-1:0] random,
  output                  up
);
  generate
    if (ROUNDING == 0) begin : nearest_even
      assign up = below[WIDTH-1] & (odd | sticky | (|below[WIDTH-2:0]));
    end else if (ROUNDING == 1) begin : nearest_away
      assign up = below[WIDTH-1];
    end else if (ROUNDING == 3) begin : down
      assign up = negative & (sticky | (|below));
    end else if (ROUNDING == 4) begin : stochastic
      wire [RANDOM_BITS:0] sum = {1'b0, below[WIDTH-1 -: RANDOM_BITS]} + {1'b0, random};
      assign up = sum[RANDOM_BITS];
    end else begin : toward_zero
      assign up = 1'b0;
    end
  endgenerate
endmodule
