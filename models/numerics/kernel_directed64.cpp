// Directed and stochastic rounding in float64 lanes for every vector target, and their dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_directed64.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_stochastic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

TileKernel<double> SelectDirected64(std::int64_t n, LaneIncrement increment, int random_bits) {
  return SelectDirected<double>(n, increment, random_bits);
}
AddFunction<double> SelectDirectedAdd64() { return &AddDirectedSums<double>; }

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectDirected64);
HWY_EXPORT(SelectDirectedAdd64);

template <>
TileKernel<double> select_directed_tile<double>(std::int64_t n, LaneIncrement increment,
                                                int random_bits) {
  return HWY_DYNAMIC_DISPATCH(SelectDirected64)(n, increment, random_bits);
}
template <>
AddFunction<double> select_directed_add<double>() {
  return HWY_DYNAMIC_DISPATCH(SelectDirectedAdd64)();
}

}  // namespace narrowmac
#endif
