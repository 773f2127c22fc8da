#pragma once

#include "models/design/config.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {

// Bits more, or fewer, at the least significant end of a whole class of fixed-point tensors or
// accumulators: what a sweep varies around an assignment.

/// Applies extra_bits of the table [formats] (activation, weight, gradient, weight_gradient,
/// weight_residual) to every layer's fixed-point format of the class, the image excepted. The
/// residual of a weight keeps its unit and follows the weight's in range. The formats must have
/// been read. Throws Error with file, line and key, also for a class without fixed point.
void apply_extra_format_bits(const ConfigTable& formats, RunConfig& config);

/// Applies accumulator_extra_bits of the table [mac] and of its passes' tables to the accumulators
/// of every layer: fixed point gets fraction bits, floats mantissa bits. The MACs must have been
/// read.
void apply_extra_accumulator_bits(const ConfigTable& mac, RunConfig& config);

}  // namespace narrowmac
