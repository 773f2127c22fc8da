// A multiply-accumulate unit with its registers. Operands may come every cycle:
//   start      this product is the first of a sum (which starts from +0)
//   chunk_end  this product is the last of a chunk: CHUNK designs add the chunk's sum to the second
//              accumulator (format S); `sum` is then the second one
// `sum` follows the operands by MULTIPLIER_STAGES + ADDER_STAGES edges, one more with CHUNK. A stall is
// a gated clock.
// INTERLEAVE sums take turns, one product each; more stages in the adder than that make as many turns as
// there are stages. Random words are wanted MULTIPLIER_STAGES - 1 (`random_product`, at least 0),
// MULTIPLIER_STAGES + ADDER_STAGES - 1 (`random_sum`) and MULTIPLIER_STAGES + ADDER_STAGES
// (`random_second`) cycles after their operands.
module nm_mac #(
  parameter A_KIND            = 0,
  parameter A_EXPONENT_BITS   = 5,
  parameter A_FRACTION_BITS   = 2,
  parameter A_WIDTH           = 8,
  parameter B_KIND            = 0,
  parameter B_EXPONENT_BITS   = 5,
  parameter B_FRACTION_BITS   = 2,
  parameter B_WIDTH           = 8,
  parameter OPERAND_SUBNORMALS = 1,
  parameter ROUND_PRODUCT     = 0,
  parameter P_KIND            = 0,
  parameter P_EXPONENT_BITS   = 5,
  parameter P_FRACTION_BITS   = 10,
  parameter P_WIDTH           = 16,
  parameter P_ROUNDING        = 0,
  parameter P_RANDOM_BITS     = 1,
  parameter P_OVERFLOW        = 0,
  parameter P_SUBNORMALS      = 1,
  parameter KIND              = 0,
  parameter EXPONENT_BITS     = 5,
  parameter FRACTION_BITS     = 10,
  parameter WIDTH             = 16,
  parameter ROUNDING          = 0,
  parameter RANDOM_BITS       = 1,
  parameter GUARD_BITS        = 0,
  parameter OVERFLOW          = 0,
  parameter SUBNORMALS        = 1,
  parameter CHUNK             = 0,
  parameter S_KIND            = 0,
  parameter S_EXPONENT_BITS   = 5,
  parameter S_FRACTION_BITS   = 10,
  parameter S_WIDTH           = 16,
  parameter S_ROUNDING        = 0,
  parameter S_RANDOM_BITS     = 1,
  parameter S_GUARD_BITS      = 0,
  parameter S_OVERFLOW        = 0,
  parameter S_SUBNORMALS      = 1,
  parameter SPECIAL_VALUES    = 1,
  parameter MULTIPLIER_STAGES = 0,
  parameter ADDER_STAGES      = 1,  // with CHUNK: 1
  parameter INTERLEAVE        = 1,
  parameter SUM_WIDTH         = (CHUNK != 0) ? S_WIDTH : WIDTH
) (
  input                      clock,
  input                      start,
  input                      chunk_end,
  input  [A_WIDTH-1:0]       a,
  input  [B_WIDTH-1:0]       b,
  input  [P_RANDOM_BITS-1:0] random_product,
  input  [RANDOM_BITS-1:0]   random_sum,
  input  [S_RANDOM_BITS-1:0] random_second,
  output [SUM_WIDTH-1:0]     sum
);
  `include "nm_functions.vh"
  localparam TURNS = largest(INTERLEAVE, ADDER_STAGES);

  wire starts, ends, ended;
  nm_register #(.WIDTH(2), .DEPTH(MULTIPLIER_STAGES)) with_product (
      .clock(clock), .d({start, chunk_end}), .q({starts, ends}));

  wire [WIDTH-1:0] held, next, after;
  nm_mac_step #(.A_KIND(A_KIND), .A_EXPONENT_BITS(A_EXPONENT_BITS),
                .A_FRACTION_BITS(A_FRACTION_BITS), .A_WIDTH(A_WIDTH), .B_KIND(B_KIND),
                .B_EXPONENT_BITS(B_EXPONENT_BITS), .B_FRACTION_BITS(B_FRACTION_BITS),
                .B_WIDTH(B_WIDTH), .OPERAND_SUBNORMALS(OPERAND_SUBNORMALS),
                .ROUND_PRODUCT(ROUND_PRODUCT), .P_KIND(P_KIND),
                .P_EXPONENT_BITS(P_EXPONENT_BITS), .P_FRACTION_BITS(P_FRACTION_BITS),
                .P_WIDTH(P_WIDTH), .P_ROUNDING(P_ROUNDING), .P_RANDOM_BITS(P_RANDOM_BITS),
                .P_OVERFLOW(P_OVERFLOW), .P_SUBNORMALS(P_SUBNORMALS), .KIND(KIND),
                .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS), .WIDTH(WIDTH),
                .ROUNDING(ROUNDING), .RANDOM_BITS(RANDOM_BITS), .GUARD_BITS(GUARD_BITS),
                .OVERFLOW(OVERFLOW), .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
                .MULTIPLIER_STAGES(MULTIPLIER_STAGES), .ADDER_STAGES(ADDER_STAGES)) step (
      .clock(clock), .a(a), .b(b), .accumulator(held), .random_product(random_product),
      .random_sum(random_sum), .next(next));

  nm_register #(.WIDTH(WIDTH), .DEPTH(1)) accumulator (.clock(clock), .d(next), .q(after));
  wire [WIDTH-1:0] turn;
  nm_register #(.WIDTH(WIDTH), .DEPTH(TURNS - ADDER_STAGES)) other_sums (
      .clock(clock), .d(after), .q(turn));
  assign held = turn & {WIDTH{~(starts | ended)}};

  generate
    if (CHUNK == 0) begin : sequential
      assign ended = 1'b0;
      assign sum   = after;
    end else begin : chunked
      nm_register #(.WIDTH(1), .DEPTH(TURNS)) chunk_ended (.clock(clock), .d(ends), .q(ended));
      wire starts2, ends2;
      nm_register #(.WIDTH(2), .DEPTH(ADDER_STAGES)) with_sum (
          .clock(clock), .d({starts, ends}), .q({starts2, ends2}));
      wire [S_WIDTH-1:0] total, added, turn2;
      nm_add_code #(.Q_KIND(KIND), .Q_EXPONENT_BITS(EXPONENT_BITS), .Q_FRACTION_BITS(FRACTION_BITS),
                    .Q_WIDTH(WIDTH), .Q_SUBNORMALS(SUBNORMALS), .KIND(S_KIND),
                    .EXPONENT_BITS(S_EXPONENT_BITS), .FRACTION_BITS(S_FRACTION_BITS),
                    .WIDTH(S_WIDTH), .ROUNDING(S_ROUNDING), .RANDOM_BITS(S_RANDOM_BITS),
                    .GUARD_BITS(S_GUARD_BITS), .OVERFLOW(S_OVERFLOW), .SUBNORMALS(S_SUBNORMALS),
                    .SPECIAL_VALUES(SPECIAL_VALUES)) second (
          .clock(clock), .accumulator(total), .code(after & {WIDTH{ends2}}),  // at rest within a chunk
          .random(random_second), .sum(added));
      nm_register #(.WIDTH(S_WIDTH), .DEPTH(1)) second_accumulator (
          .clock(clock), .d(ends2 ? added : total), .q(sum));
      nm_register #(.WIDTH(S_WIDTH), .DEPTH(TURNS - 1)) other_totals (
          .clock(clock), .d(sum), .q(turn2));
      assign total = turn2 & {S_WIDTH{~starts2}};
    end
  endgenerate
endmodule
