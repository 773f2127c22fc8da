#include "sim/experiment/array_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/array/timing.h"
#include "models/design/error.h"
#include "sim/experiment/plan.h"

namespace narrowmac {
namespace {

/// Of the MACs that share an array, what the hardware must hold.
struct Hardware {
  double pe_um2 = 0, pe_leakage_uw = 0;
  double column_um2 = 0, column_leakage_uw = 0;
  std::int64_t register_bits = 0;
  double delay_ns = 0;

  void take(const PeCost& pe, const OperandRegisters& registers) {
    pe_um2 = std::max(pe_um2, pe.mac.area_um2);
    pe_leakage_uw = std::max(pe_leakage_uw, pe.mac.leakage_uw);
    column_um2 = std::max(column_um2, pe.column_um2);
    column_leakage_uw = std::max(column_leakage_uw, pe.column_leakage_uw);
    register_bits =
        std::max(register_bits, registers.moving_a + registers.moving_b + registers.resting);
    delay_ns = std::max(delay_ns, pe.mac.delay_ns);
  }
};

ArrayCost array_of(const Hardware& hardware, const ArrayDesign& array, const ArrayPrices& prices) {
  ArrayCost cost;
  const std::int64_t count = std::int64_t{array.rows} * array.columns;
  const auto pes = static_cast<double>(count);
  const double bits = pes * static_cast<double>(hardware.register_bits);
  cost.parts.push_back({"MACs", count, pes * hardware.pe_um2, pes * hardware.pe_leakage_uw});
  cost.parts.push_back({"operand registers", count * hardware.register_bits,
                        bits * prices.register_bit.area_um2,
                        bits * prices.register_bit.leakage_uw});
  if (hardware.column_um2 > 0) {
    cost.parts.push_back({"column adders", array.columns, array.columns * hardware.column_um2,
                          array.columns * hardware.column_leakage_uw});
  }
  if (array.memory) {
    const double per_byte = prices.memory.scratchpad_um2_per_byte;
    const std::int64_t operands = array.memory->operand_scratchpad_bytes;
    const std::int64_t psums = array.memory->psum_scratchpad_bytes;
    cost.parts.push_back(
        {"operand scratchpads", 2, 2 * static_cast<double>(operands) * per_byte, std::nullopt});
    cost.parts.push_back(
        {"psum scratchpad", 1, static_cast<double>(psums) * per_byte, std::nullopt});
  }
  for (const ArrayPart& part : cost.parts) {
    cost.area_um2 += part.area_um2;
    cost.leakage_uw += part.leakage_uw.value_or(0);
  }
  cost.delay_ns = hardware.delay_ns;
  return cost;
}

/// Bytes per level times energy per byte. What comes from DRAM is written to a scratchpad, what
/// goes there is read from one. A scratchpad is two memories of half its size.
void add_memory_energy(const Traffic& traffic, const MemoryDesign& memory, const MemoryCost& cost,
                       EnergyParts& energy) {
  const double operand =
      cost.scratchpad_pj_per_byte(static_cast<double>(memory.operand_scratchpad_bytes) / 2);
  const double psum =
      cost.scratchpad_pj_per_byte(static_cast<double>(memory.psum_scratchpad_bytes) / 2);
  const auto pj = [](std::int64_t bytes, double per_byte) {
    return static_cast<double>(bytes) * per_byte;
  };
  energy.scratchpads =
      1e-6 * (pj(traffic.a_reads + traffic.b_reads + traffic.dram_reads, operand) +
              pj(traffic.psum_reads + traffic.psum_writes + traffic.dram_writes, psum));
  energy.dram = 1e-6 * pj(traffic.dram_reads + traffic.dram_writes, cost.dram_pj_per_byte);
}

/// Of the operand registers in so many cycles of a PE, with so many products: picojoules.
double register_energy(const OperandRegisters& registers, const OperandActivity& activity,
                       double cycles, double products, const RegisterCost& bit) {
  const auto a = static_cast<double>(registers.moving_a);
  const auto b = static_cast<double>(registers.moving_b);
  return cycles * (a + b) * bit.clock_pj +
         products * (activity.a * a + activity.b * b) * bit.toggle_pj;
}

/// Everything of a GEMM but leakage, which the whole array decides.
GemmPrice price_gemm(const RunConfig& config, const PlannedGemm& gemm, const ArrayPrices& prices,
                     Hardware& hardware) {
  GemmPrice price;
  price.layer = gemm.layer;
  price.pass = gemm.pass;
  price.mac = gemm.mac;
  price.macs = gemm.shape.m * gemm.shape.n * gemm.shape.k;
  const MacDesign* const mac = config.training.macs.find(gemm.layer, gemm.pass);
  if (mac == nullptr) return price;
  const ArrayDesign& array = config.array;
  price.on_array = true;
  const PeCost pe = price_pe(*mac, array, gemm.layer, gemm.pass, prices.mac);
  const OperandRegisters registers = operand_registers(*mac, array);
  hardware.take(pe, registers);
  const Timing time = timing(gemm.shape, array, *mac);
  price.cycles = time.cycles.total();
  price.stall_cycles = time.stalls.total();
  price.energy_product_pj = pe.energy_pj;
  const auto products = static_cast<double>(price.macs);
  const double slots =
      static_cast<double>(array.rows) * array.columns * static_cast<double>(price.cycles);
  price.energy.mac =
      1e-6 * (products * pe.energy_pj + std::max(0.0, slots - products) * pe.clock_pj);
  const OperandActivity activity = prices.activity(*mac, gemm.layer, gemm.pass);
  price.energy.registers =
      1e-6 * register_energy(registers, activity, slots, products, prices.register_bit);
  if (array.memory) add_memory_energy(time.traffic, *array.memory, prices.memory, price.energy);
  return price;
}

/// A step, and the sum of its parts.
std::vector<GemmPrice> price_gemms(const RunConfig& config, const std::vector<PlannedGemm>& gemms,
                                   const ArrayPrices& prices, Hardware& hardware) {
  std::vector<GemmPrice> list;
  for (const PlannedGemm& gemm : gemms) {
    try {
      list.push_back(price_gemm(config, gemm, prices, hardware));
    } catch (const Error& failure) {
      throw Error(fmt::format("layer \"{}\", pass {}: {}", gemm.layer, to_string(gemm.pass),
                              failure.what()),
                  failure.kind());
    }
  }
  return list;
}

EnergyParts with_leakage(std::vector<GemmPrice>& gemms, const ArrayCost& array, double clock_mhz) {
  EnergyParts sum;
  for (GemmPrice& gemm : gemms) {
    if (!gemm.on_array) continue;
    const double microseconds = static_cast<double>(gemm.cycles + gemm.stall_cycles) / clock_mhz;
    gemm.energy.leakage = 1e-6 * array.leakage_uw * microseconds;
    sum += gemm.energy;
  }
  return sum;
}

}  // namespace

EnergyParts& EnergyParts::operator+=(const EnergyParts& other) {
  mac += other.mac;
  registers += other.registers;
  scratchpads += other.scratchpads;
  dram += other.dram;
  leakage += other.leakage;
  return *this;
}

OperandRegisters operand_registers(const MacDesign& mac, const ArrayDesign& array) {
  OperandRegisters registers;
  const bool overlapped = array.policy == Policy::Overlapped;
  switch (array.dataflow) {
    case Dataflow::OutputStationary:
      registers.moving_a = mac.a.width;
      registers.moving_b = mac.b.width;
      // Finished sums leave while the next ones grow.
      if (overlapped) registers.resting = RtlDesign::of(mac, array).sum_format().width;
      break;
    case Dataflow::WeightStationary:
      registers.moving_a = mac.a.width;
      registers.resting = 2 * std::int64_t{mac.b.width};
      break;
    case Dataflow::InputStationary:
      registers.moving_b = mac.b.width;
      registers.resting = 2 * std::int64_t{mac.a.width};
      break;
  }
  return registers;
}

ArrayCost price_array(const MacDesign& mac, const ArrayDesign& array, const ArrayPrices& prices) {
  Hardware hardware;
  const OperandRegisters registers = operand_registers(mac, array);
  hardware.take(price_pe(mac, array, "", Pass::Forward, prices.mac), registers);
  ArrayCost cost = array_of(hardware, array, prices);
  cost.register_pj = register_energy(registers, prices.activity(mac, "", Pass::Forward), 1, 1,
                                     prices.register_bit);
  return cost;
}

TrainingPrice price_training(const RunConfig& config, const ArrayPrices& prices,
                             std::optional<double> clock_mhz) {
  const ImageFacts images = read_image_facts(config.data.kind, config.data.folder);
  const std::int64_t count = config.data.train_images > 0 ? config.data.train_images : images.count;
  const std::int64_t batch = std::min(config.training.batch, count);
  Hardware hardware;
  TrainingPrice price;
  price.has_memory = config.array.memory.has_value();
  const std::vector<PlannedGemm> gemms = plan_step(config, images.shape, images.classes, batch);
  price.gemms = price_gemms(config, gemms, prices, hardware);
  const StepCost own = price_step(config.training.macs, config.array, gemms, prices.mac);
  const StepCost wide = price_reference(config.training.macs, config.array, gemms, prices.mac);
  price.area_relative = own.mac_area_um2 / wide.mac_area_um2;
  price.energy_relative = own.energy_uj / wide.energy_uj;
  price.array = array_of(hardware, config.array, prices);
  price.clock_mhz = clock_mhz.value_or(1000 / price.array.delay_ns);
  price.step = with_leakage(price.gemms, price.array, price.clock_mhz);
  price.steps_per_epoch = (count + batch - 1) / batch;
  for (std::int64_t step = 0; step < count / batch; ++step) price.epoch += price.step;
  if (count % batch != 0) {
    std::vector<GemmPrice> rest = price_gemms(
        config, plan_step(config, images.shape, images.classes, count % batch), prices, hardware);
    price.epoch += with_leakage(rest, price.array, price.clock_mhz);
  }
  return price;
}

}  // namespace narrowmac
