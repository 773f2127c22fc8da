#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/error.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// One table of a TOML file. Every message names file, line and dotted key. Reading a key marks it
/// as known; reject_unknown() then refuses what nobody read, so no key is ever silently ignored.
/// Copies share the document and the marks.
class ConfigTable {
 public:
  struct Document;  ///< the parsed file, opaque

  static ConfigTable read_file(const std::filesystem::path& path);
  static ConfigTable parse(std::string_view text, std::string_view source_name);

  [[nodiscard]] bool has(std::string_view key) const;
  /// The keys of this table, in file order.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Required values: throw Error if the key is missing or of another type.
  [[nodiscard]] std::string string(std::string_view key) const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low,
                                     std::int64_t high) const;
  [[nodiscard]] double number(std::string_view key) const;  ///< a float or an integer
  [[nodiscard]] bool boolean(std::string_view key) const;
  [[nodiscard]] ConfigTable table(std::string_view key) const;
  [[nodiscard]] std::vector<ConfigTable> tables(
      std::string_view key) const;  ///< array of tables; absent: empty
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  /// The elements of an array of any types as TOML text, for set(): a sweep's values.
  [[nodiscard]] std::vector<std::string> toml_values(std::string_view key) const;
  /// With a default for a missing key.
  [[nodiscard]] std::string string_or(std::string_view key, std::string_view fallback) const;
  [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t fallback,
                                        std::int64_t low, std::int64_t high) const;
  [[nodiscard]] double number_or(std::string_view key, double fallback) const;
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;
  [[nodiscard]] bool is_string(std::string_view key) const;
  [[nodiscard]] bool is_boolean(std::string_view key) const;
  [[nodiscard]] bool is_table(std::string_view key) const;
  /// One of `accepted`, as its index; the error lists them.
  [[nodiscard]] std::size_t choice(std::string_view key,
                                   const std::vector<std::string>& accepted) const;

  /// An error about `key` of this table: "FILE:LINE: dotted.key: MESSAGE".
  [[nodiscard]] Error error(std::string_view key, std::string_view message) const;
  /// An error about the table itself.
  [[nodiscard]] Error error(std::string_view message) const;
  /// Throws Error for the first key, at any depth below this table, that nobody has read.
  void reject_unknown() const;

  /// Sets a dotted key to a value given as TOML text; bare words count as strings (`--set
  /// mac.accumulator=e6m3`). Must be called on the root. Throws Error naming the key if its parent
  /// table does not exist and `may_create` is false.
  void set(std::string_view dotted_key, std::string_view value, std::string_view origin,
           bool may_create);
  /// Puts copies of another table's values over those of the root, table by table (a sweep's point
  /// over its base); arrays and everything else are replaced whole. Must be called on the root. The
  /// other table counts as read.
  void merge(const ConfigTable& other);

  [[nodiscard]] std::string to_toml() const;
  [[nodiscard]] std::string source_name() const;

 private:
  std::shared_ptr<Document> document_;
  std::string path_;  ///< dotted path of this table in the document, "" for the root
  void merge_below(const std::string& path, const ConfigTable& other);
  explicit ConfigTable(std::shared_ptr<Document> document, std::string path);
};

/// Operand formats that are known from elsewhere (a run's [formats]).
struct Operands {
  NumberFormat a, b;
};
/// Reads `[mac]`. `inherited` (a pass's table over [mac]) supplies what the table leaves out;
/// `operands` makes setting a or b an error. `chunk = false` stands for "no chunk" and removes an
/// inherited one. A table that overrides `accumulator` alone leaves an inherited chunk's
/// accumulator as it was. So does `dot = false` for a dot; `order`, or a table of its own, replaces
/// an inherited order. Rounding, random_bits, overflow and subnormals of an inherited chunk follow
/// the table's own first level where they equalled the inherited first level's, and stay otherwise.
/// The caller reads what else the table may hold and then calls reject_unknown().
MacDesign parse_mac(const ConfigTable& table, const MacDesign* inherited = nullptr,
                    const Operands* operands = nullptr);
ArrayDesign parse_array(const ConfigTable& root);  ///< reads [array] and [memory] of a root table
/// A MAC file: [mac], and optionally [array] and [memory].
struct MacFile {
  MacDesign mac;
  std::optional<ArrayDesign> array;
};
MacFile read_mac_file(const std::filesystem::path& path);

}  // namespace narrowmac
