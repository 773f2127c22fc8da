// Directed and stochastic rounding in float32 lanes for every vector target, and their dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_directed32.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_stochastic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

TileKernel<float> SelectDirected32(std::int64_t n, LaneIncrement increment, int random_bits) {
  return SelectDirected<float>(n, increment, random_bits);
}
AddFunction<float> SelectDirectedAdd32() { return &AddDirectedSums<float>; }

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectDirected32);
HWY_EXPORT(SelectDirectedAdd32);

template <>
TileKernel<float> select_directed_tile<float>(std::int64_t n, LaneIncrement increment,
                                              int random_bits) {
  return HWY_DYNAMIC_DISPATCH(SelectDirected32)(n, increment, random_bits);
}
template <>
AddFunction<float> select_directed_add<float>() {
  return HWY_DYNAMIC_DISPATCH(SelectDirectedAdd32)();
}

}  // namespace narrowmac
#endif
