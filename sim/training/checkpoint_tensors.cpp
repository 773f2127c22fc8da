#include "sim/training/checkpoint_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string>

namespace narrowmac {
namespace {

/// A tensor in its place: `parameter` is null if it is stored as it is known.
struct Slot {
  std::string name;
  std::vector<std::int64_t> shape;
  AlignedBuffer* buffer = nullptr;
  const Parameter* parameter = nullptr;

  [[nodiscard]] std::int64_t stored(std::int64_t index) const {
    return parameter == nullptr ? index : parameter->stored_index(index);
  }
};

std::vector<Slot> slots_of(const std::vector<std::unique_ptr<Layer>>& layers) {
  std::vector<Slot> slots, momenta;
  for (const auto& layer : layers) {
    for (Parameter* parameter : layer->parameters()) {
      slots.push_back(Slot{parameter->name, parameter->shape, &parameter->value, parameter});
      momenta.push_back(
          Slot{parameter->name + ".momentum", parameter->shape, &parameter->momentum, parameter});
      if (parameter->residual.size() == 0) continue;
      momenta.push_back(
          Slot{parameter->name + ".residual", parameter->shape, &parameter->residual, parameter});
    }
    for (Statistic* statistic : layer->statistics()) {
      slots.push_back(Slot{statistic->name, {statistic->value.size()}, &statistic->value, nullptr});
    }
  }
  slots.insert(slots.end(), momenta.begin(), momenta.end());
  return slots;
}

}  // namespace

std::vector<NamedTensor> export_tensors(const std::vector<std::unique_ptr<Layer>>& layers) {
  std::vector<NamedTensor> tensors;
  for (const Slot& slot : slots_of(layers)) {
    NamedTensor tensor;
    tensor.name = slot.name;
    tensor.shape = slot.shape;
    for (std::int64_t i = 0; i < slot.buffer->size(); ++i) {
      tensor.values.push_back((*slot.buffer)[slot.stored(i)]);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void import_tensors(const std::vector<NamedTensor>& tensors,
                    const std::vector<std::unique_ptr<Layer>>& layers) {
  std::map<std::string, const NamedTensor*> given;
  for (const NamedTensor& tensor : tensors) {
    if (!given.emplace(tensor.name, &tensor).second) {
      throw Error(fmt::format("tensor \"{}\" is given twice", tensor.name));
    }
  }
  const std::vector<Slot> slots = slots_of(layers);
  for (const Slot& slot : slots) {
    const auto found = given.find(slot.name);
    if (found == given.end()) throw Error(fmt::format("tensor \"{}\" is missing", slot.name));
    const NamedTensor& tensor = *found->second;
    if (tensor.shape != slot.shape ||
        static_cast<std::int64_t>(tensor.values.size()) != slot.buffer->size()) {
      throw Error(fmt::format("tensor \"{}\": found shape {} with {} values, the network has {}",
                              slot.name, fmt::join(tensor.shape, " x "), tensor.values.size(),
                              fmt::join(slot.shape, " x ")));
    }
  }
  if (given.size() != slots.size()) {
    std::map<std::string, bool> known;
    for (const Slot& slot : slots) known[slot.name] = true;
    for (const NamedTensor& tensor : tensors) {
      if (known.count(tensor.name) == 0) {
        throw Error(fmt::format("tensor \"{}\" is unknown to the network", tensor.name));
      }
    }
  }
  for (const Slot& slot : slots) {
    const std::vector<float>& values = given.at(slot.name)->values;
    for (std::int64_t i = 0; i < slot.buffer->size(); ++i) {
      (*slot.buffer)[slot.stored(i)] = values[static_cast<std::size_t>(i)];
    }
  }
}

}  // namespace narrowmac
