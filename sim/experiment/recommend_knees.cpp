#include "sim/experiment/recommend_knees.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "models/design/error.h"
#include "models/theory/mac_theory.h"
#include "sim/experiment/measure.h"
#include "sim/experiment/progress.h"
#include "sim/experiment/replayed_step.h"

namespace narrowmac {
namespace {

constexpr int kWidestKnee = 23;
constexpr int kWidestExponent = 8;
constexpr int kBelowTheory = 4;  ///< where the scan begins: nearest-even needs 2 to 3 bits less
constexpr int kMoreBits = 4;

/// Measurements of one GEMM by mantissa, made as they are asked for.
class KneeScan {
 public:
  KneeScan(const MacDesign& mac, const ArrayDesign& array, const SampledOperands& operands,
           std::int64_t length)
      : mac_(mac), array_(array), operands_(operands), length_(length) {}

  void measure(int from, int to) {
    std::vector<int> missing;
    for (int m = std::max(1, from); m <= std::min(to, kWidestKnee); ++m) {
      if (known_.count(m) == 0) missing.push_back(m);
    }
    if (missing.empty()) return;
    MeasureOptions options;
    options.count_swamping = false;
    const auto measured = measure_operands(measured_designs(mac_, array_, missing), operands_.a,
                                           operands_.b, length_, options);
    for (std::size_t i = 0; i < missing.size(); ++i) known_[missing[i]] = measured[i];
  }

  /// Absent: no mantissa suffices.
  std::optional<int> find(int theory) {
    measure(theory - kBelowTheory, theory + 1);
    while (!suffices(known_.rbegin()->second) && known_.rbegin()->first < kWidestKnee) {
      const int top = known_.rbegin()->first;
      measure(top + 1, top + kMoreBits);
    }
    while (suffices_from(known_.begin()->first) && known_.begin()->first > 1) {
      const int bottom = known_.begin()->first;
      measure(bottom - kMoreBits, bottom - 1);
    }
    for (const auto& entry : known_) {
      if (suffices_from(entry.first)) return entry.first;
    }
    return std::nullopt;
  }

  /// All sums are equal: neither ratio is defined, whatever the mantissa.
  [[nodiscard]] bool nothing_to_lose() const {
    const Measurement& widest = known_.rbegin()->second;
    return widest.not_finite == 0 && !widest.nmse;
  }
  [[nodiscard]] const Measurement* at(int mantissa) const {
    const auto found = known_.find(mantissa);
    return found == known_.end() ? nullptr : &found->second;
  }

 private:
  static bool suffices(const Measurement& measurement) {
    return measurement.vrr && measurement.nmse && measurement.vrr->value >= kKneeVrr &&
           measurement.nmse->value <= kKneeNmse;
  }
  [[nodiscard]] bool suffices_from(int mantissa) const {
    return std::all_of(known_.lower_bound(mantissa), known_.end(),
                       [](const auto& entry) { return suffices(entry.second); });
  }

  const MacDesign& mac_;
  const ArrayDesign& array_;
  const SampledOperands& operands_;
  std::int64_t length_;
  std::map<int, Measurement> known_;
};

std::optional<double> value_of(const std::optional<Estimate>& estimate) {
  return estimate ? std::optional(estimate->value) : std::nullopt;
}

void note_values(const KneeScan& scan, GemmKnee& knee) {
  if (const Measurement* at = scan.at(*knee.mantissa)) {
    knee.vrr = value_of(at->vrr);
    knee.nmse = value_of(at->nmse);
  }
  if (const Measurement* below = scan.at(*knee.mantissa - 1)) {
    knee.vrr_less = value_of(below->vrr);
    knee.nmse_less = value_of(below->nmse);
  }
}

/// The knee with the narrowest exponent, from the MAC's own on, that has one.
GemmKnee find_knee(const MacDesign& mac, const ArrayDesign& array, const SampledOperands& operands,
                   const GemmRequest& gemm, std::int64_t chunk) {
  GemmKnee knee;
  knee.layer = gemm.layer;
  knee.pass = gemm.pass;
  knee.chunk = chunk;
  knee.length = gemm.a.columns();
  knee.nonzero_ratio = nonzero_ratio(operands.a, operands.b, knee.length);
  const NumberFormat& own = mac.accumulator.format;
  for (int exponent = own.exponent_bits; exponent <= kWidestExponent; ++exponent) {
    const MacDesign tried = with_accumulator(
        mac, chunk, NumberFormat::parse(fmt::format("e{}m{}", exponent, kWidestKnee)));
    const AccumulationOrder order = accumulation_order(tried, array);
    knee.theory = predicted_mantissa(tried, order, knee.length, knee.nonzero_ratio);
    knee.exponent = exponent;
    KneeScan scan(tried, array, operands, knee.length);
    knee.mantissa = scan.find(knee.theory.value_or(product_mantissa(tried)));
    if (knee.mantissa) note_values(scan, knee);
    // The sums of one step are not the largest of a training: a new exponent gets a bit to spare.
    const bool is_new = exponent > own.exponent_bits;
    if (is_new) knee.exponent = std::min(exponent + 1, kWidestExponent);
    if (knee.mantissa || scan.nothing_to_lose()) return knee;
  }
  throw Error(fmt::format(
      "layer {}, pass {}, {}: no accumulator up to e{}m{} keeps VRR >= {} and NMSE <= {} on the "
      "operands of a training step; accepted: another rounding or chunk length",
      gemm.layer, to_string(gemm.pass), chunk_name(chunk), kWidestExponent, kWidestKnee, kKneeVrr,
      kKneeNmse));
}

}  // namespace

std::vector<GemmKnee> measure_knees(const std::filesystem::path& run, const RunConfig& config,
                                    const std::vector<StepGemm>& gemms,
                                    std::span<const std::int64_t> chunks, bool quiet) {
  const auto place = [&](const std::string& layer, Pass pass) {
    return std::find_if(gemms.begin(), gemms.end(), [&](const StepGemm& gemm) {
      return gemm.layer == layer && gemm.pass == pass;
    });
  };
  const ReplayedStep step(run);
  Progress progress(quiet);
  std::vector<GemmKnee> knees;
  step.run([&](const GemmRequest& gemm) {
    const auto chosen = place(gemm.layer, gemm.pass);
    if (chosen == gemms.end() || chosen->has_own_mac) return;
    progress.show(fmt::format("knees: layer {}, pass {}", gemm.layer, to_string(gemm.pass)));
    const MacDesign& mac = *config.training.macs.find(gemm.layer, gemm.pass);
    const SampledOperands operands = sample_operands(gemm, mac, std::nullopt);
    for (const std::int64_t chunk : chunks) {
      knees.push_back(find_knee(mac, config.array, operands, gemm, chunk));
    }
  });
  progress.clear();
  std::stable_sort(knees.begin(), knees.end(), [&](const GemmKnee& left, const GemmKnee& right) {
    if (left.chunk != right.chunk) return left.chunk < right.chunk;
    return place(left.layer, left.pass) < place(right.layer, right.pass);
  });
  return knees;
}

PassAccumulators widest_knees(const std::vector<GemmKnee>& knees, const RunConfig& config,
                              const std::vector<StepGemm>& gemms, std::int64_t chunk) {
  PassAccumulators widest;
  widest.chunk = chunk;
  for (const Pass pass : kPasses) {
    widest.exponents[static_cast<std::size_t>(pass)] =
        config.training.macs.find("", pass)->accumulator.format.exponent_bits;
  }
  for (const StepGemm& gemm : gemms) {
    if (!gemm.has_own_mac) widest.mantissas[static_cast<std::size_t>(gemm.pass)] = 1;
  }
  for (const GemmKnee& knee : knees) {
    if (knee.chunk != chunk) continue;
    const auto pass = static_cast<std::size_t>(knee.pass);
    widest.mantissas[pass] = std::max(widest.mantissas[pass], knee.mantissa.value_or(1));
    widest.exponents[pass] = std::max(widest.exponents[pass], knee.exponent);
  }
  return widest;
}

}  // namespace narrowmac
