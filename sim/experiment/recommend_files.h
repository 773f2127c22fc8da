#pragma once

#include <string>

#include "sim/experiment/json.h"
#include "sim/experiment/recommend.h"

namespace narrowmac {

/// What the runs tell, in sentences, and no more than they tell.
std::string verdict_text(const RecommendReport& report);

/// "within", "mean within", "mean beyond", "beyond", "diverged"; empty for the baseline.
std::string_view verdict_name(const TrainedDesign& design);

/// One row per design, those of the search last: what recommend.csv holds.
std::string designs_csv(const RecommendReport& report);
/// One row per GEMM and chunk length: what knees.csv holds.
std::string knees_csv(const RecommendReport& report);
/// Everything: what recommend.json holds.
Json recommend_json(const RecommendReport& report);

/// Writes recommend.csv, knees.csv, recommend.json, and recommended.toml with its network.toml; a
/// recommended.toml of before is removed if nothing is recommended now.
void write_recommendation(const RecommendReport& report, const RunConfig& config);

}  // namespace narrowmac
