// Shifts left until the leading one is at the top: every stage tests and shifts, so that the count
// costs next to nothing. A zero stays zero, with a count of at least WIDTH - 1.
module nm_normalise #(
  parameter WIDTH      = 8,
  parameter COUNT_BITS = 3
) (
  input      [WIDTH-1:0]      value,
  output reg [WIDTH-1:0]      normalised,
  output reg [COUNT_BITS-1:0] count
);
  integer stage;
  always @* begin
    normalised = value;
    for (stage = COUNT_BITS - 1; stage >= 0; stage = stage - 1) begin
      count[stage] = ~(|(normalised >> (WIDTH - (1 << stage))));
      if (count[stage]) normalised = normalised << (1 << stage);
    end
  end
endmodule
