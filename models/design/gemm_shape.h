#pragma once

#include <cstdint>
#include <string_view>

namespace narrowmac {

/// C[m x n] = A[m x k] B[k x n].
struct GemmShape {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  [[nodiscard]] std::int64_t macs() const { return m * n * k; }
  friend bool operator==(const GemmShape&, const GemmShape&) = default;
};

/// The three GEMMs of a layer's training step.
enum class Pass : std::uint8_t {
  Forward,   ///< FWD:  Y = X W
  Backward,  ///< BWD:  dX = dY W^T
  Gradient,  ///< GRAD: dW = X^T dY
};
inline constexpr Pass kPasses[] = {Pass::Forward, Pass::Backward, Pass::Gradient};
std::string_view to_string(Pass pass);  ///< FWD, BWD, GRAD

/// Bytes moved while a GEMM runs.
struct Traffic {
  std::int64_t a_reads = 0;      ///< bytes of A read from the scratchpad
  std::int64_t b_reads = 0;      ///< bytes of B read from the scratchpad
  std::int64_t psum_reads = 0;   ///< bytes of partial sums read back
  std::int64_t psum_writes = 0;  ///< bytes of partial sums and outputs written
  std::int64_t dram_reads = 0;   ///< bytes from DRAM
  std::int64_t dram_writes = 0;  ///< bytes to DRAM
  Traffic& operator+=(const Traffic& other);
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

}  // namespace narrowmac
