// Leading zeros of `value`, WIDTH if it is 0. Each stage looks whether the upper half of what is left
// is zero, and keeps the half with the leading one. 2^COUNT_BITS > WIDTH.
module nm_leading_zeros #(
  parameter WIDTH      = 8,
  parameter COUNT_BITS = 4
) (
  input      [WIDTH-1:0]      value,
  output reg [COUNT_BITS-1:0] count
);
  localparam PADDED = 1 << COUNT_BITS;
  reg [PADDED-1:0] rest;
  reg [PADDED-1:0] upper;
  integer stage;
  always @* begin
    // Ones below the last bit end the count there.
    rest = {value, {(PADDED - WIDTH) {1'b1}}};
    for (stage = COUNT_BITS - 1; stage >= 0; stage = stage - 1) begin
      // Of `rest`, 2^(stage+1) bits at the top are left.
      upper = rest >> (PADDED - (1 << stage));
      count[stage] = (upper == {PADDED{1'b0}});
      if (count[stage]) rest = rest << (1 << stage);
    end
  end
endmodule
