// a * b as the sum of its partial products, a row per bit of b. A negative weight of two's complement,
// -x 2^k, is (1 - x) 2^k - 2^k: the bit is inverted, and all the -2^k are one constant (C. R. Baugh and
// B. A. Wooley, "A two's complement parallel array multiplication algorithm", IEEE Trans. Computers
// C-22, 1973). No row is sign-extended.
module nm_multiply #(
  parameter A_WIDTH  = 3,
  parameter B_WIDTH  = 3,
  parameter A_SIGNED = 0,
  parameter B_SIGNED = 0
) (
  input      [A_WIDTH-1:0]         a,
  input      [B_WIDTH-1:0]         b,
  output reg [A_WIDTH+B_WIDTH-1:0] product
);
  localparam WIDTH = A_WIDTH + B_WIDTH;
  localparam [A_WIDTH-1:0] TOP_OF_A = {{(A_WIDTH - 1) {1'b0}}, (A_SIGNED != 0)} << (A_WIDTH - 1);
  reg [A_WIDTH-1:0] inverted;  // the bits of a row whose weight is negative
  reg [A_WIDTH-1:0] row;
  reg [WIDTH-1:0]   correction;
  integer j;
  always @* begin
    product    = {WIDTH{1'b0}};
    correction = {WIDTH{1'b0}};
    for (j = 0; j < B_WIDTH; j = j + 1) begin
      inverted   = (B_SIGNED != 0 && j == B_WIDTH - 1) ? ~TOP_OF_A : TOP_OF_A;
      row        = (a & {A_WIDTH{b[j]}}) ^ inverted;
      product    = product + ({{B_WIDTH{1'b0}}, row} << j);
      correction = correction - ({{B_WIDTH{1'b0}}, inverted} << j);
    end
    product = product + correction;
  end
endmodule
