#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/cost/memory_cost.h"
#include "sim/experiment/step_cost.h"

namespace narrowmac {

/// Where the prices of an array come from, whichever the back end.
struct ArrayPrices {
  MacPricer mac;
  /// How many of the operands' bits change from product to product in a layer's pass.
  std::function<OperandActivity(const MacDesign&, const std::string& layer, Pass)> activity;
  RegisterCost register_bit;
  MemoryCost memory;
};

/// A kind of part of an array, all of them together.
struct ArrayPart {
  std::string name;
  std::int64_t count = 0;
  double area_um2 = 0;
  std::optional<double> leakage_uw;  ///< not known of scratchpads
};

/// PEs, columns' adders and scratchpads. Of several MACs a PE has the largest.
struct ArrayCost {
  std::vector<ArrayPart> parts;
  double area_um2 = 0;
  double leakage_uw = 0;   ///< without scratchpads
  double delay_ns = 0;     ///< the longest path of the MACs
  double register_pj = 0;  ///< of the operand registers, per product; of a price_array()
};

/// Registers of a PE that hand its operands on, in bits.
struct OperandRegisters {
  std::int64_t moving_a = 0, moving_b = 0;  ///< take a new operand with every product
  std::int64_t resting = 0;                 ///< the stationary operand's, and the next one's
};
OperandRegisters operand_registers(const MacDesign& mac, const ArrayDesign& array);

/// The array of one MAC, with operands of N(0, 1) where the prices depend on a layer.
ArrayCost price_array(const MacDesign& mac, const ArrayDesign& array, const ArrayPrices& prices);

/// Energy of one GEMM, or of many, in microjoules.
struct EnergyParts {
  double mac = 0;        ///< products, and clock pins of PEs without one
  double registers = 0;  ///< operands on their way from PE to PE
  double scratchpads = 0;
  double dram = 0;
  double leakage = 0;  ///< of the whole array for as long as it takes, stalls included
  [[nodiscard]] double total() const { return mac + registers + scratchpads + dram + leakage; }
  EnergyParts& operator+=(const EnergyParts& other);
};

/// A layer's pass in a training step of a full batch.
struct GemmPrice {
  std::string layer;
  Pass pass = Pass::Forward;
  std::string mac;  ///< one line; "fp32": outside the array, without a price
  bool on_array = false;
  std::int64_t macs = 0, cycles = 0, stall_cycles = 0;
  double energy_product_pj = 0;
  EnergyParts energy;
};

/// What training costs on the array of a run.
struct TrainingPrice {
  ArrayCost array;
  std::vector<GemmPrice> gemms;  ///< of a step, layer after layer
  EnergyParts step, epoch;
  std::int64_t steps_per_epoch = 0;
  double clock_mhz = 0;
  /// Of the MACs alone, against fp32-accumulating ones with the same operands.
  double area_relative = 0, energy_relative = 0;
  bool has_memory = false;  ///< false: no [memory], so scratchpads and DRAM are not in it
};

/// Prices a run by its config alone: shapes, cycles, stalls and bytes are the closed forms that
/// its records agree with. `clock_mhz`: absent, as fast as the slowest MAC. Throws Error naming
/// layer and pass for a MAC without a price, and if the whole run is in fp32.
TrainingPrice price_training(const RunConfig& config, const ArrayPrices& prices,
                             std::optional<double> clock_mhz);

}  // namespace narrowmac
