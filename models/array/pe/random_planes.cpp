#include "models/array/pe/random_planes.h"

#include <algorithm>

#include "models/array/pe/skew.h"

namespace narrowmac {

template <typename T>
RandomPlanes<T>::RandomPlanes(const GemmProblem& problem, const ArrayDesign& array, int bits,
                              std::int64_t stride, std::int64_t stages)
    : rows_(problem, RandomLevel::Accumulator, bits),
      held_(array.dataflow == Dataflow::InputStationary),
      stride_(stride),
      plane_(stride * (array.rows + 1)) {
  if (bits == 0) return;
  const std::int64_t size = (4 + stages) * plane_ + stride;
  storage_ = LaneBuffer<Word>(size);
  std::fill_n(storage_.data(), size, Word{0});
  // A row above every plane: its inputs.
  steps_ = storage_.data() + stride;
  fields_ = steps_ + plane_;
  next_steps_ = fields_ + plane_;
  next_fields_ = next_steps_ + plane_;
  columns_ = next_fields_ + plane_;
}

template <typename T>
PlaneRandom<T> RandomPlanes<T>::at_stage(std::int64_t stage) const {
  return {steps_, fields_, columns_ + stage * plane_, held_ ? 0 : 1};
}

template <typename T>
void RandomPlanes<T>::put(Word* steps, Word* fields, std::int64_t at, const MacIndex& index) const {
  steps[at] = rows_.step_word(index.m, index.k);
  fields[at] = rows_.field(index.k);
}

template <typename T>
void RandomPlanes<T>::feed(const ActiveFold& active, std::int64_t clock, std::int64_t stage) {
  if (active.fold.output_stationary()) return feed_sums(active, clock, stage);
  feed_psums(active, clock, stage);
  held_ ? feed_held(active, clock) : feed_moving(active, clock);
}

/// Step words enter with A; the PEs of one diagonal begin new sums.
template <typename T>
void RandomPlanes<T>::feed_sums(const ActiveFold& active, std::int64_t clock, std::int64_t stage) {
  const Fold& fold = active.fold;
  const std::int64_t now = clock - active.start;
  for_lanes(now, 1, fold.span(), fold.height, [&](std::int64_t r, std::int64_t token) {
    const std::int64_t row = token % fold.period * fold.array_rows + r;
    if (token % fold.period >= fold.sums || row >= fold.rows) return;
    put(steps_, fields_, r * stride_ - 1, fold.index(row, 0, token / fold.period));
  });
  Word* columns = columns_ + stage * plane_;
  for (std::int64_t j = std::max<std::int64_t>(0, now - fold.height - fold.columns + 2);
       j <= std::min<std::int64_t>(now, fold.sums - 1); ++j) {
    const std::int64_t diagonal = now - j;
    const std::int64_t rows = std::min<std::int64_t>(fold.height, fold.rows - j * fold.array_rows);
    for (std::int64_t r = std::max<std::int64_t>(0, diagonal - fold.columns + 1);
         r < std::min(rows, diagonal + 1); ++r) {
      const MacIndex index = fold.index(j * fold.array_rows + r, diagonal - r, 0);
      columns[r * stride_ + diagonal - r] = rows_.column_word(index.m, index.n);
    }
  }
}

template <typename T>
void RandomPlanes<T>::feed_psums(const ActiveFold& active, std::int64_t clock, std::int64_t stage) {
  const Fold& fold = active.fold;
  Word* input = columns_ + stage * plane_ - stride_;
  for_lanes(clock - active.start, 1, fold.streamed, fold.columns,
            [&](std::int64_t c, std::int64_t element) {
              const MacIndex index = fold.index(0, c, element);
              input[c] = rows_.column_word(index.m, index.n);
            });
}

template <typename T>
void RandomPlanes<T>::feed_moving(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  for_lanes(clock - active.start, fold.row_delay, fold.streamed, fold.rows,
            [&](std::int64_t r, std::int64_t element) {
              put(steps_, fields_, r * stride_ - 1, fold.index(r, 0, element));
            });
}

template <typename T>
void RandomPlanes<T>::feed_held(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::int64_t now = clock - active.start;
  for_lanes(now, fold.row_delay, fold.columns, fold.rows, [&](std::int64_t r, std::int64_t c) {
    steps_[r * stride_ + c] = next_steps_[r * stride_ + c];
    fields_[r * stride_ + c] = next_fields_[r * stride_ + c];
  });
  for_lanes(now + fold.load(), fold.row_delay, fold.columns, fold.rows,
            [&](std::int64_t r, std::int64_t c) {
              put(next_steps_, next_fields_, r * stride_ + c, fold.index(r, c, 0));
            });
}

template class RandomPlanes<float>;
template class RandomPlanes<double>;

}  // namespace narrowmac
