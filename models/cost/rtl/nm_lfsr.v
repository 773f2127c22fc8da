// Random words for stochastic rounding: a Fibonacci LFSR of 32 bits with the primitive polynomial
// x^32 + x^22 + x^2 + x + 1 (period 2^32 - 1), stepped WORD times a cycle, so that consecutive words share no
// bits. One feeds many MACs if each takes other bits. The simulator uses a counter-based hash instead, which
// no order of evaluation can change; the roundings are the same function of the word.
module nm_lfsr #(
  parameter WORD = 8,  // bits per cycle, up to 32
  parameter [31:0] SEED = 32'h1  // not 0
) (
  input             clock,
  input             reset,
  output [WORD-1:0] random
);
  reg [31:0] state;
  reg [31:0] next;
  integer step;
  always @* begin
    next = state;
    for (step = 0; step < WORD; step = step + 1) begin
      next = {next[30:0], next[31] ^ next[21] ^ next[1] ^ next[0]};
    end
  end
  always @(posedge clock) state <= reset ? SEED : next;
  assign random = state[WORD-1:0];
endmodule
