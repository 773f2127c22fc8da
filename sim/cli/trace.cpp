#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <numbers>

#include "models/array/waveform.h"
#include "models/design/config.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/random.h"
#include "sim/cli/array_size.h"
#include "sim/cli/commands.h"
#include "sim/cli/mac_argument.h"

namespace narrowmac {
namespace {

/// A waveform is read by people.
constexpr std::int64_t kMaxDimension = 4096;

GemmShape parse_shape(std::string_view text) {
  GemmShape shape;
  std::int64_t* const dimensions[] = {&shape.m, &shape.n, &shape.k};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  bool good = true;
  for (int i = 0; i < 3 && good; ++i) {
    if (i > 0) good = at != end && *at++ == 'x';
    if (!good) break;
    const auto result = std::from_chars(at, end, *dimensions[i]);
    good = result.ec == std::errc() && *dimensions[i] >= 1 && *dimensions[i] <= kMaxDimension;
    at = result.ptr;
  }
  if (good && at == end) return shape;
  throw Error(fmt::format("--gemm: found '{}'; accepted: MxNxK, each 1..{}, e.g. 8x8x32", text,
                          kMaxDimension));
}

/// Uniform in (0, 1).
double uniform(RandomLevel level, std::int64_t element) {
  return (random_word(0, 0, 0, 0, level, element) + 0.5) / 4294967296.0;
}

/// N(0, 1) by Box and Muller's transformation, rounded to the operand format; the maximum of an
/// integer or fixed-point format is 4 sigma. The same values in every run.
std::vector<double> operand_values(std::int64_t count, const MacDesign& mac,
                                   const NumberFormat& format, std::int64_t first) {
  const double sigma = format.is_fixed() ? format.max_value() / 4 : 1;
  const Conversion conversion = mac.operand_conversion(format);
  std::vector<double> values;
  for (std::int64_t i = first; i < first + count; ++i) {
    const double radius = std::sqrt(-2 * std::log(uniform(RandomLevel::Accumulator, i)));
    const double angle = 2 * std::numbers::pi * uniform(RandomLevel::Product, i);
    values.push_back(convert(sigma * radius * std::cos(angle), conversion));
  }
  return values;
}

/// The MAC file's array with the options over it.
ArrayDesign choose_array(const TraceCommand& command, const MacFile& file) {
  ArrayDesign array = file.array.value_or(ArrayDesign{});
  set_array_size(array, command.array);
  if (command.dataflow) array.dataflow = *command.dataflow;
  if (command.psum) array.psum = *command.psum;
  if (command.policy) array.policy = *command.policy;
  return array;
}

}  // namespace

int trace_command(const TraceCommand& command, OutputFormat format) {
  const GemmShape shape = parse_shape(command.gemm);
  const MacFile file = read_mac_argument(command.mac);
  const ArrayDesign array = choose_array(command, file);
  GemmProblem problem;
  problem.mac = file.mac;
  problem.order = checked_order(command.mac, file.mac, array);
  check_length(problem.order, shape.k);
  const auto a = operand_values(shape.m * shape.k, file.mac, file.mac.a, 0);
  const auto b = operand_values(shape.k * shape.n, file.mac, file.mac.b, shape.m * shape.k);
  problem.a = OperandView::dense(a.data(), shape.m, shape.k, shape.k);
  problem.b = OperandView::dense(b.data(), shape.k, shape.n, shape.n);
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  const std::int64_t cycles =
      write_waveform(problem, array, command.out, OutputView::of(out.data(), shape.n));
  const Json::Object result{{"file", command.out.string()},
                            {"array", fmt::format("{}x{}", array.rows, array.columns)},
                            {"dataflow", to_string(array.dataflow)},
                            {"policy", to_string(array.policy)},
                            {"m", shape.m},
                            {"n", shape.n},
                            {"k", shape.k},
                            {"cycles", cycles}};
  if (format == OutputFormat::Json) {
    Json::Object object{{"schema", 1}};
    object.insert(object.end(), result.begin(), result.end());
    print(Json(object).to_text());
    return 0;
  }
  ResultTable table;
  table.rows.emplace_back();
  for (const auto& [name, value] : result) {
    table.columns.push_back(name);
    table.rows.back().push_back(value);
  }
  print(render(table, format));
  return 0;
}

}  // namespace narrowmac
