#include "sim/training/precision_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "sim/training/batches.h"
#include "sim/training/checkpoint_tensors.h"
#include "sim/training/layer_graph.h"
#include "sim/training/loss.h"
#include "sim/training/optimizer.h"
#include "sim/training/parallel.h"
#include "sim/training/singular_value.h"

namespace narrowmac {
namespace {

/// A network of its own with a trainer's tensors.
struct Engine {
  Engine(const PrecisionProblem& problem, std::int64_t capacity,
         const std::vector<NamedTensor>& tensors)
      : shapes(infer_shapes(problem.network, problem.train.shape, problem.train.classes)),
        host{problem.settings, problem.accelerator, {}, {}, {}, false, {}, {}, nullptr},
        graph(shapes, problem.train.shape, capacity, host) {
    import_tensors(tensors, graph.layers());
  }

  std::vector<LayerShape> shapes;
  Host host;
  LayerGraph graph;
};

/// Count, mean and squared deviations of some numbers.
struct GradientMoments {
  double count = 0, mean = 0, deviations = 0;

  static GradientMoments of(const float* values, std::int64_t size) {
    GradientMoments moments;
    moments.count = static_cast<double>(size);
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) sum += static_cast<double>(values[i]);
    moments.mean = sum / moments.count;
    for (std::int64_t i = 0; i < size; ++i) {
      const double deviation = static_cast<double>(values[i]) - moments.mean;
      moments.deviations += deviation * deviation;
    }
    return moments;
  }
  void merge(const GradientMoments& other) {
    const double total = count + other.count, distance = other.mean - mean;
    mean += distance * other.count / total;
    deviations += other.deviations + distance * distance * count * other.count / total;
    count = total;
  }
  /// Adds a tensor, in blocks that do not depend on the threads.
  void add(const float* values, std::int64_t size) {
    constexpr std::int64_t kMomentsBlock = 1 << 14;
    std::vector<GradientMoments> blocks(
        static_cast<std::size_t>((size + kMomentsBlock - 1) / kMomentsBlock));
    for_blocks(size, kMomentsBlock, [&](std::int64_t begin, std::int64_t end) {
      blocks[static_cast<std::size_t>(begin / kMomentsBlock)] = of(values + begin, end - begin);
    });
    for (const GradientMoments& block : blocks) merge(block);
  }
  [[nodiscard]] double deviation() const { return std::sqrt(deviations / count); }
};

/// Deviations of the gradients of GEMM outputs.
class OutputDeviations : public GradientObserver {
 public:
  explicit OutputDeviations(const std::vector<LayerShape>& shapes)
      : moments(shapes.size()), shapes_(shapes) {}
  void activation(const Activation&, const Run&) override {}
  bool layer_output(std::int64_t number, const float*, const float* gradient,
                    const Run& run) override {
    const auto layer = static_cast<std::size_t>(number - 1);
    moments[layer].add(gradient, run.images * shapes_[layer].output.size());
    return true;
  }

  std::vector<GradientMoments> moments;  ///< by layer

 private:
  const std::vector<LayerShape>& shapes_;
};

/// Every image stands in the batch once for each class but its largest logit's: the elements of a
/// batch are images x directions, with the gradient of z_i - z_y in the direction of class i.
struct Directions {
  std::int64_t images = 0;
  std::int64_t per_image = 0;
  std::vector<double> factors;  ///< 1 / (z_i - z_y)^2 of every element, 0 for images left out
  [[nodiscard]] std::int64_t elements() const { return images * per_image; }
};

double sum_of_squares(const float* values, std::int64_t size) {
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return sum;
}

/// Sums what the gains and the Jacobians are made of over the images.
class GainSums : public GradientObserver {
 public:
  GainSums(const std::vector<LayerShape>& shapes, Accelerator& accelerator)
      : weights(shapes.size(), 0.0),
        activations(shapes.size() + 1, 0.0),
        input_squares(shapes.size()),
        shapes_(shapes),
        accelerator_(accelerator) {}

  void activation(const Activation& activation, const Run&) override {
    const std::int64_t size = activation.shape.size();
    std::vector<double> squares(static_cast<std::size_t>(directions.elements()));
    for_blocks(directions.elements(), 1, [&](std::int64_t element, std::int64_t) {
      squares[static_cast<std::size_t>(element)] =
          sum_of_squares(activation.gradient + element * size, size);
    });
    activations[static_cast<std::size_t>(activation.number)] +=
        std::inner_product(squares.begin(), squares.end(), directions.factors.begin(), 0.0);
  }

  bool layer_output(std::int64_t number, const float* input, const float* gradient,
                    const Run&) override {
    const LayerShape& shape = shapes_[static_cast<std::size_t>(number - 1)];
    const std::int64_t inputs = shape.inputs.front().size() * directions.per_image;
    const std::int64_t outputs = shape.output.size() * directions.per_image;
    for (std::int64_t image = 0; image < directions.images; ++image) {
      add_weight(number, input + image * inputs, gradient + image * outputs, image);
      add_input(number, input + image * inputs);
    }
    return false;
  }

  Directions directions;                           ///< of the batch at work
  std::vector<double> weights;                     ///< by layer
  std::vector<double> activations;                 ///< by number
  std::vector<std::vector<double>> input_squares;  ///< of GEMM layers, summed over the images

 private:
  /// An image's weight gradients in all directions are one GEMM: the input is the same, so the
  /// directions stand side by side like channels.
  void add_weight(std::int64_t number, const float* input, const float* gradient,
                  std::int64_t image) {
    const LayerShape& shape = shapes_[static_cast<std::size_t>(number - 1)];
    const std::int64_t channels = shape.output.channels, columns = channels * directions.per_image;
    const std::int64_t rows = shape.output.height * shape.output.width;
    side_by_side_.resize(static_cast<std::size_t>(rows * columns));
    for (std::int64_t direction = 0; direction < directions.per_image; ++direction) {
      for (std::int64_t row = 0; row < rows; ++row) {
        std::copy_n(gradient + (direction * rows + row) * channels, channels,
                    side_by_side_.data() + row * columns + direction * channels);
      }
    }
    GemmRequest request;
    request.layer = shape.layer.name;
    request.pass = Pass::Gradient;
    request.a = forward_rows(shape, input, 1).transposed();
    request.b = OperandView::dense(side_by_side_.data(), rows, columns, columns);
    products_.resize(static_cast<std::size_t>(request.a.rows() * columns));
    request.out = OutputView::of(products_.data(), columns);
    accelerator_.execute(request);
    double& sum = weights[static_cast<std::size_t>(number - 1)];
    for (std::int64_t direction = 0; direction < directions.per_image; ++direction) {
      double squares = 0;
      for (std::int64_t row = 0; row < request.a.rows(); ++row) {
        squares +=
            sum_of_squares(products_.data() + row * columns + direction * channels, channels);
      }
      sum += squares *
             directions.factors[static_cast<std::size_t>(image * directions.per_image + direction)];
    }
  }

  void add_input(std::int64_t number, const float* input) {
    std::vector<double>& squares = input_squares[static_cast<std::size_t>(number - 1)];
    squares.resize(
        static_cast<std::size_t>(shapes_[static_cast<std::size_t>(number - 1)].inputs[0].size()));
    for (double& square : squares) {
      square += static_cast<double>(*input) * static_cast<double>(*input);
      ++input;
    }
  }

  const std::vector<LayerShape>& shapes_;
  Accelerator& accelerator_;
  std::vector<float> side_by_side_, products_;
};

/// Fills directions and the gradient of the logits. Returns how many images count.
std::int64_t choose_directions(const float* logits, std::int64_t classes, Directions& directions,
                               float* gradient) {
  directions.factors.assign(static_cast<std::size_t>(directions.elements()), 0.0);
  std::fill(gradient, gradient + directions.elements() * classes, 0.0F);
  std::int64_t counted = 0;
  for (std::int64_t image = 0; image < directions.images; ++image) {
    const std::int64_t first = image * directions.per_image;
    const float* row = logits + first * classes;
    const std::int64_t largest = std::max_element(row, row + classes) - row;
    if (std::count(row, row + classes, row[largest]) > 1) continue;
    ++counted;
    for (std::int64_t direction = 0; direction < directions.per_image; ++direction) {
      const std::int64_t other = direction < largest ? direction : direction + 1;
      const double gap = static_cast<double>(row[other]) - static_cast<double>(row[largest]);
      directions.factors[static_cast<std::size_t>(first + direction)] = 1 / (gap * gap);
      gradient[(first + direction) * classes + other] = 1.0F;
      gradient[(first + direction) * classes + largest] = -1.0F;
    }
  }
  return counted;
}

/// sqrt(N) times the largest singular value of the mean squared patches of an image: the Jacobian
/// of one output channel is those of the minibatch's N images side by side.
double lambda_max(const LayerShape& shape, const std::vector<double>& input_squares, double images,
                  std::int64_t batch) {
  std::vector<float> means(input_squares.size());
  std::transform(input_squares.begin(), input_squares.end(), means.begin(),
                 [&](double square) { return static_cast<float>(square / images); });
  const OperandView patches = forward_rows(shape, means.data(), 1);
  std::vector<double> matrix;
  for (std::int64_t row = 0; row < patches.rows(); ++row) {
    for (std::int64_t column = 0; column < patches.columns(); ++column) {
      matrix.push_back(patches.at(row, column));
    }
  }
  return std::sqrt(static_cast<double>(batch)) *
         largest_singular_value(matrix, patches.rows(), patches.columns());
}

std::vector<PrecisionGains> gains_of(const Engine& engine, const PrecisionProblem& problem,
                                     const GainSums& sums, std::int64_t images,
                                     std::int64_t counted) {
  const auto gain = [&](double sum) {
    if (counted == 0) return std::numeric_limits<double>::quiet_NaN();
    return sum / (24 * static_cast<double>(counted));
  };
  std::map<std::string, std::size_t> numbers = {{"input", 0}};
  for (const LayerShape& shape : engine.shapes) numbers.emplace(shape.layer.name, numbers.size());
  const std::set<std::string> with_backward = layers_with_backward(engine.shapes);
  std::vector<PrecisionGains> gains;
  for (std::size_t i = 0; i < engine.shapes.size(); ++i) {
    const LayerShape& shape = engine.shapes[i];
    if (!shape.has_gemm()) continue;
    PrecisionGains& layer = gains.emplace_back();
    layer.layer = shape.layer.name;
    layer.weight = gain(sums.weights[i]);
    if (with_backward.count(layer.layer) > 0) {
      layer.activation = gain(sums.activations[numbers.at(shape.layer.inputs.front())]);
    }
    layer.lambda_max = lambda_max(shape, sums.input_squares[i], static_cast<double>(images),
                                  std::min(problem.settings.batch, problem.train.size()));
  }
  return gains;
}

}  // namespace

std::vector<GradientDeviations> gradient_deviations(const PrecisionProblem& problem,
                                                    const std::vector<NamedTensor>& tensors) {
  const Dataset& train = problem.train;
  Run run;
  run.images = std::min(problem.settings.batch, train.size());
  Engine engine(problem, run.images, tensors);
  OutputDeviations outputs(engine.shapes);
  engine.host.observer = &outputs;
  std::vector<GradientMoments> weights(engine.shapes.size());
  const std::int64_t batches = std::min(kDeviationBatches, train.size() / run.images);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(run.images));
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    std::iota(indices.begin(), indices.end(), batch * run.images);
    load_batch(train, indices, problem.settings.normalisation, engine.graph.input());
    const float* logits = engine.graph.forward(run);
    softmax_cross_entropy(logits, train.labels.data() + indices.front(), run.images, train.classes,
                          1.0, engine.graph.logits_gradient());
    engine.graph.backward(run);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      for (const Parameter* parameter : engine.graph.layers()[i]->parameters()) {
        if (!parameter->is_weight) continue;
        weights[i].add(parameter->gradient.data(), parameter->gradient.size());
      }
    }
  }
  std::vector<GradientDeviations> deviations;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!engine.shapes[i].has_gemm()) continue;
    deviations.push_back(
        {engine.shapes[i].layer.name, weights[i].deviation(), outputs.moments[i].deviation()});
  }
  return deviations;
}

std::vector<PrecisionGains> precision_gains(
    const PrecisionProblem& problem, const std::vector<NamedTensor>& tensors,
    const std::function<bool(std::int64_t done, std::int64_t images)>& go_on) {
  constexpr std::int64_t kElements = 128;
  const Dataset& train = problem.train;
  const std::int64_t per_image = train.classes - 1, images = std::min(kGainImages, train.size());
  const std::int64_t group = std::max<std::int64_t>(1, kElements / per_image);
  Engine engine(problem, group * per_image, tensors);
  GainSums sums(engine.shapes, problem.accelerator);
  engine.host.observer = &sums;
  std::int64_t counted = 0;
  std::vector<std::int64_t> indices;
  for (std::int64_t first = 0; first < images; first += group) {
    sums.directions = {std::min(group, images - first), per_image, {}};
    indices.clear();
    for (std::int64_t i = 0; i < sums.directions.elements(); ++i) {
      indices.push_back((first + i / per_image) * train.size() / images);
    }
    load_batch(train, indices, problem.settings.normalisation, engine.graph.input());
    Run run;
    run.position.evaluation = true;
    run.differentiated = true;
    run.images = sums.directions.elements();
    const float* logits = engine.graph.forward(run);
    counted +=
        choose_directions(logits, train.classes, sums.directions, engine.graph.logits_gradient());
    engine.graph.backward(run);
    if (go_on && !go_on(first + sums.directions.images, images)) return {};
  }
  return gains_of(engine, problem, sums, images, counted);
}

double final_learning_rate(const TrainingSettings& settings, std::int64_t steps_per_epoch,
                           std::int64_t steps) {
  double rate = 0;
  for (std::int64_t step = steps; step > 0 && !(rate > 0); --step) {
    rate = learning_rate(settings, step - 1, steps_per_epoch, steps);
  }
  return rate;
}

}  // namespace narrowmac
