#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "models/numerics/kernel_observe.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/observe.h"
#include "models/numerics/patch_row.h"

namespace narrowmac {
namespace {

/// Products of a block: a panel of vectors of so many stays in a 512 KB cache.
constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kRowGroups = 16;
constexpr std::int64_t kElementsPerTask = std::int64_t{16} * 1024;

/// Element (k, i) of a block is data[k * k_stride + i * stride].
template <typename T>
struct LoadedBlock {
  const T* data = nullptr;
  std::int64_t k_stride = 0, stride = 1;
};

template <typename T>
void load_rows(const OperandView& view, std::int64_t first, std::int64_t count, T* out) {
  const std::int64_t width = view.columns();
  if (view.is_patches() && !view.is_transposed_patches()) {
    if constexpr (std::is_same_v<T, float>) {
      copy_patch_rows(view.convolution(), view.float_data(), first, count, out);
    } else {
      std::vector<float> patches(static_cast<std::size_t>(count * width));
      copy_patch_rows(view.convolution(), view.float_data(), first, count, patches.data());
      std::copy(patches.begin(), patches.end(), out);
    }
    return;
  }
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t i = 0; i < width; ++i) {
      out[row * width + i] = static_cast<T>(view.at(first + row, i));
    }
  }
}

/// Rows first .. first + count - 1 of a matrix, times a power of two: in place where that changes
/// nothing, else in `storage`.
template <typename T>
LoadedBlock<T> load_block(const OperandView& view, std::int64_t first, std::int64_t count, T scale,
                          T* storage) {
  const T* in_place = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    in_place = view.float_data();
  } else {
    in_place = view.double_data();
  }
  if (in_place != nullptr && !view.is_patches() && scale == 1) {
    return {in_place + first * view.row_stride(), view.row_stride(), view.column_stride()};
  }
  const std::int64_t width = view.columns();
  const auto grain = static_cast<std::size_t>(
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, width)));
  tbb::parallel_for(
      tbb::blocked_range<std::int64_t>(0, count, grain),
      [&](const tbb::blocked_range<std::int64_t>& range) {
        T* out = storage + range.begin() * width;
        const std::int64_t rows = range.end() - range.begin();
        load_rows(view, first + range.begin(), rows, out);
        if (scale == 1) return;
        for (std::int64_t i = 0; i < rows * width; ++i) out[i] *= scale;
      },
      tbb::simple_partitioner());
  return {storage, width, 1};
}

/// Which operand gives the factors that are listed; the other one gives the vectors. Both as K x
/// width.
struct Sides {
  OperandView factors, vectors;
  bool swapped = false;  ///< the factors are B's: outputs are computed transposed
};

/// The cheaper choice: vectors of non-zero products, and the packing of the vectors.
template <typename T>
Sides choose_sides(const GemmProblem& problem, const GemmPlan& plan, const LaneStep<T>& step,
                   int bits, int addend_bits) {
  const GemmShape shape = problem.shape();
  const auto cost = [&](double zeros, std::int64_t factors, std::int64_t vectors) {
    const std::int64_t columns =
        select_observing_kernel<T>(step, bits, addend_bits, vectors).columns;
    const std::int64_t panels = (vectors + columns - 1) / std::max<std::int64_t>(1, columns);
    const auto padded = static_cast<double>(panels * columns);
    return padded * (static_cast<double>(factors) * (1 - zeros) + 16) +
           8 * static_cast<double>(factors);
  };
  Sides sides{problem.a.transposed(), problem.b, false};
  if (cost(plan.b.zero_share(), shape.n, shape.m) < cost(plan.a.zero_share(), shape.m, shape.n)) {
    std::swap(sides.factors, sides.vectors);
    sides.swapped = true;
  }
  return sides;
}

/// An observed GEMM, block by block of k.
template <typename T>
class SparseCounting {
 public:
  SparseCounting(const GemmProblem& problem, const GemmPlan& plan);
  std::optional<GemmStatistics> run();

 private:
  void pack_vectors(std::int64_t first, std::int64_t count);
  void pack_factors(std::int64_t first, std::int64_t count);
  void list_factors(const LoadedBlock<T>& block, std::int64_t factor, std::int64_t first,
                    std::int64_t count);
  void count_block();
  std::optional<GemmStatistics> collect() const;

  GemmShape shape_;
  std::int64_t chunk_length_ = 0;
  LaneStep<T> first_, second_;
  CountingLimits<T> second_limits_;
  double unscale_;
  T scale_;
  Sides sides_;
  ObservingKernel<T> kernel_;
  std::int64_t factors_ = 0, vectors_ = 0, panels_ = 0, width_ = 0, runs_ = 0;
  LaneBuffer<T> block_, packed_;
  LaneBuffer<double> wide_;
  std::vector<std::int32_t> nonzeros_;
  std::vector<ObservedFactor<T>> listed_;
  std::vector<ObservedRun> run_storage_;
  std::vector<T> sums_, totals_;
  std::vector<double> exact_;
  std::vector<LaneCounts> counts_;
};

template <typename T>
SparseCounting<T>::SparseCounting(const GemmProblem& problem, const GemmPlan& plan)
    : shape_(problem.shape()),
      first_(lane_step<T>(problem.mac.accumulator, plan.first, plan.scale_exponent)),
      unscale_(std::ldexp(1.0, -plan.scale_exponent)),
      scale_(std::ldexp(T{1}, plan.scale_exponent)) {
  const int bits = problem.mac.accumulator.format.precision();
  const int addend_bits = problem.mac.a.precision() + problem.mac.b.precision();
  if (problem.order.chunk) {
    chunk_length_ = problem.order.chunk->length;
    const Conversion& to = problem.order.chunk->accumulator;
    second_ = lane_step<T>(to, plan.second, plan.scale_exponent);
    second_limits_ = counting_limits<T>(to, plan.scale_exponent);
  }
  if (select_observing_kernel<T>(first_, bits, addend_bits, 1).run == nullptr) return;
  sides_ = choose_sides<T>(problem, plan, first_, bits, addend_bits);
  factors_ = sides_.factors.columns();
  vectors_ = sides_.vectors.columns();
  kernel_ = select_observing_kernel<T>(first_, bits, addend_bits, vectors_);
  panels_ = (vectors_ + kernel_.columns - 1) / kernel_.columns;
  width_ = panels_ * kernel_.columns;
}

template <typename T>
std::optional<GemmStatistics> SparseCounting<T>::run() {
  if (kernel_.run == nullptr) return std::nullopt;
  const auto size = [](std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows * columns);
  };
  block_ = LaneBuffer<T>(kBlock * std::max(factors_, vectors_));
  packed_ = LaneBuffer<T>(kBlock * width_);
  wide_ = LaneBuffer<double>(kBlock * width_);
  nonzeros_.resize(size(panels_, kBlock));
  listed_.resize(size(factors_, kBlock));
  run_storage_.resize(size(factors_, kBlock + 1));
  sums_.resize(size(factors_, width_));
  totals_.resize(chunk_length_ > 0 ? size(factors_, width_) : 0);
  exact_.resize(size(factors_, width_));
  counts_.resize(size(panels_, kRowGroups));
  for (std::int64_t k = 0; k < shape_.k; k += kBlock) {
    const std::int64_t count = std::min(kBlock, shape_.k - k);
    pack_vectors(k, count);
    pack_factors(k, count);
    count_block();
  }
  return collect();
}

template <typename T>
void SparseCounting<T>::pack_vectors(std::int64_t first, std::int64_t count) {
  const LoadedBlock<T> block =
      load_block<T>(sides_.vectors, first, count, sides_.swapped ? T{1} : scale_, block_.data());
  const std::int64_t columns = kernel_.columns;
  tbb::parallel_for(std::int64_t{0}, panels_, [&](std::int64_t panel) {
    const std::int64_t valid = std::min(columns, vectors_ - panel * columns);
    std::vector<T> line(static_cast<std::size_t>(columns));
    for (std::int64_t k = 0; k < count; ++k) {
      const T* from = block.data + k * block.k_stride + panel * columns * block.stride;
      if (block.stride != 1) {
        for (std::int64_t c = 0; c < valid; ++c) {
          line[static_cast<std::size_t>(c)] = from[c * block.stride];
        }
        from = line.data();
      }
      const std::int64_t packed = panel * kBlock + k;
      nonzeros_[static_cast<std::size_t>(packed)] = kernel_.pack(
          from, valid, columns, packed_.data() + packed * columns, wide_.data() + packed * columns);
    }
  });
}

template <typename T>
void SparseCounting<T>::pack_factors(std::int64_t first, std::int64_t count) {
  const LoadedBlock<T> block =
      load_block<T>(sides_.factors, first, count, sides_.swapped ? scale_ : T{1}, block_.data());
  runs_ = 0;
  if (chunk_length_ > 0) {
    runs_ = (first + count) / chunk_length_ - first / chunk_length_;
    const bool ends_in_chunk = (first + count) % chunk_length_ != 0;
    runs_ += ends_in_chunk ? 1 : 0;
  } else {
    runs_ = 1;
  }
  const auto grain = static_cast<std::size_t>(kElementsPerTask / kBlock);
  tbb::parallel_for(
      tbb::blocked_range<std::int64_t>(0, factors_, grain),
      [&](const tbb::blocked_range<std::int64_t>& range) {
        for (std::int64_t factor = range.begin(); factor < range.end(); ++factor) {
          list_factors(block, factor, first, count);
        }
      },
      tbb::simple_partitioner());
}

template <typename T>
void SparseCounting<T>::list_factors(const LoadedBlock<T>& block, std::int64_t factor,
                                     std::int64_t first, std::int64_t count) {
  ObservedFactor<T>* list = listed_.data() + factor * kBlock;
  ObservedRun* run = run_storage_.data() + factor * (kBlock + 1);
  const T* values = block.data + factor * block.stride;
  std::int32_t n = 0;
  for (std::int64_t k = 0; k < count; ++run) {
    const std::int64_t to_end =
        chunk_length_ > 0 ? chunk_length_ - (first + k) % chunk_length_ : count;
    const std::int64_t end = std::min(count, k + to_end);
    run->begin = n;
    for (; k < end; ++k) {
      const T value = values[k * block.k_stride];
      list[n] = {value, static_cast<std::int32_t>(k)};
      n += static_cast<std::int32_t>(value != 0);
    }
    run->end = n;
    run->ends_chunk =
        chunk_length_ > 0 && ((first + k) % chunk_length_ == 0 || first + k == shape_.k);
  }
}

template <typename T>
void SparseCounting<T>::count_block() {
  tbb::parallel_for(std::int64_t{0}, panels_ * kRowGroups, [&](std::int64_t task) {
    const std::int64_t panel = task / kRowGroups;
    const std::int64_t group = task % kRowGroups;
    const std::int64_t begin = factors_ * group / kRowGroups;
    const std::int64_t end = factors_ * (group + 1) / kRowGroups;
    const std::int64_t first = panel * kBlock * kernel_.columns;
    ObservedWork<T> work;
    work.run_count = runs_;
    work.vectors = packed_.data() + first;
    work.wide_vectors = wide_.data() + first;
    work.nonzeros = nonzeros_.data() + panel * kBlock;
    for (std::int64_t factor = begin; factor < end; ++factor) {
      const std::int64_t output = factor * width_ + panel * kernel_.columns;
      work.factors = listed_.data() + factor * kBlock;
      work.runs = run_storage_.data() + factor * (kBlock + 1);
      work.sums = sums_.data() + output;
      work.totals = chunk_length_ > 0 ? totals_.data() + output : nullptr;
      work.exact = exact_.data() + output;
      kernel_.run(first_, second_, second_limits_, work, counts_[static_cast<std::size_t>(task)]);
    }
  });
}

/// The moments of all outputs, row by row; empty if a lane left the finite numbers.
template <typename T>
std::optional<GemmStatistics> SparseCounting<T>::collect() const {
  const std::vector<T>& values = chunk_length_ > 0 ? totals_ : sums_;
  std::vector<GemmStatistics> rows(static_cast<std::size_t>(shape_.m));
  std::vector<char> finite(rows.size(), 1);
  tbb::parallel_for(std::int64_t{0}, shape_.m, [&](std::int64_t m) {
    std::vector<double> narrow(static_cast<std::size_t>(shape_.n));
    std::vector<double> exact(narrow.size());
    const std::int64_t start = sides_.swapped ? m : m * width_;
    const std::int64_t stride = sides_.swapped ? width_ : 1;
    bool all_finite = true;
    for (std::size_t n = 0; n < narrow.size(); ++n) {
      const auto index = static_cast<std::size_t>(start + static_cast<std::int64_t>(n) * stride);
      narrow[n] = static_cast<double>(values[index]) * unscale_;
      exact[n] = exact_[index] * unscale_;
      all_finite = all_finite && std::isfinite(values[index]) && std::isfinite(exact_[index]);
    }
    finite[static_cast<std::size_t>(m)] = all_finite ? 1 : 0;
    rows[static_cast<std::size_t>(m)].add_outputs(narrow, exact);
  });
  if (std::find(finite.begin(), finite.end(), 0) != finite.end()) return std::nullopt;
  GemmStatistics total;
  for (const GemmStatistics& row : rows) total += row;
  for (const LaneCounts& counts : counts_) {
    total.steps += counts.steps;
    total.full_swamped += counts.full_swamped;
    total.partial_swamped += counts.partial_swamped;
    total.overflowed += counts.overflowed;
    total.underflowed += counts.underflowed;
    total.nonzero_products += counts.nonzero_products;
  }
  total.products = shape_.macs();
  return total;
}

}  // namespace

template <typename T>
std::optional<GemmStatistics> sparse_statistics(const GemmProblem& problem, const GemmPlan& plan) {
  const GemmShape shape = problem.shape();
  if (shape.m == 0 || shape.n == 0) return GemmStatistics{};
  return SparseCounting<T>(problem, plan).run();
}

template std::optional<GemmStatistics> sparse_statistics<float>(const GemmProblem&,
                                                                const GemmPlan&);
template std::optional<GemmStatistics> sparse_statistics<double>(const GemmProblem&,
                                                                 const GemmPlan&);

}  // namespace narrowmac
