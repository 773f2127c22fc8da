// larger + smaller, or the magnitude of larger - smaller. `sticky`: a little more than `smaller` was
// meant, and a little more than `magnitude` is the sum. One carry chain and one increment:
//   larger + ~smaller carries out if larger > smaller; then 1 is missing, unless sticky takes it away;
//   else its inverse is smaller - larger.
module nm_add_magnitude #(
  parameter WINDOW = 8
) (
  input  [WINDOW-1:0] larger,
  input  [WINDOW-1:0] smaller,
  input               sticky,
  input               subtract,
  output [WINDOW:0]   magnitude,
  output              smaller_wins  // the difference has the sign of `smaller`
);
  wire [WINDOW:0] sum = {1'b0, larger} + {1'b0, smaller ^ {WINDOW{subtract}}};
  assign smaller_wins = subtract & ~sum[WINDOW];
  wire increment = subtract & sum[WINDOW] & ~sticky;
  assign magnitude = {sum[WINDOW] & ~subtract, sum[WINDOW-1:0] ^ {WINDOW{smaller_wins}}}
                     + {{WINDOW{1'b0}}, increment};
endmodule
