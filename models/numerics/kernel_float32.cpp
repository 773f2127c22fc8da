// The float32-lane kernels for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_float32.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_count-inl.h"
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

TileKernel<float> SelectFloat32(std::int64_t n, LaneRounding rounding) {
  return SelectTile<float>(n, rounding);
}
AddFunction<float> SelectAdd32() { return &AddSums<float>; }
CountingKernel<float> SelectCountingFloat32(LaneRounding rounding) {
  return SelectCountingTile<float>(rounding);
}

bool FusesMultiplyAdd() { return HWY_TARGET <= HWY_AVX2; }
const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectFloat32);
HWY_EXPORT(SelectCountingFloat32);
HWY_EXPORT(SelectAdd32);

template <>
TileKernel<float> select_tile<float>(std::int64_t n, LaneRounding rounding) {
  return HWY_DYNAMIC_DISPATCH(SelectFloat32)(n, rounding);
}
template <>
AddFunction<float> select_add<float>() {
  return HWY_DYNAMIC_DISPATCH(SelectAdd32)();
}
template <>
CountingKernel<float> select_counting_tile<float>(LaneRounding rounding) {
  return HWY_DYNAMIC_DISPATCH(SelectCountingFloat32)(rounding);
}

HWY_EXPORT(FusesMultiplyAdd);
HWY_EXPORT(TargetName);

bool lanes_fuse_multiply_add() { return HWY_DYNAMIC_DISPATCH(FusesMultiplyAdd)(); }
const char* lane_target_name() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace narrowmac
#endif
