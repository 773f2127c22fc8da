// DEPTH registers in a row; none at all for DEPTH = 0. A stall is a gated clock.
module nm_register #(
  parameter WIDTH = 1,
  parameter DEPTH = 1
) (
  input              clock,
  input  [WIDTH-1:0] d,
  output [WIDTH-1:0] q
);
  generate
    if (DEPTH == 0) begin : wires
      assign q = d;
    end else begin : registers
      reg [WIDTH-1:0] stage;
      always @(posedge clock) stage <= d;
      nm_register #(.WIDTH(WIDTH), .DEPTH(DEPTH - 1)) following (.clock(clock), .d(stage), .q(q));
    end
  endgenerate
endmodule
