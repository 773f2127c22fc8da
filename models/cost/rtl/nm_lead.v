// Brings the leading one of an unpacked number to the top, for the adder of floats.
module nm_lead #(
  parameter WIDTH        = 6,
  parameter COUNT_BITS   = 3,
  parameter EXPONENT     = 7,  // signed, before
  parameter NEW_EXPONENT = 8   // and after
) (
  input  signed [EXPONENT-1:0]     exponent,
  input         [WIDTH-1:0]        magnitude,
  output signed [NEW_EXPONENT-1:0] new_exponent,
  output        [WIDTH-1:0]        new_magnitude
);
  wire [COUNT_BITS-1:0] zeros;
  nm_normalise #(.WIDTH(WIDTH), .COUNT_BITS(COUNT_BITS)) normaliser (
      .value(magnitude), .normalised(new_magnitude), .count(zeros));
  assign new_exponent = {{(NEW_EXPONENT - EXPONENT) {exponent[EXPONENT-1]}}, exponent}
                        - {{(NEW_EXPONENT - COUNT_BITS) {1'b0}}, zeros};
endmodule
