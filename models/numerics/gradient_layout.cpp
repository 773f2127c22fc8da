#include "models/numerics/gradient_layout.h"

#include <algorithm>

#include "models/numerics/kernel_gradient.h"

namespace narrowmac {
namespace {

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}
std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return -ceil_divide(-a, b); }

/// Cuts `run` vectors from `offset` on into strips of the pass's width.
void add_strips(GradientPass& pass, std::int64_t offset, std::int64_t run, int lanes) {
  for (std::int64_t v = 0; v < run; v += pass.strip_vectors) {
    pass.strip_offsets.push_back(offset + v * lanes);
  }
}

int strip_width(std::int64_t run) {
  return *std::find_if(std::begin(kStripVectors), std::end(kStripVectors),
                       [&](int width) { return run % width == 0; });
}

/// Scalars B: at every position the patch of X, a run of X's grid for each kernel row.
void scalars_from_b(GradientLayout& layout, int lanes) {
  const GradientProblem& p = layout.problem;
  const ConvolutionPatches& c = p.patches;
  layout.scalar_tensor = p.dy;
  layout.scalar_image = c.out_height * c.out_width * p.dy_row;
  layout.scalar_channels = p.n;
  layout.scalar_end = (p.k() - 1) * p.dy_row + p.n;
  VectorGrid& grid = layout.grid;
  grid.tensor = p.x;
  grid.tensor_height = c.height;
  grid.tensor_width = c.width;
  grid.channels = c.channels;
  grid.tensor_image = p.x_image;
  grid.tensor_pixel = c.channels;
  grid.top = c.offset_y;
  grid.left = c.offset_x;
  grid.height = (c.out_height - 1) * c.step + c.kernel_height;
  grid.width = (c.out_width - 1) * c.step + c.kernel_width;
  grid.pixel = c.channels;
  const std::int64_t run = c.kernel_width * c.channels;
  grid.in_place = grid.in_place && run % lanes == 0 && grid.top >= 0 && grid.left >= 0 &&
                  grid.top + grid.height <= c.height && grid.left + grid.width <= c.width;
  grid.line = grid.in_place ? c.width * c.channels : grid.width * grid.pixel;
  GradientPass pass;
  pass.rows = c.out_height;
  pass.columns = c.out_width;
  pass.scalar_row = c.out_width * p.dy_row;
  pass.scalar_pixel = p.dy_row;
  pass.vector_row = c.step * grid.line;
  pass.vector_pixel = c.step * grid.pixel;
  const std::int64_t vectors = (run + lanes - 1) / lanes;
  pass.strip_vectors = strip_width(vectors);
  for (std::int64_t row = 0; row < c.kernel_height; ++row) {
    SumGroup group;
    group.first_vector = static_cast<int>(row * vectors);
    group.vectors = static_cast<int>(vectors);
    group.first_row = row * run;
    pass.groups.push_back(group);
    add_strips(pass, row * grid.line, vectors, lanes);
  }
  layout.passes.push_back(std::move(pass));
}

/// Of one dimension: the pixels of X that meet the kernel taps first, first + step, ..., in units
/// of the step. Unit u meets position u - i at the tap number i of them.
struct Sublattice {
  std::int64_t first_unit = 0, units = 0, taps = 0;
  std::int64_t first_pixel = 0;

  Sublattice(std::int64_t tap, std::int64_t kernel, std::int64_t step, std::int64_t offset,
             std::int64_t size, std::int64_t positions) {
    taps = tap < kernel ? (kernel - tap + step - 1) / step : 0;
    first_unit = std::max<std::int64_t>(0, ceil_divide(-offset - tap, step));
    const std::int64_t last =
        std::min(positions + taps - 2, floor_divide(size - 1 - offset - tap, step));
    units = taps == 0 ? 0 : std::max<std::int64_t>(0, last - first_unit + 1);
    first_pixel = offset + tap + step * first_unit;
  }
};

/// Scalars A: a pixel of X meets, at each of its taps, one position of dY's grid. Later taps meet
/// earlier positions, so that a kernel row's taps are a run of the grid, last tap first.
void scalars_from_a(GradientLayout& layout, int lanes) {
  const GradientProblem& p = layout.problem;
  const ConvolutionPatches& c = p.patches;
  layout.scalar_tensor = p.x;
  layout.scalar_image = p.x_image;
  layout.scalar_channels = c.channels;
  layout.scalar_end = (c.images - 1) * p.x_image + c.height * c.width * c.channels;
  const std::int64_t margin_y = (c.kernel_height - 1) / c.step;
  const std::int64_t margin_x = (c.kernel_width - 1) / c.step;
  VectorGrid& grid = layout.grid;
  grid.tensor = p.dy;
  grid.tensor_height = c.out_height;
  grid.tensor_width = c.out_width;
  grid.channels = p.n;
  grid.tensor_image = c.out_height * c.out_width * p.dy_row;
  grid.tensor_pixel = p.dy_row;
  grid.top = -margin_y;
  grid.left = -margin_x;
  grid.height = c.out_height + 2 * margin_y;
  grid.width = c.out_width + 2 * margin_x;
  grid.in_place = grid.in_place && margin_y == 0 && margin_x == 0 && p.n % lanes == 0;
  const std::int64_t vectors = (p.n + lanes - 1) / lanes;
  grid.pixel = grid.in_place ? p.dy_row : vectors * lanes;
  grid.line = grid.width * grid.pixel;
  for (std::int64_t a = 0; a < c.step; ++a) {
    const Sublattice y(a, c.kernel_height, c.step, c.offset_y, c.height, c.out_height);
    for (std::int64_t b = 0; b < c.step; ++b) {
      const Sublattice x(b, c.kernel_width, c.step, c.offset_x, c.width, c.out_width);
      if (y.units == 0 || x.units == 0) continue;
      GradientPass pass;
      pass.rows = y.units;
      pass.columns = x.units;
      pass.scalar_first = (y.first_pixel * c.width + x.first_pixel) * c.channels;
      pass.scalar_row = c.step * c.width * c.channels;
      pass.scalar_pixel = c.step * c.channels;
      pass.vector_row = grid.line;
      pass.vector_pixel = grid.pixel;
      pass.vector_first = (y.first_unit - (y.taps - 1) - grid.top) * grid.line +
                          (x.first_unit - (x.taps - 1) - grid.left) * grid.pixel;
      pass.strip_vectors = strip_width(x.taps * vectors);
      for (std::int64_t row = 0; row < y.taps; ++row) {
        for (std::int64_t column = 0; column < x.taps; ++column) {
          const std::int64_t i = y.taps - 1 - row;
          const std::int64_t j = x.taps - 1 - column;
          SumGroup group;
          group.first_vector = static_cast<int>((row * x.taps + column) * vectors);
          group.vectors = static_cast<int>(vectors);
          group.shift_row = i - y.first_unit;
          group.shift_column = j - x.first_unit;
          group.first_row = ((a + c.step * i) * c.kernel_width + b + c.step * j) * c.channels;
          pass.groups.push_back(group);
        }
        add_strips(pass, row * grid.line, x.taps * vectors, lanes);
      }
      layout.passes.push_back(std::move(pass));
    }
  }
}

}  // namespace

std::optional<GradientProblem> as_gradient(const GemmProblem& problem) {
  const OperandView& a = problem.a;
  const OperandView& b = problem.b;
  if (a.is_double() || b.is_double() || b.is_patches() || b.column_stride() != 1) {
    return std::nullopt;
  }
  GradientProblem gradient;
  gradient.x = a.float_data();
  gradient.dy = b.float_data();
  gradient.dy_row = b.row_stride();
  gradient.n = b.columns();
  ConvolutionPatches& c = gradient.patches;
  if (a.is_transposed_patches()) {
    c = a.convolution();
    if (c.direction != 1 || c.divisor != 1) return std::nullopt;
    gradient.x_image = c.height * c.width * c.channels;
  } else if (!a.is_patches() && a.row_stride() == 1) {
    c.images = a.columns();
    c.channels = a.rows();
    c.height = c.width = c.out_height = c.out_width = c.kernel_height = c.kernel_width = 1;
    gradient.x_image = a.column_stride();
  } else {
    return std::nullopt;
  }
  if (c.rows() == 0 || c.columns() == 0 || gradient.n == 0 || c.height * c.width == 0) {
    return std::nullopt;
  }
  return gradient;
}

std::int64_t GradientLayout::dense_work() const {
  std::int64_t work = 0;
  for (const GradientPass& pass : passes) work += pass.rows * pass.columns * pass.vectors();
  return work;
}

std::int64_t GradientLayout::vectors() const {
  std::int64_t total = 0;
  for (const GradientPass& pass : passes) total += pass.vectors();
  return total;
}

GradientLayout gradient_layout(const GradientProblem& problem, GradientScalars scalars, int lanes,
                               bool copied) {
  GradientLayout layout;
  layout.scalars = scalars;
  layout.problem = problem;
  layout.grid.in_place = !copied;
  if (scalars == GradientScalars::A) {
    scalars_from_a(layout, lanes);
  } else {
    scalars_from_b(layout, lanes);
  }
  layout.grid.image =
      layout.grid.in_place ? layout.grid.tensor_image : layout.grid.height * layout.grid.line;
  return layout;
}

}  // namespace narrowmac
