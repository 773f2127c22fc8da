// The float64-lane kernels for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_float64.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_count-inl.h"
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

TileKernel<double> SelectFloat64(std::int64_t n, LaneRounding rounding) {
  return SelectTile<double>(n, rounding);
}
AddFunction<double> SelectAdd64() { return &AddSums<double>; }
CountingKernel<double> SelectCountingFloat64(LaneRounding rounding) {
  return SelectCountingTile<double>(rounding);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectFloat64);
HWY_EXPORT(SelectCountingFloat64);
HWY_EXPORT(SelectAdd64);

template <>
TileKernel<double> select_tile<double>(std::int64_t n, LaneRounding rounding) {
  return HWY_DYNAMIC_DISPATCH(SelectFloat64)(n, rounding);
}
template <>
AddFunction<double> select_add<double>() {
  return HWY_DYNAMIC_DISPATCH(SelectAdd64)();
}
template <>
CountingKernel<double> select_counting_tile<double>(LaneRounding rounding) {
  return HWY_DYNAMIC_DISPATCH(SelectCountingFloat64)(rounding);
}

}  // namespace narrowmac
#endif
