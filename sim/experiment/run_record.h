#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/design/array_design.h"
#include "sim/experiment/gradient_record.h"
#include "sim/experiment/json.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// What the observed GEMMs of a layer's pass lost so far. Rates are those of the pooled counts; VRR
/// and NMSE are means over the GEMMs where they are defined.
struct ObservedPass {
  std::int64_t gemms = 0;
  GemmStatistics counts;  ///< the counts only; the moments stay empty
  double vrr_sum = 0, nmse_sum = 0;
  std::int64_t vrr_count = 0, nmse_count = 0;
  ObservedGradient gradient;

  void add(const GemmObservation& observation);
  [[nodiscard]] std::optional<double> vrr() const;
  [[nodiscard]] std::optional<double> nmse() const;
};

/// Everything a run has to report, as it grows: the rows of steps.csv and observations.csv, and
/// what the sampled GEMMs of each layer and pass lost.
class RunRecord {
 public:
  using Work = std::vector<std::pair<std::string, std::array<LayerWork, 3>>>;

  /// `quantised_gradients`: the tables have columns for what quantising them lost.
  explicit RunRecord(bool quantised_gradients = false);
  void add(const StepReport& step);
  void add(const std::vector<GemmObservation>& observations);

  [[nodiscard]] const std::string& steps_csv() const { return steps_; }
  [[nodiscard]] const std::string& observations_csv() const { return observations_; }
  /// One row per layer and computed pass; macs, cycles and stalls summed over the training so far.
  /// Beside what was measured: what the theory predicts for the run's MACs and array, at the
  /// measured part of non-zero products (1 where none was measured).
  [[nodiscard]] std::string layers_csv(const Work& work, const MacAssignment& macs,
                                       const ArrayDesign& array) const;
  /// Totals over the training and the losses per pass: the part of summary.json's results that the
  /// record knows.
  [[nodiscard]] Json::Object results(const Work& work) const;
  /// Mean loss over the steps of the last epoch; null if one of them is not finite, or without
  /// steps.
  [[nodiscard]] std::optional<double> last_epoch_loss() const;

  /// What a checkpoint keeps beside the two files, and back: the rows up to `step` of the files,
  /// which may go further.
  [[nodiscard]] Json to_json() const;
  static RunRecord restore(const Json& state, const std::string& steps_csv,
                           const std::string& observations_csv, std::int64_t step);

 private:
  void add_loss(std::int64_t epoch, std::optional<double> loss);

  bool quantised_;
  std::string steps_, observations_;
  std::map<std::pair<std::string, Pass>, ObservedPass> observed_;
  std::int64_t epoch_ = 0;  ///< the one the two sums are about
  double loss_sum_ = 0;
  std::int64_t losses_ = 0;
  bool finite_ = true;
};

/// The pass of that name. Throws Error.
Pass parse_pass(const std::string& text);

/// The trainer's work as a checkpoint keeps it, and back.
Json work_to_json(const RunRecord::Work& work);
RunRecord::Work work_from_json(const Json& json);

}  // namespace narrowmac
