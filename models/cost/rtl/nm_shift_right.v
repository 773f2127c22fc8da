// value >> amount in one stage of multiplexers per bit of the amount; `sticky` tells that a 1 left.
module nm_shift_right #(
  parameter WIDTH       = 8,
  parameter AMOUNT_BITS = 3
) (
  input      [WIDTH-1:0]       value,
  input      [AMOUNT_BITS-1:0] amount,
  output reg [WIDTH-1:0]       shifted,
  output reg                   sticky
);
  `include "nm_functions.vh"
  localparam STAGES = smallest(clog2(WIDTH), AMOUNT_BITS);
  integer stage;
  always @* begin
    shifted = value;
    sticky  = 1'b0;
    for (stage = 0; stage < STAGES; stage = stage + 1) begin
      if (amount[stage]) begin
        sticky  = sticky | (|(shifted << (WIDTH - (1 << stage))));
        shifted = shifted >> (1 << stage);
      end
    end
    // All of it leaves.
    if (|(amount >> STAGES)) begin
      sticky  = |value;
      shifted = {WIDTH{1'b0}};
    end
  end
endmodule
