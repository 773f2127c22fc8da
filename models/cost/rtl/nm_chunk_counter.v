// Raises `chunk_end` with every LENGTH-th product after `start`, and with the `last` one. A row or a whole
// array shares one.
module nm_chunk_counter #(
  parameter LENGTH = 64
) (
  input  clock,
  input  start,
  input  last,
  output chunk_end
);
  `include "nm_functions.vh"
  localparam BITS = clog2(LENGTH + 1);
  localparam [BITS-1:0] FULL = LENGTH - 1;
  reg  [BITS-1:0] seen;  // products of this chunk before this one
  wire [BITS-1:0] now = start ? {BITS{1'b0}} : seen;
  assign chunk_end = last | (now == FULL);
  always @(posedge clock) seen <= chunk_end ? {BITS{1'b0}} : now + 1'b1;
endmodule
