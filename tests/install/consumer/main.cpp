#include <iostream>
#include <vector>

#include "models/design/config.h"
#include "models/numerics/gemm.h"

int main() {
  using namespace narrowmac;
  const MacDesign mac = read_mac_file("mac.toml").mac;
  const std::vector<float> ones(64, 1.0F);
  float sum = 0;
  gemm({mac, accumulation_order(mac), OperandView::dense(ones.data(), 1, 64, 64),
        OperandView::dense(ones.data(), 64, 1, 1)},
       OutputView::of(&sum, 1));
  std::cout << describe(mac) << ": 64 ones add up to " << sum << '\n';
}
