// next = R(accumulator + R_product(a * b)): one step of the MAC, without its accumulator. Combinational
// for MULTIPLIER_STAGES = 0 and ADDER_STAGES = 1; `accumulator` belongs to the operands that entered
// MULTIPLIER_STAGES edges before, and `next` comes ADDER_STAGES - 1 edges after it.
// MULTIPLIER_STAGES: 1 registers the addend, 2 also the operands, 3 also the exact product.
// A random word is used where its rounding is: `random_product` with the product, `random_sum` with
// the sum.
module nm_mac_step #(
  parameter A_KIND            = 0,
  parameter A_EXPONENT_BITS   = 5,
  parameter A_FRACTION_BITS   = 2,
  parameter A_WIDTH           = 8,
  parameter B_KIND            = 0,
  parameter B_EXPONENT_BITS   = 5,
  parameter B_FRACTION_BITS   = 2,
  parameter B_WIDTH           = 8,
  parameter OPERAND_SUBNORMALS = 1,
  parameter ROUND_PRODUCT     = 0,  // 1: to the format P
  parameter P_KIND            = 0,
  parameter P_EXPONENT_BITS   = 5,
  parameter P_FRACTION_BITS   = 10,
  parameter P_WIDTH           = 16,
  parameter P_ROUNDING        = 0,
  parameter P_RANDOM_BITS     = 1,
  parameter P_OVERFLOW        = 0,
  parameter P_SUBNORMALS      = 1,
  parameter KIND              = 0,  // the accumulator
  parameter EXPONENT_BITS     = 5,
  parameter FRACTION_BITS     = 10,
  parameter WIDTH             = 16,
  parameter ROUNDING          = 0,
  parameter RANDOM_BITS       = 1,
  parameter GUARD_BITS        = 0,
  parameter OVERFLOW          = 0,
  parameter SUBNORMALS        = 1,
  parameter SPECIAL_VALUES    = 1,
  parameter MULTIPLIER_STAGES = 0,
  parameter ADDER_STAGES      = 1
) (
  input                      clock,
  input  [A_WIDTH-1:0]       a,
  input  [B_WIDTH-1:0]       b,
  input  [WIDTH-1:0]         accumulator,
  input  [P_RANDOM_BITS-1:0] random_product,
  input  [RANDOM_BITS-1:0]   random_sum,
  output [WIDTH-1:0]         next
);
  `include "nm_functions.vh"
  localparam A_FLOAT = (A_KIND < 2);
  localparam B_FLOAT = (B_KIND < 2);
  localparam FLOATS  = (A_FLOAT && B_FLOAT && OPERAND_SUBNORMALS == 0);  // no leading zeros
  localparam WHOLE   = !A_FLOAT && !B_FLOAT && ((ROUND_PRODUCT != 0) ? P_KIND : KIND) >= 2;
  // Operands unpacked: value = magnitude * 2^(exponent + base).
  localparam A_FIELD = A_FLOAT ? A_EXPONENT_BITS : 1;
  localparam B_FIELD = B_FLOAT ? B_EXPONENT_BITS : 1;
  localparam A_MAG   = A_FLOAT ? A_FRACTION_BITS + 1 : A_WIDTH;
  localparam B_MAG   = B_FLOAT ? B_FRACTION_BITS + 1 : B_WIDTH;
  localparam A_BASE  = A_FLOAT ? 1 - (1 << (A_EXPONENT_BITS - 1)) - A_FRACTION_BITS
                               : -A_FRACTION_BITS;
  localparam B_BASE  = B_FLOAT ? 1 - (1 << (B_EXPONENT_BITS - 1)) - B_FRACTION_BITS
                               : -B_FRACTION_BITS;
  localparam A_HIGH  = A_FLOAT ? (1 << A_EXPONENT_BITS) - 1 : 0;
  localparam B_HIGH  = B_FLOAT ? (1 << B_EXPONENT_BITS) - 1 : 0;
  // Their exact product.
  localparam BASE    = A_BASE + B_BASE;
  localparam HIGH    = A_HIGH + B_HIGH;
  localparam MAG     = WHOLE ? A_WIDTH + B_WIDTH + ((A_KIND == 3 && B_KIND == 3) ? 1 : 0)
                             : A_MAG + B_MAG;
  localparam INTEGER = FLOATS ? 2 : 1;
  localparam FIELD   = largest(largest(A_FIELD, B_FIELD) + 1, signed_bits(0, HIGH));

  wire [A_WIDTH-1:0] a1;
  wire [B_WIDTH-1:0] b1;
  nm_register #(.WIDTH(A_WIDTH + B_WIDTH), .DEPTH((MULTIPLIER_STAGES >= 2) ? 1 : 0)) operands (
      .clock(clock), .d({a, b}), .q({a1, b1}));
  wire                    sign, infinity, nan, sign2, infinity2, nan2;
  wire signed [FIELD-1:0] exponent, exponent2;
  wire [MAG-1:0]          magnitude, magnitude2;
  nm_product #(.A_KIND(A_KIND), .A_EXPONENT_BITS(A_EXPONENT_BITS), .A_FRACTION_BITS(A_FRACTION_BITS),
               .A_WIDTH(A_WIDTH), .B_KIND(B_KIND), .B_EXPONENT_BITS(B_EXPONENT_BITS),
               .B_FRACTION_BITS(B_FRACTION_BITS), .B_WIDTH(B_WIDTH),
               .SUBNORMALS(OPERAND_SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES), .WHOLE(WHOLE),
               .A_EXPONENT(A_FIELD), .B_EXPONENT(B_FIELD), .A_MAGNITUDE(A_MAG), .B_MAGNITUDE(B_MAG),
               .EXPONENT(FIELD), .MAGNITUDE(MAG)) product (
      .a(a1), .b(b1), .sign(sign), .exponent(exponent), .magnitude(magnitude),
      .infinity(infinity), .nan(nan));
  nm_register #(.WIDTH(FIELD + MAG + 3), .DEPTH((MULTIPLIER_STAGES >= 3) ? 1 : 0)) exact_product (
      .clock(clock), .d({sign, infinity, nan, exponent, magnitude}),
      .q({sign2, infinity2, nan2, exponent2, magnitude2}));

  generate
    if (ROUND_PRODUCT != 0) begin : rounded
      // A product is rounded as it is added to a zero of its own sign.
      wire [P_WIDTH-1:0] zero = {sign2 & (P_KIND < 2), {(P_WIDTH - 1) {1'b0}}};
      wire [P_WIDTH-1:0] code;
      nm_add #(.KIND(P_KIND), .EXPONENT_BITS(P_EXPONENT_BITS), .FRACTION_BITS(P_FRACTION_BITS),
               .WIDTH(P_WIDTH), .ROUNDING(P_ROUNDING), .RANDOM_BITS(P_RANDOM_BITS),
               .OVERFLOW(P_OVERFLOW), .SUBNORMALS(P_SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
               .WHOLE(WHOLE), .ADDEND_WIDTH(MAG), .ADDEND_EXPONENT(FIELD), .ADDEND_BASE(BASE),
               .ADDEND_LOW(0), .ADDEND_HIGH(HIGH), .INTEGER(INTEGER)) round_product (
          .clock(clock), .accumulator(zero), .addend_sign(sign2), .addend_exponent(exponent2),
          .addend_magnitude(magnitude2), .addend_infinity(infinity2), .addend_nan(nan2),
          .random(random_product), .sum(code));
      nm_add_code #(.Q_KIND(P_KIND), .Q_EXPONENT_BITS(P_EXPONENT_BITS),
                    .Q_FRACTION_BITS(P_FRACTION_BITS), .Q_WIDTH(P_WIDTH),
                    .Q_SUBNORMALS(P_SUBNORMALS), .KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS),
                    .FRACTION_BITS(FRACTION_BITS), .WIDTH(WIDTH), .ROUNDING(ROUNDING),
                    .RANDOM_BITS(RANDOM_BITS), .GUARD_BITS(GUARD_BITS), .OVERFLOW(OVERFLOW),
                    .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
                    .CODE_STAGES((MULTIPLIER_STAGES >= 1) ? 1 : 0), .STAGES(ADDER_STAGES)) add (
          .clock(clock), .accumulator(accumulator), .code(code), .random(random_sum), .sum(next));
    end else begin : exact
      // The adder of floats wants the leading one near the top; aligned truncation at the top.
      localparam LEAD     = (KIND < 2) && (!FLOATS || ROUNDING == 5);
      localparam COUNT    = FLOATS ? 1 : clog2(MAG);
      localparam LOW      = LEAD ? 1 - (1 << COUNT) : 0;
      localparam EXPONENT = largest(FIELD, signed_bits(LOW, HIGH));
      wire signed [EXPONENT-1:0] exponent3, exponent4;
      wire [MAG-1:0]             magnitude3, magnitude4;
      wire                       sign4, infinity4, nan4;
      if (LEAD) begin : leading
        nm_lead #(.WIDTH(MAG), .COUNT_BITS(COUNT), .EXPONENT(FIELD), .NEW_EXPONENT(EXPONENT)) lead (
            .exponent(exponent2), .magnitude(magnitude2), .new_exponent(exponent3),
            .new_magnitude(magnitude3));
      end else begin : as_it_is
        assign exponent3  = exponent2;
        assign magnitude3 = magnitude2;
      end
      nm_register #(.WIDTH(EXPONENT + MAG + 3), .DEPTH((MULTIPLIER_STAGES >= 1) ? 1 : 0)) addend (
          .clock(clock), .d({sign2, infinity2, nan2, exponent3, magnitude3}),
          .q({sign4, infinity4, nan4, exponent4, magnitude4}));
      nm_add #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
               .WIDTH(WIDTH), .ROUNDING(ROUNDING), .RANDOM_BITS(RANDOM_BITS),
               .GUARD_BITS(GUARD_BITS), .OVERFLOW(OVERFLOW), .SUBNORMALS(SUBNORMALS),
               .SPECIAL_VALUES(SPECIAL_VALUES), .WHOLE(WHOLE), .ADDEND_WIDTH(MAG),
               .ADDEND_EXPONENT(EXPONENT), .ADDEND_BASE(BASE), .ADDEND_LOW(LOW),
               .ADDEND_HIGH(HIGH), .INTEGER(LEAD ? 1 : INTEGER), .STAGES(ADDER_STAGES)) add (
          .clock(clock), .accumulator(accumulator), .addend_sign(sign4),
          .addend_exponent(exponent4), .addend_magnitude(magnitude4),
          .addend_infinity(infinity4), .addend_nan(nan4), .random(random_sum), .sum(next));
    end
  endgenerate
endmodule
