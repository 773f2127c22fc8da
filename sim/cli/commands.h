#pragma once

#include "sim/cli/options.h"

namespace narrowmac {

// One function per subcommand, each in a file of its own. They print results to standard output,
// log to standard error, return the exit code, and throw Error.

int formats_command(const FormatsCommand& command, OutputFormat format);
int list_command(const ListCommand& command, OutputFormat format);
int gemm_command(const GemmCommand& command, OutputFormat format);
int explain_command(const ExplainCommand& command, OutputFormat format);
int trace_command(const TraceCommand& command, OutputFormat format);
int run_command(const RunCommand& command, OutputFormat format);
int cycles_command(const CyclesCommand& command, OutputFormat format);
int vrr_command(const VrrCommand& command, OutputFormat format);
int predict_command(const PredictCommand& command, OutputFormat format);
int quantize_command(const QuantizeCommand& command, OutputFormat format);
int assign_command(const AssignCommand& command, OutputFormat format);
int measure_command(const MeasureCommand& command, OutputFormat format);
int sweep_command(const SweepCommand& command, OutputFormat format);
int recommend_command(const RecommendCommand& command, OutputFormat format);
int rtl_command(const RtlCommand& command, OutputFormat format);
int estimate_command(const EstimateCommand& command, OutputFormat format);

}  // namespace narrowmac
