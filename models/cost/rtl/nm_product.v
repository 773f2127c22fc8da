// The exact product of two operands: unpacked, or (WHOLE, both fixed point) in two's complement.
module nm_product #(
  parameter A_KIND          = 0,
  parameter A_EXPONENT_BITS = 5,
  parameter A_FRACTION_BITS = 2,
  parameter A_WIDTH         = 8,
  parameter B_KIND          = 0,
  parameter B_EXPONENT_BITS = 5,
  parameter B_FRACTION_BITS = 2,
  parameter B_WIDTH         = 8,
  parameter SUBNORMALS      = 1,
  parameter SPECIAL_VALUES  = 1,
  parameter WHOLE           = 0,
  parameter A_EXPONENT      = 5,  // as of nm_unpack
  parameter B_EXPONENT      = 5,
  parameter A_MAGNITUDE     = 3,
  parameter B_MAGNITUDE     = 3,
  parameter EXPONENT        = 7,  // signed
  parameter MAGNITUDE       = A_MAGNITUDE + B_MAGNITUDE
) (
  input  [A_WIDTH-1:0]          a,
  input  [B_WIDTH-1:0]          b,
  output                        sign,
  output signed [EXPONENT-1:0]  exponent,
  output [MAGNITUDE-1:0]        magnitude,
  output                        infinity,
  output                        nan
);
  generate
    if (WHOLE != 0) begin : integers
      nm_multiply #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .A_SIGNED(A_KIND == 2),
                    .B_SIGNED(B_KIND == 2)) multiply (.a(a), .b(b), .product(magnitude[A_WIDTH+B_WIDTH-1:0]));
      if (MAGNITUDE > A_WIDTH + B_WIDTH) begin : no_sign  // unsigned by unsigned
        assign magnitude[MAGNITUDE-1] = 1'b0;
      end
      assign sign     = 1'b0;
      assign exponent = {EXPONENT{1'b0}};
      assign infinity = 1'b0;
      assign nan      = 1'b0;
    end else begin : unpacked
      wire a_sign, a_infinity, a_nan, b_sign, b_infinity, b_nan;
      wire [A_EXPONENT-1:0]  a_exponent;
      wire [B_EXPONENT-1:0]  b_exponent;
      wire [A_MAGNITUDE-1:0] a_magnitude;
      wire [B_MAGNITUDE-1:0] b_magnitude;
      nm_unpack #(.KIND(A_KIND), .EXPONENT_BITS(A_EXPONENT_BITS), .FRACTION_BITS(A_FRACTION_BITS),
                  .WIDTH(A_WIDTH), .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
                  .EXPONENT_WIDTH(A_EXPONENT), .MAGNITUDE(A_MAGNITUDE)) unpack_a (
          .code(a), .sign(a_sign), .exponent(a_exponent), .magnitude(a_magnitude),
          .infinity(a_infinity), .nan(a_nan));
      nm_unpack #(.KIND(B_KIND), .EXPONENT_BITS(B_EXPONENT_BITS), .FRACTION_BITS(B_FRACTION_BITS),
                  .WIDTH(B_WIDTH), .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
                  .EXPONENT_WIDTH(B_EXPONENT), .MAGNITUDE(B_MAGNITUDE)) unpack_b (
          .code(b), .sign(b_sign), .exponent(b_exponent), .magnitude(b_magnitude),
          .infinity(b_infinity), .nan(b_nan));
      nm_multiply #(.A_WIDTH(A_MAGNITUDE), .B_WIDTH(B_MAGNITUDE)) multiply (
          .a(a_magnitude), .b(b_magnitude), .product(magnitude));
      assign sign     = a_sign ^ b_sign;
      assign exponent = {{(EXPONENT - A_EXPONENT) {1'b0}}, a_exponent}
                        + {{(EXPONENT - B_EXPONENT) {1'b0}}, b_exponent};
      assign infinity = a_infinity | b_infinity;
      assign nan      = a_nan | b_nan | (a_infinity & ~(|b_magnitude)) | (b_infinity & ~(|a_magnitude));
    end
  endgenerate
endmodule
