// value << amount in one stage of multiplexers per bit of the amount.
module nm_shift_left #(
  parameter WIDTH       = 8,
  parameter AMOUNT_BITS = 3
) (
  input      [WIDTH-1:0]       value,
  input      [AMOUNT_BITS-1:0] amount,
  output reg [WIDTH-1:0]       shifted
);
  integer stage;
  always @* begin
    shifted = value;
    for (stage = 0; stage < AMOUNT_BITS; stage = stage + 1) begin
      if (amount[stage]) shifted = shifted << (1 << stage);
    end
  end
endmodule
