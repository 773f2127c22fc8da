// accumulator * 2^DROPPED + addend, exactly.
module nm_add_signed #(
  parameter WIDTH        = 32,
  parameter DROPPED      = 0,
  parameter ADDEND_WIDTH = 16,
  parameter SUM          = 33
) (
  input  signed [WIDTH-1:0]        accumulator,
  input  signed [ADDEND_WIDTH-1:0] addend,
  output signed [SUM-1:0]          sum
);
  wire [SUM-1:0] own   = {{(SUM - WIDTH) {accumulator[WIDTH-1]}}, accumulator} << DROPPED;
  wire [SUM-1:0] other = {{(SUM - ADDEND_WIDTH) {addend[ADDEND_WIDTH-1]}}, addend};
  assign sum = own + other;
endmodule
