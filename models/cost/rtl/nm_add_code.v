// accumulator + a value that comes as a code of another format (Q), rounded once.
module nm_add_code #(
  parameter Q_KIND          = 0,
  parameter Q_EXPONENT_BITS = 5,
  parameter Q_FRACTION_BITS = 10,
  parameter Q_WIDTH         = 16,
  parameter Q_SUBNORMALS    = 1,
  parameter KIND            = 0,
  parameter EXPONENT_BITS   = 5,
  parameter FRACTION_BITS   = 10,
  parameter WIDTH           = 16,
  parameter ROUNDING        = 0,
  parameter RANDOM_BITS     = 1,
  parameter GUARD_BITS      = 0,
  parameter OVERFLOW        = 0,
  parameter SUBNORMALS      = 1,
  parameter SPECIAL_VALUES  = 1,
  parameter CODE_STAGES     = 0,  // registers between the unpacked code and the addition
  parameter STAGES          = 1
) (
  input                    clock,
  input  [WIDTH-1:0]       accumulator,
  input  [Q_WIDTH-1:0]     code,
  input  [RANDOM_BITS-1:0] random,
  output [WIDTH-1:0]       sum
);
  `include "nm_functions.vh"
  localparam Q_FLOAT  = (Q_KIND < 2);
  localparam WHOLE    = (!Q_FLOAT && KIND >= 2);
  // A float whose subnormals are flushed has its leading one at the top.
  localparam LEAD     = (KIND < 2) && !(Q_FLOAT && Q_SUBNORMALS == 0);
  localparam FIELD    = Q_FLOAT ? Q_EXPONENT_BITS : 1;
  localparam MAG      = Q_FLOAT ? Q_FRACTION_BITS + 1 : Q_WIDTH;
  localparam BASE     = Q_FLOAT ? 1 - (1 << (Q_EXPONENT_BITS - 1)) - Q_FRACTION_BITS
                                : -Q_FRACTION_BITS;
  localparam HIGH     = Q_FLOAT ? (1 << Q_EXPONENT_BITS) - 1 : 0;
  localparam LOW      = LEAD ? 1 - (1 << clog2(MAG)) : 0;
  localparam EXPONENT = largest(FIELD + 1, signed_bits(LOW, HIGH));

  wire                       sign, infinity, nan, sign2, infinity2, nan2;
  wire signed [EXPONENT-1:0] exponent, exponent2;
  wire [MAG-1:0]             magnitude, magnitude2;
  nm_addend #(.KIND(Q_KIND), .EXPONENT_BITS(Q_EXPONENT_BITS), .FRACTION_BITS(Q_FRACTION_BITS),
              .WIDTH(Q_WIDTH), .SUBNORMALS(Q_SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
              .WHOLE(WHOLE), .LEAD(LEAD), .CODE_EXPONENT(FIELD), .EXPONENT(EXPONENT),
              .MAGNITUDE(MAG)) addend (
      .code(code), .sign(sign), .exponent(exponent), .magnitude(magnitude), .infinity(infinity),
      .nan(nan));
  nm_register #(.WIDTH(EXPONENT + MAG + 3), .DEPTH(CODE_STAGES)) unpacked (
      .clock(clock), .d({sign, infinity, nan, exponent, magnitude}),
      .q({sign2, infinity2, nan2, exponent2, magnitude2}));
  nm_add #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
           .WIDTH(WIDTH), .ROUNDING(ROUNDING), .RANDOM_BITS(RANDOM_BITS), .GUARD_BITS(GUARD_BITS),
           .OVERFLOW(OVERFLOW), .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
           .WHOLE(WHOLE), .ADDEND_WIDTH(MAG), .ADDEND_EXPONENT(EXPONENT), .ADDEND_BASE(BASE),
           .ADDEND_LOW(LOW), .ADDEND_HIGH(HIGH), .INTEGER(1), .STAGES(STAGES)) add (
      .clock(clock), .accumulator(accumulator), .addend_sign(sign2), .addend_exponent(exponent2),
      .addend_magnitude(magnitude2), .addend_infinity(infinity2), .addend_nan(nan2),
      .random(random), .sum(sum));
endmodule
