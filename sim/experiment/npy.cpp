#include "sim/experiment/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "models/design/error.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values are copied as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;  // numpy.lib.format: the data start at a multiple of 64

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;
};

/// The header is a Python literal such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4),
/// }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  Header parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !has_descr) {
        has_descr = true;
        header.descr = description();
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        header.shape = tuple();
      } else {
        fail(fmt::format(
            "found the header key '{}'; accepted: descr, fortran_order and shape, once each", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail("found text after the header's closing brace");
    if (!has_descr || !has_order || !has_shape) {
      fail("the header lacks descr, fortran_order or shape");
    }
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(fmt::format("{}: {}", file_, message));
  }

  void skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0) {
      rest_.remove_prefix(1);
    }
  }
  bool accept(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) {
      fail(fmt::format("malformed header: expected '{}' before \"{}\"", c, rest_.substr(0, 20)));
    }
  }
  std::string quoted() {
    skip_space();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) {
      fail(fmt::format("malformed header: expected a quoted name before \"{}\"",
                       rest_.substr(0, 20)));
    }
    const char quote = rest_.front();
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) fail("malformed header: a quote is not closed");
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string description() {
    skip_space();
    if (!rest_.empty() && rest_.front() == '[') {
      fail("found a structured type; accepted: float32 ('<f4') or float64 ('<f8')");
    }
    return quoted();
  }
  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (rest_.substr(0, word.size()) == word) {
        rest_.remove_prefix(word.size());
        return value;
      }
    }
    fail(
        fmt::format("malformed header: expected True or False before \"{}\"", rest_.substr(0, 20)));
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t value = -1;
      const auto parsed = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (parsed.ec != std::errc() || value < 0) {
        fail(fmt::format("malformed shape: expected a size before \"{}\"", rest_.substr(0, 20)));
      }
      rest_.remove_prefix(static_cast<std::size_t>(parsed.ptr - rest_.data()));
      values.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  std::string_view rest_;
  const std::string& file_;
};

Header read_header(std::string_view bytes, const std::string& file) {
  constexpr std::size_t kVersionEnd = 8;
  if (bytes.size() < kVersionEnd || bytes.substr(0, kMagic.size()) != kMagic) {
    throw Error(
        fmt::format("{}: found no NumPy magic string at the start; accepted: a .npy file", file));
  }
  const int major = static_cast<unsigned char>(bytes[6]);
  const int minor = static_cast<unsigned char>(bytes[7]);
  if ((major != 1 && major != 2) || minor != 0) {
    throw Error(
        fmt::format("{}: found NumPy format {}.{}; accepted: 1.0 or 2.0", file, major, minor));
  }
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  const std::size_t start = kVersionEnd + length_bytes;
  std::size_t length = 0;
  if (bytes.size() >= start) {
    for (std::size_t i = 0; i < length_bytes; ++i) {
      length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[kVersionEnd + i]))
                << (8 * i);
    }
  }
  if (bytes.size() < start || bytes.size() - start < length) {
    throw Error(fmt::format("{}: truncated in its header: found {} bytes, expected at least {}",
                            file, bytes.size(), start + length));
  }
  Header header = HeaderParser(bytes.substr(start, length), file).parse();
  header.data_offset = start + length;
  return header;
}

std::size_t element_bytes(const Header& header, const std::string& file) {
  if (header.descr == "<f4") return 4;
  if (header.descr == "<f8") return 8;
  throw Error(
      fmt::format("{}: found elements of type '{}'; accepted: float32 ('<f4') or float64 ('<f8'), "
                  "little endian",
                  file, header.descr));
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

/// Number of elements of a shape; nullopt where it passes 2^63.
std::optional<std::uint64_t> element_count(std::span<const std::int64_t> shape) {
  std::uint64_t count = 1;
  bool overflow = false;
  for (const std::int64_t size : shape) {
    if (size == 0) return 0;
    const auto factor = static_cast<std::uint64_t>(size);
    overflow = overflow || count > (std::numeric_limits<std::uint64_t>::max() >> 1) / factor;
    count *= factor;
  }
  if (overflow) return std::nullopt;
  return count;
}

template <typename T>
std::vector<T> copy_values(std::string_view data) {
  std::vector<T> values(data.size() / sizeof(T));
  if (!data.empty()) std::memcpy(values.data(), data.data(), data.size());
  return values;
}

template <typename T>
std::string bytes_of(std::span<const std::int64_t> shape, std::span<const T> values) {
  if (element_count(shape) != values.size()) {
    throw std::invalid_argument(
        fmt::format("shape {} does not hold {} values", shape_text(shape), values.size()));
  }
  std::string header = fmt::format("{{'descr': '<f{}', 'fortran_order': False, 'shape': {}, }}",
                                   sizeof(T), shape_text(shape));
  const std::size_t prefix = kMagic.size() + 4;
  const std::size_t unpadded = prefix + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header.push_back('\n');
  std::string bytes(kMagic);
  bytes.push_back('\1');
  bytes.push_back('\0');
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes += header;
  if (!values.empty())
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return bytes;
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const std::string file = path.string();
  const std::string bytes = read_file(path);
  const Header header = read_header(bytes, file);
  const std::size_t size = element_bytes(header, file);
  if (header.fortran_order) {
    throw Error(
        fmt::format("{}: found Fortran order; accepted: C order (numpy.ascontiguousarray)", file));
  }
  const std::string_view data = std::string_view(bytes).substr(header.data_offset);
  const std::optional<std::uint64_t> count = element_count(header.shape);
  if (!count || *count > std::numeric_limits<std::uint64_t>::max() / size ||
      *count * size != data.size()) {
    const std::string expected =
        count ? fmt::format("{} elements of {} bytes", *count, size) : "more than 2^63";
    throw Error(fmt::format("{}: shape {} needs {}; found {} bytes of data ({})", file,
                            shape_text(header.shape), expected, data.size(),
                            count && data.size() > *count * size ? "too long" : "truncated"));
  }
  NpyArray array;
  array.shape = header.shape;
  if (size == 4) {
    array.values = copy_values<float>(data);
  } else {
    array.values = copy_values<double>(data);
  }
  return array;
}

NpyArray read_npy_matrix(const std::filesystem::path& path) {
  NpyArray array = read_npy(path);
  if (array.shape.size() != 2) {
    throw Error(fmt::format("{}: found shape {} with {} dimensions; accepted: two dimensions",
                            path.string(), shape_text(array.shape), array.shape.size()));
  }
  return array;
}

std::string npy_bytes(std::span<const std::int64_t> shape, std::span<const float> values) {
  return bytes_of(shape, values);
}

std::string npy_bytes(std::span<const std::int64_t> shape, std::span<const double> values) {
  return bytes_of(shape, values);
}

void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const float> values) {
  write_file(path, npy_bytes(shape, values));
}

void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const double> values) {
  write_file(path, npy_bytes(shape, values));
}

}  // namespace narrowmac
