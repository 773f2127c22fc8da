#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/accelerator.h"

namespace narrowmac {

/// Every GEMM by plain loops in double, rounded once to float32: what the training tests run on, so
/// that they test the host and not the kernels. Records what it was asked.
class PlainAccelerator : public Accelerator {
 public:
  struct Call {
    std::string layer;
    Pass pass = Pass::Forward;
    GemmShape shape;
    std::uint64_t gemm_number = 0;
    bool on_array = false;
    bool observed = false;
  };

  GemmResult execute(const GemmRequest& request) override {
    const std::int64_t m = request.a.rows(), n = request.b.columns(), k = request.a.columns();
    if (record) {
      calls.push_back({request.layer,
                       request.pass,
                       {m, n, k},
                       request.gemm_number,
                       request.mac != nullptr,
                       request.observe.has_value()});
    }
    if (inspect) inspect(request);
    std::vector<double> b(static_cast<std::size_t>(k * n));
    for (std::int64_t l = 0; l < k; ++l) {
      for (std::int64_t j = 0; j < n; ++j)
        b[static_cast<std::size_t>(l * n + j)] = request.b.at(l, j);
    }
    std::vector<double> row(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      for (std::int64_t l = 0; l < k; ++l) {
        const double a = request.a.at(i, l);
        if (a == 0) continue;
        const double* b_row = b.data() + l * n;
        for (std::size_t j = 0; j < row.size(); ++j) row[j] += a * b_row[j];
      }
      for (std::int64_t j = 0; j < n; ++j) {
        request.out.store(i, j, row[static_cast<std::size_t>(j)]);
      }
    }
    GemmResult result;
    if (request.mac != nullptr) result.cycles.compute = m * n * k;
    if (request.observe) {
      GemmStatistics statistics;
      statistics.products = m * n * k;
      result.statistics = statistics;
    }
    return result;
  }

  bool record = false;
  std::vector<Call> calls;
  std::function<void(const GemmRequest&)> inspect;  ///< sees every request before it is computed
};

}  // namespace narrowmac
