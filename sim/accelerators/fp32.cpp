#include "sim/accelerators/fp32.h"

#include <cblas.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "sim/accelerators/patch_panel.h"

namespace narrowmac {
namespace {

using Index = std::int64_t;

constexpr Index kPanelElements = Index{64} * 1024;  // 256 KiB: a packed panel stays in the L2 cache
constexpr Index kSumLength = 4096;                  // length of the partial sums of a cut K
constexpr Index kLongSum = 8192;                    // dense K from here on is cut if M is small
constexpr Index kFewRows = 128;

/// A matrix as sgemm reads it.
struct BlasMatrix {
  const float* data = nullptr;
  Index leading = 1;
  bool transposed = false;
  [[nodiscard]] const float* at(Index row, Index column) const {
    return data + (transposed ? column * leading + row : row * leading + column);
  }
};

std::optional<BlasMatrix> as_blas(const OperandView& view) {
  if (view.is_patches() || view.is_double()) return std::nullopt;
  if (view.column_stride() == 1 && view.row_stride() >= std::max<Index>(1, view.columns())) {
    return BlasMatrix{view.float_data(), view.row_stride(), false};
  }
  if (view.row_stride() == 1 && view.column_stride() >= std::max<Index>(1, view.rows())) {
    return BlasMatrix{view.float_data(), view.column_stride(), true};
  }
  return std::nullopt;
}

/// A dense row-major copy of what sgemm cannot read in place.
BlasMatrix copy_dense(const OperandView& view, std::vector<float>& storage) {
  storage.resize(static_cast<std::size_t>(view.rows() * view.columns()));
  if (view.is_patches() && !view.is_transposed_patches()) {
    pack_patch_rows(view.float_data(), view.convolution(), 0, view.rows(), storage.data());
  } else {
    float* to = storage.data();
    for (Index row = 0; row < view.rows(); ++row) {
      for (Index column = 0; column < view.columns(); ++column) {
        *to++ = static_cast<float>(view.at(row, column));
      }
    }
  }
  return {storage.data(), std::max<Index>(1, view.columns()), false};
}

/// C[m x n] = A B + beta C.
void sgemm(const GemmShape& shape, const BlasMatrix& a, const BlasMatrix& b, float beta, float* c,
           Index leading_c) {
  cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
              b.transposed ? CblasTrans : CblasNoTrans, static_cast<blasint>(shape.m),
              static_cast<blasint>(shape.n), static_cast<blasint>(shape.k), 1.0F, a.data,
              static_cast<blasint>(a.leading), b.data, static_cast<blasint>(b.leading), beta, c,
              static_cast<blasint>(leading_c));
}

Index multiple_of_16(Index value) { return (value + 15) / 16 * 16; }

/// Rows of a packed patch panel.
Index panel_rows(Index columns) {
  return std::clamp<Index>(kPanelElements / std::max<Index>(1, columns) / 16 * 16, 64, kSumLength);
}

template <typename Body>
void for_blocks(Index total, Index block, const Body& body) {
  tbb::parallel_for(
      Index{0}, (total + block - 1) / block,
      [&](Index index) { body(index * block, std::min(block, total - index * block)); },
      tbb::simple_partitioner());
}

}  // namespace

class Fp32Accelerator::Scratch {
 public:
  /// This thread's panel, at least `count` elements.
  float* panel(Index count) {
    std::vector<float>& local = panels_.local();
    if (local.size() < static_cast<std::size_t>(count))
      local.resize(static_cast<std::size_t>(count));
    return local.data();
  }

  void multiply(const OperandView& a, const OperandView& b, float* c, Index leading_c) {
    const GemmShape shape{a.rows(), b.columns(), a.columns()};
    const std::optional<BlasMatrix> b_in_place = as_blas(b);
    const BlasMatrix dense_b = b_in_place ? *b_in_place : copy_dense(b, b_copy_);
    if (a.is_patches()) {
      if (a.is_transposed_patches()) {
        long_sums(shape, &a, {}, dense_b, c, leading_c);
      } else {
        patch_rows(shape, a, dense_b, c, leading_c);
      }
      return;
    }
    const std::optional<BlasMatrix> a_in_place = as_blas(a);
    const BlasMatrix dense_a = a_in_place ? *a_in_place : copy_dense(a, a_copy_);
    if (shape.m < kFewRows && shape.k >= kLongSum) {
      long_sums(shape, nullptr, dense_a, dense_b, c, leading_c);
    } else {
      dense_rows(shape, dense_a, dense_b, c, leading_c);
    }
  }

  std::vector<float> result;  ///< where sums go whose output is float64

 private:
  void dense_rows(const GemmShape& shape, const BlasMatrix& a, const BlasMatrix& b, float* c,
                  Index leading_c) {
    const Index block = std::clamp<Index>(multiple_of_16(shape.m / 8), 64, 512);
    for_blocks(shape.m, block, [&](Index first, Index count) {
      sgemm({count, shape.n, shape.k}, {a.at(first, 0), a.leading, a.transposed}, b, 0.0F,
            c + first * leading_c, leading_c);
    });
  }

  void patch_rows(const GemmShape& shape, const OperandView& a, const BlasMatrix& b, float* c,
                  Index leading_c) {
    for_blocks(shape.m, panel_rows(shape.k), [&](Index first, Index count) {
      float* rows = panel(count * shape.k);
      pack_patch_rows(a.float_data(), a.convolution(), first, count, rows);
      sgemm({count, shape.n, shape.k}, {rows, shape.k, false}, b, 0.0F, c + first * leading_c,
            leading_c);
    });
  }

  /// K is cut into pieces of kSumLength, whose sums are added in order. `patches`: transposed; else
  /// `a`.
  void long_sums(const GemmShape& shape, const OperandView* patches, const BlasMatrix& a,
                 const BlasMatrix& b, float* c, Index leading_c) {
    const Index size = shape.m * shape.n;
    const Index pieces = (shape.k + kSumLength - 1) / kSumLength;
    partial_sums_.resize(static_cast<std::size_t>(size * pieces));
    for_blocks(shape.k, kSumLength, [&](Index first, Index count) {
      float* sums = partial_sums_.data() + first / kSumLength * size;
      if (patches != nullptr) {
        patch_sums(shape, *patches, b, first, count, sums);
      } else {
        sgemm({shape.m, shape.n, count}, {a.at(0, first), a.leading, a.transposed},
              {b.at(first, 0), b.leading, b.transposed}, 0.0F, sums, shape.n);
      }
    });
    for (Index row = 0; row < shape.m; ++row) {
      float* to = c + row * leading_c;
      const float* from = partial_sums_.data() + row * shape.n;
      std::copy(from, from + shape.n, to);
      for (Index piece = 1; piece < pieces; ++piece) {
        for (Index column = 0; column < shape.n; ++column)
          to[column] += from[piece * size + column];
      }
    }
  }

  void patch_sums(const GemmShape& shape, const OperandView& patches, const BlasMatrix& b,
                  Index first, Index count, float* sums) {
    const Index block = panel_rows(shape.m);
    for (Index done = 0; done < count; done += block) {
      const Index rows = std::min(block, count - done);
      float* packed = panel(block * shape.m);
      pack_patch_rows(patches.float_data(), patches.convolution(), first + done, rows, packed);
      sgemm({shape.m, shape.n, rows}, {packed, shape.m, true},
            {b.at(first + done, 0), b.leading, b.transposed}, done == 0 ? 0.0F : 1.0F, sums,
            shape.n);
    }
  }

  tbb::enumerable_thread_specific<std::vector<float>> panels_;
  std::vector<float> a_copy_, b_copy_, partial_sums_;
};

Fp32Accelerator::Fp32Accelerator() : scratch_(std::make_unique<Scratch>()) {
  openblas_set_num_threads(1);
}

Fp32Accelerator::~Fp32Accelerator() = default;

GemmResult Fp32Accelerator::execute(const GemmRequest& request) {
  const Index rows = request.a.rows();
  const Index columns = request.b.columns();
  if (request.a.columns() != request.b.rows()) {
    throw Error("layer " + request.layer + ": A has " + std::to_string(request.a.columns()) +
                " columns but B has " + std::to_string(request.b.rows()) + " rows");
  }
  if (rows == 0 || columns == 0) return {};
  const OutputView& out = request.out;
  const bool direct = out.f32 != nullptr && request.a.columns() > 0;
  if (direct) {
    scratch_->multiply(request.a, request.b, out.f32, out.row_stride);
    return {};
  }
  std::vector<float>& result = scratch_->result;
  result.assign(static_cast<std::size_t>(rows * columns), 0.0F);
  if (request.a.columns() > 0) scratch_->multiply(request.a, request.b, result.data(), columns);
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      out.store(row, column,
                static_cast<double>(result[static_cast<std::size_t>(row * columns + column)]));
    }
  }
  return {};
}

}  // namespace narrowmac
