#include "models/design/number_format.h"
#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

const std::vector<std::string>& common_formats() {
  static const std::vector<std::string> names = {
      "fp32",  "fp16",  "bf16",  "e4m3fn", "e5m2",   "e4m3",   "e3m2",    "e2m3",
      "e2m1",  "e6m9",  "e6m5",  "e6m4",   "e6m3",   "e6m2",   "int4",    "int8",
      "uint4", "uint8", "int16", "fx32.0", "fx24.0", "fx16.0", "fx16.-4", "fx16.-8"};
  return names;
}

std::vector<Json> row_of(const std::string& name) {
  const NumberFormat format = NumberFormat::parse(name);
  const bool is_float = format.is_float();
  const std::string sign = is_float                                        ? "sign bit"
                           : format.family == NumberFormat::Family::Signed ? "two's complement"
                                                                           : "unsigned";
  return {Json(name),
          Json(format.to_string()),
          Json(format.width),
          Json(sign),
          is_float ? Json(format.exponent_bits) : Json(),
          is_float ? Json(format.bias()) : Json(),
          Json(format.fraction_bits),
          Json(format.precision()),
          is_float ? Json(format.smallest_value()) : Json(),
          Json(format.smallest_normal()),
          Json(format.max_value()),
          Json(format.lowest_value()),
          Json(format.has_infinity()),
          Json(is_float)};
}

}  // namespace

int formats_command(const FormatsCommand& command, OutputFormat format) {
  ResultTable table;
  table.columns = {"format",
                   "canonical",
                   "width",
                   "sign",
                   "exponent_bits",
                   "bias",
                   "fraction_bits",
                   "precision",
                   "smallest_subnormal",
                   "smallest_normal",
                   "largest",
                   "lowest",
                   "infinity",
                   "nan"};
  const auto& names = command.formats.empty() ? common_formats() : command.formats;
  for (const std::string& name : names) table.rows.push_back(row_of(name));
  print(render(table, format));
  return 0;
}

}  // namespace narrowmac
