// Dense matrices with zeros: the products are cut into pieces; in each piece every row of A is a
// list of its non-zero elements, built once and used for all columns of B.
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "models/numerics/lane_gemm.h"
#include "models/numerics/sparse_gemm.h"
#include "models/numerics/sparse_operands.h"

namespace narrowmac {
namespace {

/// Products of a piece: so many rows of a panel of B stay in the L1 cache.
constexpr std::int64_t kPieceLength = 128;
/// Outputs of a task: their sums stay in the L2 cache.
constexpr std::int64_t kMaxBlockRows = 128;
constexpr std::int64_t kMaxBlockColumns = 512;

/// Rows [row, row + rows) and panels [panel, panel_end) of the outputs.
struct Block {
  std::int64_t row, rows, panel, panel_end;
};

struct Piece {
  std::int64_t k, length;
  bool ends_chunk;
};

/// Pieces never cross the end of a chunk.
std::vector<Piece> pieces_of(std::int64_t k, std::int64_t chunk) {
  std::vector<Piece> pieces;
  const std::int64_t limit = chunk > 0 ? chunk : k;
  for (std::int64_t begin = 0; begin < k; begin += limit) {
    const std::int64_t end = std::min(k, begin + limit);
    for (std::int64_t at = begin; at < end; at += kPieceLength) {
      const std::int64_t length = std::min(kPieceLength, end - at);
      pieces.push_back({at, length, chunk > 0 && at + length == end});
    }
  }
  return pieces;
}

/// Rows of a piece of A with elements side by side: A itself, or a copy in another type or order.
template <typename T>
class PieceRows {
 public:
  PieceRows(const OperandView& view, std::int64_t block_rows) : view_(view) {
    if constexpr (std::is_same_v<T, float>) source_ = view.float_data();
    if constexpr (std::is_same_v<T, double>) source_ = view.double_data();
    if (view.column_stride() != 1) source_ = nullptr;
    if (source_ == nullptr) copy_ = LaneBuffer<T>(block_rows * kPieceLength);
  }
  /// Elements [k, k + length) of rows [first, first + count), row i at the result + i * stride().
  const T* load(std::int64_t first, std::int64_t count, const Piece& piece) {
    if (source_ != nullptr) return source_ + first * view_.row_stride() + piece.k;
    // Strided rows lie side by side in memory: go along them.
    for (std::int64_t j = 0; j < piece.length; ++j) {
      for (std::int64_t i = 0; i < count; ++i) {
        copy_.data()[i * kPieceLength + j] = element(first + i, piece.k + j);
      }
    }
    return copy_.data();
  }
  [[nodiscard]] std::int64_t stride() const {
    return source_ != nullptr ? view_.row_stride() : kPieceLength;
  }

 private:
  [[nodiscard]] T element(std::int64_t row, std::int64_t column) const {
    const std::int64_t index = row * view_.row_stride() + column * view_.column_stride();
    return view_.is_double() ? static_cast<T>(view_.double_data()[index])
                             : static_cast<T>(view_.float_data()[index]);
  }

  const OperandView& view_;
  const T* source_ = nullptr;
  LaneBuffer<T> copy_;
};

/// One block over all pieces.
template <typename T>
void run_block(SparseContext<T>& context, const std::vector<Piece>& pieces, const Block& block) {
  const auto columns = static_cast<std::int32_t>(context.kernel.columns);
  const std::int64_t panels = block.panel_end - block.panel;
  // One row more for what is added to no output.
  const std::int64_t panel_size = (block.rows + 1) * columns;
  LaneBuffer<T> storage(2 * panels * panel_size);
  T* sums = storage.data();
  T* totals = sums + panels * panel_size;
  std::fill_n(sums, 2 * panels * panel_size, T{0});
  PieceRows<T> piece_rows(context.problem.a, block.rows);
  RowSet set;
  for (std::int64_t i = 0; i < block.rows; ++i) set.add(i * piece_rows.stride(), i * columns);
  RowLists<T> lists;
  for (const Piece& piece : pieces) {
    lists.build(context.kernel, piece_rows.load(block.row, block.rows, piece), set, block.rows,
                context.lists(piece.length, context.shape.k - piece.k,
                              static_cast<std::int32_t>(block.rows) * columns));
    GroupWork<T> work;
    work.groups = lists.groups().data();
    work.group_count = static_cast<std::int64_t>(lists.groups().size());
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      work.b = context.b_row(block.panel + panel, piece.k);
      work.sums = sums + panel * panel_size;
      context.kernel.run(context.first, work);
    }
    if (piece.ends_chunk) context.kernel.flush(context.second, sums, totals, panels * panel_size);
  }
  const T* results = context.chunked() ? totals : sums;
  for (std::int64_t row = 0; row < block.rows; ++row) {
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      const std::int64_t column = (block.panel + panel) * columns;
      context.store(block.row + row, column,
                    std::min<std::int64_t>(columns, context.shape.n - column),
                    results + panel * panel_size + row * columns);
    }
  }
}

/// Blocks of about the same size, at least as many as threads where there are rows enough.
std::vector<Block> blocks_of(std::int64_t rows, std::int64_t panels, std::int64_t columns) {
  const std::int64_t threads = std::max<std::int64_t>(tbb::this_task_arena::max_concurrency(), 1);
  const std::int64_t height =
      std::clamp<std::int64_t>((rows + threads - 1) / threads, 1, kMaxBlockRows);
  const std::int64_t width = std::max<std::int64_t>(kMaxBlockColumns / columns, 1);
  std::vector<Block> blocks;
  for (std::int64_t panel = 0; panel < panels; panel += width) {
    for (std::int64_t row = 0; row < rows; row += height) {
      blocks.push_back({row, std::min(height, rows - row), panel, std::min(panels, panel + width)});
    }
  }
  return blocks;
}

}  // namespace

template <typename T>
void sparse_matrix_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  SparseContext<T> context(problem, plan, out, problem.shape().k);
  const std::vector<Piece> pieces =
      pieces_of(context.shape.k, context.chunked() ? problem.order.chunk->length : 0);
  const std::vector<Block> blocks =
      blocks_of(context.shape.m, context.b.panels(), context.kernel.columns);
  tbb::parallel_for(std::size_t{0}, blocks.size(), [&](std::size_t i) {
    if (!context.gave_up()) run_block(context, pieces, blocks[i]);
  });
  if (context.gave_up()) lane_gemm<T>(problem, without_skipping(plan), out);
}

template void sparse_matrix_gemm<float>(const GemmProblem&, const GemmPlan&, const OutputView&);
template void sparse_matrix_gemm<double>(const GemmProblem&, const GemmPlan&, const OutputView&);

}  // namespace narrowmac
