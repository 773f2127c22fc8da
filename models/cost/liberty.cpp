#include "models/cost/liberty.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "models/cost/liberty_syntax.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// Larger than any library of standard cells.
constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 29;

std::string read_text(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) {
    throw Error(fmt::format("{}: no such liberty file", path.string()));
  }
  if (std::filesystem::file_size(path, failure) > kMostBytes) {
    throw Error(fmt::format("{}: too large for a liberty file; accepted: up to {} bytes",
                            path.string(), kMostBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw Error(fmt::format("{}: cannot be read", path.string()), Error::Kind::System);
  return text.str();
}

/// Numbers of a file, with its name in errors.
class Numbers {
 public:
  explicit Numbers(std::string source) : source_(std::move(source)) {}

  [[nodiscard]] Error error(int line, const std::string& what) const {
    return Error(fmt::format("{}:{}: {}", source_, line, what));
  }
  [[nodiscard]] double parse(std::string_view text, int line) const {
    const auto begin = text.find_first_not_of(" \t\r\n+");
    double value = 0;
    if (begin != std::string_view::npos) {
      const char* const end = text.data() + text.size();
      const auto result = std::from_chars(text.data() + begin, end, value);
      const bool rest_is_space = std::all_of(
          result.ptr, end, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
      if (result.ec == std::errc() && rest_is_space && std::isfinite(value)) return value;
    }
    throw error(line, fmt::format("found '{}', expected a number", text.substr(0, 40)));
  }
  [[nodiscard]] double attribute(const LibertyGroup& group, std::string_view name,
                                 double fallback) const {
    const LibertyGroup::Attribute* const found = group.attribute(name);
    if (found == nullptr || found->values.empty()) return fallback;
    return parse(found->values.front(), found->line);
  }
  /// All numbers in the texts of a complex attribute, row after row.
  [[nodiscard]] std::vector<double> list(const LibertyGroup::Attribute& attribute) const {
    std::vector<double> numbers;
    for (const std::string& text : attribute.values) {
      std::string_view rest = text;
      while (!rest.empty()) {
        const std::size_t comma = rest.find_first_of(", \t\r\n");
        const std::string_view item = rest.substr(0, comma);
        if (!item.empty()) numbers.push_back(parse(item, attribute.line));
        rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
      }
    }
    return numbers;
  }

 private:
  std::string source_;
};

/// "1ns", "10pW" in SI units.
double unit_of(const std::string& text, double fallback) {
  double number = 1;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(result.ptr,
                              static_cast<std::size_t>(text.data() + text.size() - result.ptr));
  if (unit.empty()) return fallback;
  constexpr std::string_view kPrefixes = "fpnum";
  constexpr double kFactors[] = {1e-15, 1e-12, 1e-9, 1e-6, 1e-3};
  const std::size_t prefix =
      unit.size() > 1 ? kPrefixes.find(unit.front()) : std::string_view::npos;
  return number * (prefix == std::string_view::npos ? 1.0 : kFactors[prefix]);
}

struct Units {
  double voltage = 1, capacitance = 1e-12, time = 1e-9, leakage = 1e-9;
  [[nodiscard]] double energy() const { return capacitance * voltage * voltage; }
};

class Reader {
 public:
  Reader(const LibertyGroup& library, const std::string& source)
      : library_(library), numbers_(source) {
    read_units();
    for (const LibertyGroup& group : library_.groups) {
      if (group.kind.ends_with("template") && !group.names.empty()) {
        templates_[group.names.front()] = &group;
      }
    }
  }

  Liberty read() {
    Liberty result;
    result.name = library_.names.empty() ? "unnamed" : library_.names.front();
    for (char& c : result.name) {  // the name goes to terminals
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
    }
    result.voltage = voltage();
    for (const LibertyGroup& group : library_.groups) {
      if (group.kind != "cell") continue;
      LibertyCell cell = read_cell(group);
      result.cells[cell.name] = std::move(cell);
    }
    const bool has_register = std::any_of(
        result.cells.begin(), result.cells.end(),
        [](const auto& entry) { return entry.second.flip_flop && entry.second.area > 0; });
    if (!has_register)
      throw numbers_.error(library_.line, "the library has no flip-flop with an area");
    return result;
  }

 private:
  const LibertyGroup& library_;
  Numbers numbers_;
  Units units_;
  std::map<std::string, const LibertyGroup*, std::less<>> templates_;

  void read_units() {
    units_.voltage = unit_of(library_.value_or("voltage_unit", "1V"), 1);
    units_.time = unit_of(library_.value_or("time_unit", "1ns"), 1e-9);
    units_.leakage = unit_of(library_.value_or("leakage_power_unit", "1nW"), 1e-9);
    const LibertyGroup::Attribute* const load = library_.attribute("capacitive_load_unit");
    if (load == nullptr || load->values.size() != 2) {
      throw numbers_.error(library_.line, "the library has no capacitive_load_unit (NUMBER, UNIT)");
    }
    units_.capacitance =
        numbers_.parse(load->values[0], load->line) * unit_of("1" + load->values[1], 1e-12);
    // "ff" and "pf" are prefix and unit; so are "FF" and "PF".
    const char prefix = load->values[1].empty() ? 'p' : load->values[1].front();
    if (prefix == 'F' || prefix == 'P') {
      units_.capacitance =
          numbers_.parse(load->values[0], load->line) * (prefix == 'F' ? 1e-15 : 1e-12);
    }
  }

  [[nodiscard]] double voltage() const {
    double volts = numbers_.attribute(library_, "nom_voltage", 0) * units_.voltage;
    for (const LibertyGroup& group : library_.groups) {
      if (volts <= 0 && group.kind == "operating_conditions") {
        volts = numbers_.attribute(group, "voltage", 0) * units_.voltage;
      }
    }
    if (!(volts > 0)) throw numbers_.error(library_.line, "the library has no nom_voltage above 0");
    return volts;
  }

  [[nodiscard]] LibertyTable read_table(const LibertyGroup& group) const {
    const auto pattern =
        group.names.empty() ? templates_.end() : templates_.find(group.names.front());
    const LibertyGroup* const named = pattern == templates_.end() ? nullptr : pattern->second;
    LibertyTable table;
    bool loads_first = true;
    for (int axis = 1; axis <= 2; ++axis) {
      const std::string index = fmt::format("index_{}", axis);
      const LibertyGroup::Attribute* points = group.attribute(index);
      if (points == nullptr && named != nullptr) points = named->attribute(index);
      if (points == nullptr) continue;
      const std::string variable =
          named != nullptr ? named->value_or(fmt::format("variable_{}", axis), "") : "";
      const bool is_load = variable.find("capacitance") != std::string::npos;
      if (axis == 1) loads_first = is_load;
      std::vector<double> values = numbers_.list(*points);
      for (double& value : values) value *= is_load ? units_.capacitance : units_.time;
      if (!std::is_sorted(values.begin(), values.end())) {
        throw numbers_.error(points->line, index + " does not ascend");
      }
      (is_load ? table.loads : table.transitions) = std::move(values);
    }
    const LibertyGroup::Attribute* const values = group.attribute("values");
    if (values == nullptr) throw numbers_.error(group.line, "a table has no values");
    const std::vector<double> raw = numbers_.list(*values);
    const std::size_t rows = std::max<std::size_t>(table.loads.size(), 1);
    const std::size_t columns = std::max<std::size_t>(table.transitions.size(), 1);
    if (raw.size() != rows * columns) {
      throw numbers_.error(values->line, fmt::format("a table has {} values, expected {} x {}",
                                                     raw.size(), rows, columns));
    }
    table.values.resize(raw.size());
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        const std::size_t at = loads_first ? row * columns + column : column * rows + row;
        table.values[row * columns + column] = raw[at] * units_.energy();
      }
    }
    return table;
  }

  [[nodiscard]] LibertyPin read_pin(const LibertyGroup& group, const std::string& name) const {
    LibertyPin pin;
    pin.name = name;
    pin.is_output = group.value_or("direction", "input") == "output";
    pin.is_clock = group.value_or("clock", "false") == "true";
    pin.capacitance = numbers_.attribute(group, "capacitance", 0) * units_.capacitance;
    pin.function = group.value_or("function", "");
    for (const LibertyGroup& inner : group.groups) {
      if (inner.kind != "internal_power") continue;
      LibertyPower power;
      for (const LibertyGroup& table : inner.groups) {
        if (table.kind == "rise_power") power.rise = read_table(table);
        if (table.kind == "fall_power") power.fall = read_table(table);
        if (table.kind == "power") power.rise = power.fall = read_table(table);
      }
      if (power.rise || power.fall) pin.powers.push_back(std::move(power));
    }
    return pin;
  }

  [[nodiscard]] LibertyCell read_cell(const LibertyGroup& group) const {
    if (group.names.empty()) throw numbers_.error(group.line, "a cell has no name");
    LibertyCell cell;
    cell.name = group.names.front();
    cell.area = numbers_.attribute(group, "area", 0);
    cell.leakage = numbers_.attribute(group, "cell_leakage_power", 0) * units_.leakage;
    for (const LibertyGroup& inner : group.groups) {
      if (inner.kind == "pin") {
        for (const std::string& name : inner.names) cell.pins.push_back(read_pin(inner, name));
      } else if (inner.kind == "ff" && !inner.names.empty()) {
        LibertyFlipFlop flip_flop;
        flip_flop.state = inner.names[0];
        flip_flop.not_state = inner.names.size() > 1 ? inner.names[1] : "";
        flip_flop.next_state = inner.value_or("next_state", "");
        flip_flop.clocked_on = inner.value_or("clocked_on", "");
        flip_flop.has_set_or_reset =
            inner.attribute("clear") != nullptr || inner.attribute("preset") != nullptr;
        cell.flip_flop = flip_flop;
      }
    }
    return cell;
  }
};

/// Where `x` lies among ascending points: the lower neighbour and the way to the next, 0..1.
std::pair<std::size_t, double> locate(const std::vector<double>& points, double x) {
  if (points.size() < 2 || x <= points.front()) return {0, 0.0};
  if (x >= points.back()) return {points.size() - 2, 1.0};
  const auto above = std::upper_bound(points.begin(), points.end(), x);
  const auto low = static_cast<std::size_t>(above - points.begin()) - 1;
  return {low, (x - points[low]) / (points[low + 1] - points[low])};
}

}  // namespace

double LibertyTable::at(double load, double transition) const {
  if (values.empty()) return 0;
  const std::size_t columns = std::max<std::size_t>(transitions.size(), 1);
  const auto [row, down] = locate(loads, load);
  const auto [column, right] = locate(transitions, transition);
  const auto value = [&](std::size_t i, std::size_t j) { return values[i * columns + j]; };
  const std::size_t next_row = loads.size() > 1 ? row + 1 : row;
  const std::size_t next_column = transitions.size() > 1 ? column + 1 : column;
  const double upper = value(row, column) * (1 - right) + value(row, next_column) * right;
  const double lower = value(next_row, column) * (1 - right) + value(next_row, next_column) * right;
  return upper * (1 - down) + lower * down;
}

double LibertyPower::at(double load, double transition) const {
  if (!rise) return fall ? fall->at(load, transition) : 0;
  if (!fall) return rise->at(load, transition);
  return (rise->at(load, transition) + fall->at(load, transition)) / 2;
}

const LibertyPin* LibertyCell::pin(std::string_view wanted) const {
  for (const LibertyPin& candidate : pins) {
    if (candidate.name == wanted) return &candidate;
  }
  return nullptr;
}

Liberty read_liberty(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  const LibertyGroup library = parse_liberty(text, path.string());
  if (library.kind != "library") {
    throw Error(fmt::format("{}:1: found a group '{}', expected 'library'", path.string(),
                            library.kind.substr(0, 40)));
  }
  return Reader(library, path.string()).read();
}

}  // namespace narrowmac
