#pragma once

#include "sim/experiment/mantissa_rules.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {

/// The operand formats of a pass: FWD activation and weight, BWD gradient and weight, GRAD
/// activation and gradient, as `formats` has them. Under [quantization] the unsigned integers of
/// their codes.
Operands operands_of(Pass pass, const LayerFormats& formats, const TrainingSettings& training);

/// Reads [mac] of a run file, with [mac.FWD], [mac.BWD], [mac.GRAD] and [[mac.layer]], into
/// `config.mac` and `config.training.macs`; passes whose gradient stays fp32 get none. Later
/// [[mac.layer]] entries go over earlier ones, and inherit from them. The network, [formats] and
/// [quantization] must have been read. Returns the tables' accumulator_mantissa, which need the
/// shapes of the layers to become formats.
MantissaRules read_macs(const ConfigTable& table, RunConfig& config);

/// [mac] and its tables as a run file has them: complete, without the operand formats; "" in fp32.
std::string macs_to_toml(const RunConfig& config);

}  // namespace narrowmac
