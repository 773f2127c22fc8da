// A code of any format (a rounded product, the sum of a chunk) as an addend: unpacked, with its leading
// one at the top if LEAD, or, if WHOLE, the two's complement number that it is.
module nm_addend #(
  parameter KIND           = 0,
  parameter EXPONENT_BITS  = 5,
  parameter FRACTION_BITS  = 10,
  parameter WIDTH          = 16,
  parameter SUBNORMALS     = 1,
  parameter SPECIAL_VALUES = 1,
  parameter WHOLE          = 0,
  parameter LEAD           = 0,
  parameter CODE_EXPONENT  = 5,  // as of nm_unpack
  parameter EXPONENT       = 7,  // signed
  parameter MAGNITUDE      = 11
) (
  input  [WIDTH-1:0]           code,
  output                       sign,
  output signed [EXPONENT-1:0] exponent,
  output [MAGNITUDE-1:0]       magnitude,
  output                       infinity,
  output                       nan
);
  `include "nm_functions.vh"
  generate
    if (WHOLE != 0) begin : integers
      assign sign      = 1'b0;
      assign exponent  = {EXPONENT{1'b0}};
      assign magnitude = code;
      assign infinity  = 1'b0;
      assign nan       = 1'b0;
    end else begin : unpacked
      wire [CODE_EXPONENT-1:0]    field;
      wire [MAGNITUDE-1:0]        size;
      nm_unpack #(.KIND(KIND), .EXPONENT_BITS(EXPONENT_BITS), .FRACTION_BITS(FRACTION_BITS),
                  .WIDTH(WIDTH), .SUBNORMALS(SUBNORMALS), .SPECIAL_VALUES(SPECIAL_VALUES),
                  .EXPONENT_WIDTH(CODE_EXPONENT), .MAGNITUDE(MAGNITUDE)) unpack (
          .code(code), .sign(sign), .exponent(field), .magnitude(size), .infinity(infinity),
          .nan(nan));
      wire signed [EXPONENT-1:0] positive =
          $signed({{(EXPONENT - CODE_EXPONENT) {1'b0}}, field});
      if (LEAD != 0) begin : leading
        nm_lead #(.WIDTH(MAGNITUDE), .COUNT_BITS(clog2(MAGNITUDE)), .EXPONENT(EXPONENT),
                  .NEW_EXPONENT(EXPONENT)) lead (
            .exponent(positive), .magnitude(size), .new_exponent(exponent),
            .new_magnitude(magnitude));
      end else begin : as_it_is
        assign exponent  = positive;
        assign magnitude = size;
      end
    end
  endgenerate
endmodule
