// Dot units and exact sums for every vector target, and their dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_dot.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

DotKernel<float> SelectDot32(Alignment alignment) { return SelectDot<float>(alignment); }
DotKernel<double> SelectDot64(Alignment alignment) { return SelectDot<double>(alignment); }
SumKernel SelectSum() {
  return {&RunSums, kSumRows, kSumVectors * static_cast<int>(hn::Lanes(Wide()))};
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectDot32);
HWY_EXPORT(SelectDot64);
HWY_EXPORT(SelectSum);

template <>
DotKernel<float> select_dot_kernel<float>(Alignment alignment) {
  return HWY_DYNAMIC_DISPATCH(SelectDot32)(alignment);
}
template <>
DotKernel<double> select_dot_kernel<double>(Alignment alignment) {
  return HWY_DYNAMIC_DISPATCH(SelectDot64)(alignment);
}
SumKernel select_sum_kernel() { return HWY_DYNAMIC_DISPATCH(SelectSum)(); }

}  // namespace narrowmac
#endif
