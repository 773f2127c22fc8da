#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <systemc>

#include "models/array/pe/fold.h"

namespace narrowmac {

/// What a wire between two PEs carries in a cycle: a value and, as control bits would, which fold
/// and which of its elements it belongs to. Without a fold it is a bubble.
struct Token {
  double value = 0;
  const Fold* fold = nullptr;
  std::int64_t element = 0;  ///< see StructuralArray
  [[nodiscard]] bool valid() const { return fold != nullptr; }
  friend bool operator==(const Token& left, const Token& right) {
    return left.fold == right.fold && left.element == right.element && left.value == right.value;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Token& token) {
  if (!token.valid()) return out << "-";
  return out << token.value << " @" << token.element;
}

inline void sc_trace(sc_core::sc_trace_file* file, const Token& token, const std::string& name) {
  sc_core::sc_trace(file, token.value, name);
}

/// A wire of the array. Each has one writer by construction: not checked again in every cycle.
using Wire = sc_core::sc_signal<Token, sc_core::SC_UNCHECKED_WRITERS>;

}  // namespace narrowmac
