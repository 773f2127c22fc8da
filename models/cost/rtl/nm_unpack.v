// A code of any format as (-1)^sign * magnitude * 2^(exponent + BASE):
//   floats   BASE = -bias - FRACTION_BITS, the magnitude has its hidden bit, subnormals the exponent 1;
//   fixed    BASE = -FRACTION_BITS, the exponent is 0.
// KIND: 0 eXmY, 1 finite float (one NaN per sign, no infinity), 2 signed, 3 unsigned fixed point.
module nm_unpack #(
  parameter KIND           = 0,
  parameter EXPONENT_BITS  = 5,
  parameter FRACTION_BITS  = 2,
  parameter WIDTH          = 8,
  parameter SUBNORMALS     = 1,
  parameter SPECIAL_VALUES = 1,
  parameter EXPONENT_WIDTH = EXPONENT_BITS,  // 1 for fixed point
  parameter MAGNITUDE      = FRACTION_BITS + 1  // WIDTH for fixed point
) (
  input  [WIDTH-1:0]          code,
  output                      sign,
  output [EXPONENT_WIDTH-1:0] exponent,
  output [MAGNITUDE-1:0]      magnitude,
  output                      infinity,
  output                      nan
);
  generate
    if (KIND == 3) begin : unsigned_fixed
      assign sign      = 1'b0;
      assign exponent  = 1'b0;
      assign magnitude = code;
      assign infinity  = 1'b0;
      assign nan       = 1'b0;
    end else if (KIND == 2) begin : signed_fixed
      assign sign      = code[WIDTH-1];
      assign exponent  = 1'b0;
      assign magnitude = (code ^ {WIDTH{sign}}) + {{(WIDTH - 1) {1'b0}}, sign};
      assign infinity  = 1'b0;
      assign nan       = 1'b0;
    end else begin : float
      wire [EXPONENT_BITS-1:0] field    = code[FRACTION_BITS +: EXPONENT_BITS];
      wire [FRACTION_BITS-1:0] fraction = code[FRACTION_BITS-1:0];
      wire                     hidden   = |field;
      assign sign = code[WIDTH-1];
      if (SUBNORMALS != 0) begin : gradual
        assign exponent  = {field[EXPONENT_BITS-1:1], field[0] | ~hidden};
        assign magnitude = {hidden, fraction};
      end else begin : flushed
        assign exponent  = field;
        assign magnitude = {hidden, fraction & {FRACTION_BITS{hidden}}};
      end
      if (SPECIAL_VALUES == 0) begin : finite_data
        assign infinity = 1'b0;
        assign nan      = 1'b0;
      end else if (KIND == 1) begin : one_nan
        assign infinity = 1'b0;
        assign nan      = (&field) & (&fraction);
      end else begin : ieee
        assign infinity = (&field) & ~(|fraction);
        assign nan      = (&field) & (|fraction);
      end
    end
  endgenerate
endmodule
