#pragma once

#include <map>
#include <string>
#include <utility>

#include "models/design/gemm_shape.h"

namespace narrowmac {

/// The part of the products that is not zero: one number, or one for each layer and pass.
class NonzeroRatios {
 public:
  /// `text` is a number from 0 to 1; a CSV file with the columns layer, pass and nonzero_ratio, in
  /// any order and among others, such as a run's layers.csv; or a run directory, for that file.
  /// Throws Error naming file and line.
  static NonzeroRatios parse(const std::string& text);

  /// Throws Error if the file has no ratio for this layer and pass.
  [[nodiscard]] double of(const std::string& layer, Pass pass) const;

 private:
  double same_ = 1;
  std::string file_;  ///< empty: `same_` holds everywhere
  std::map<std::pair<std::string, std::string>, double> ratios_;
};

}  // namespace narrowmac
