#include "models/numerics/gemm.h"

#include <fmt/core.h>

#include <cmath>

#include "models/design/config.h"
#include "models/numerics/convert.h"
#include "sim/cli/array_size.h"
#include "sim/cli/commands.h"
#include "sim/cli/mac_argument.h"
#include "sim/experiment/files.h"
#include "sim/experiment/npy.h"

namespace narrowmac {
namespace {

/// A matrix in the narrower of float32 and float64 that holds it.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> floats;
  std::vector<double> doubles;
  bool is_double = false;

  [[nodiscard]] OperandView view() const {
    return is_double ? OperandView::dense(doubles.data(), rows, columns, columns)
                     : OperandView::dense(floats.data(), rows, columns, columns);
  }
};

Matrix read_matrix(const std::filesystem::path& path) {
  NpyArray array = read_npy_matrix(path);
  Matrix matrix;
  matrix.rows = array.shape[0];
  matrix.columns = array.shape[1];
  matrix.is_double = true;
  if (array.is_double()) {
    matrix.doubles = std::get<1>(std::move(array.values));
  } else {
    matrix.doubles.assign(array.floats().begin(), array.floats().end());
  }
  return matrix;
}

/// Throws Error naming the first element that is `refused`, and the format that cannot hold it.
template <typename Predicate>
void refuse(const std::filesystem::path& path, const Matrix& matrix, Predicate refused,
            const std::string& holder) {
  for (std::size_t i = 0; i < matrix.doubles.size(); ++i) {
    const double value = matrix.doubles[i];
    if (!refused(value)) continue;
    const auto columns = static_cast<std::size_t>(matrix.columns);
    throw Error(fmt::format("{}: element [{}, {}] is {}; accepted: what the {} can hold",
                            path.string(), i / columns, i % columns,
                            std::isnan(value) ? "NaN" : "infinity", holder));
  }
}

/// Reads a matrix and rounds it to the operand format, once, from the values in the file.
Matrix read_operand(const std::filesystem::path& path, const MacDesign& mac,
                    const NumberFormat& format) {
  Matrix matrix = read_matrix(path);
  if (format.is_fixed()) {
    refuse(
        path, matrix, [](double value) { return std::isnan(value); },
        "operand format " + format.to_string());
  }
  convert_all(std::span<double>(matrix.doubles), mac.operand_conversion(format));
  if (format.fits_float32()) {
    matrix.floats.assign(matrix.doubles.begin(), matrix.doubles.end());
    matrix.doubles.clear();
    matrix.is_double = false;
  }
  return matrix;
}

/// The MAC file's array with the options over it; none: the MAC's own order.
std::optional<ArrayDesign> choose_array(const GemmCommand& command, const MacFile& file) {
  std::optional<ArrayDesign> array = file.array;
  if (command.array) {
    if (!array) array.emplace();
    set_array_size(*array, *command.array);
  }
  if (!array && (command.dataflow || command.psum)) {
    throw Error(fmt::format("{}: needs --array ROWSxCOLUMNS, because {} has no [array]",
                            command.dataflow ? "--dataflow" : "--psum", command.mac.string()));
  }
  if (command.dataflow) array->dataflow = *command.dataflow;
  if (command.psum) array->psum = *command.psum;
  return array;
}

void check_shapes(const GemmCommand& command, const Matrix& a, const Matrix& b) {
  if (a.columns == b.rows) return;
  throw Error(fmt::format(
      "{} is {} x {} and {} is {} x {}: the columns of A ({}) must equal the rows of B ({})",
      command.a.string(), a.rows, a.columns, command.b.string(), b.rows, b.columns, a.columns,
      b.rows));
}

void check_c0(const GemmCommand& command, const Matrix& c0, std::int64_t m, std::int64_t n,
              const NumberFormat& accumulator) {
  if (c0.rows != m || c0.columns != n) {
    throw Error(
        fmt::format("{} is {} x {}; accepted: {} x {}, the rows of A times the columns of B",
                    command.c0->string(), c0.rows, c0.columns, m, n));
  }
  if (accumulator.is_float()) return;
  refuse(
      *command.c0, c0, [](double value) { return !std::isfinite(value); },
      "accumulator format " + accumulator.to_string());
}

std::string statistics_json(const GemmShape& shape, const GemmStatistics& statistics) {
  return Json(Json::Object{{"schema", 1},
                           {"m", shape.m},
                           {"n", shape.n},
                           {"k", shape.k},
                           {"steps", statistics.steps},
                           {"nonzero_ratio", statistics.nonzero_ratio()},
                           {"full_swamping", statistics.full_swamping()},
                           {"partial_swamping", statistics.partial_swamping()},
                           {"overflow", statistics.overflow()},
                           {"underflow", statistics.underflow()},
                           {"vrr", statistics.vrr()},
                           {"nmse", statistics.nmse()}})
      .to_text();
}

template <typename Value>
std::optional<GemmStatistics> compute(const GemmProblem& problem, const GemmCommand& command) {
  const GemmShape shape = problem.shape();
  std::vector<Value> result(static_cast<std::size_t>(shape.m * shape.n));
  std::optional<Observation> observe;
  if (command.statistics) observe.emplace();
  const auto statistics = gemm(problem, OutputView::of(result.data(), shape.n), observe);
  const std::int64_t dimensions[] = {shape.m, shape.n};
  write_npy(command.out, dimensions, std::span<const Value>(result));
  return statistics;
}

void print_plan(const GemmProblem& problem, OutputFormat format) {
  const std::string plan = explain_plan(problem);
  if (format == OutputFormat::Table) {
    print(plan.ends_with('\n') ? plan : plan + "\n");
    return;
  }
  ResultTable table;
  table.columns = {"plan"};
  for (std::size_t start = 0; start < plan.size();) {
    const auto end = std::min(plan.find('\n', start), plan.size());
    if (end > start) table.rows.push_back({Json(plan.substr(start, end - start))});
    start = end + 1;
  }
  print(render(table, format));
}

}  // namespace

int gemm_command(const GemmCommand& command, OutputFormat format) {
  const MacFile file = read_mac_argument(command.mac);
  const std::optional<ArrayDesign> array = choose_array(command, file);
  GemmProblem problem;
  problem.mac = file.mac;
  problem.order = checked_order(command.mac, file.mac, array);
  problem.seed = command.seed;

  const Matrix a = read_operand(command.a, file.mac, file.mac.a);
  const Matrix b = read_operand(command.b, file.mac, file.mac.b);
  check_shapes(command, a, b);
  check_length(problem.order, a.columns);
  problem.a = a.view();
  problem.b = b.view();
  const Conversion& last =
      problem.order.chunk ? problem.order.chunk->accumulator : file.mac.accumulator;
  Matrix c0;
  if (command.c0) {
    c0 = read_matrix(*command.c0);
    check_c0(command, c0, a.rows, b.columns, last.format);
    problem.c0 = c0.view();
  }
  if (command.explain) print_plan(problem, format);

  const auto statistics = last.format.fits_float32() ? compute<float>(problem, command)
                                                     : compute<double>(problem, command);
  if (command.statistics)
    write_file(*command.statistics, statistics_json(problem.shape(), *statistics));
  return 0;
}

}  // namespace narrowmac
