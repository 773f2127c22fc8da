#include "sim/training/dataset.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "models/design/error.h"
#include "sim/training/byte_file.h"

namespace narrowmac {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kClasses = 10;
/// Bounds of an idx header's fields: far above any known set, and their product fits 63 bits.
constexpr std::int64_t kMaxImages = 100'000'000;
constexpr std::int64_t kMaxSide = 4096;
constexpr std::size_t kPiece = std::size_t{1} << 20;

std::string_view name_of(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::FashionMnist:
      return "fashion-mnist";
    case DatasetKind::Mnist:
      return "mnist";
    case DatasetKind::Cifar10:
      return "cifar-10";
  }
  return "";
}

/// How to get the files, for messages about a folder or a file that is not there.
std::string where_from(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::FashionMnist:
      return "Debian's package dataset-fashion-mnist puts them in "
             "/usr/share/datasets/fashion-mnist (apt-get install dataset-fashion-mnist)";
    case DatasetKind::Mnist:
      return "the four idx files of MNIST, gzip or plain";
    case DatasetKind::Cifar10:
      return "the binary version of CIFAR-10 (folder cifar-10-batches-bin)";
  }
  return "";
}

std::string expected_names(DatasetKind kind, Split split) {
  if (kind == DatasetKind::Cifar10) {
    return split == Split::Train ? "data_batch_1.bin to data_batch_5.bin" : "test_batch.bin";
  }
  const std::string_view prefix = split == Split::Train ? "train" : "t10k";
  return fmt::format("{0}-images-idx3-ubyte and {0}-labels-idx1-ubyte, each plain or with .gz",
                     prefix);
}

/// The first of `names` that exists in the folder.
fs::path find_file(DatasetKind kind, const fs::path& folder, Split split,
                   std::span<const std::string> names) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw Error(fmt::format("{}: no such folder; data set {} needs a folder with {}; {}",
                            folder.string(), name_of(kind), expected_names(kind, split),
                            where_from(kind)));
  }
  for (const std::string& name : names) {
    if (fs::is_regular_file(folder / name, ignored)) {
      return folder / name;
    }
  }
  throw Error(fmt::format("{}: no such file; data set {} needs {}; {}",
                          (folder / names.front()).string(), name_of(kind),
                          expected_names(kind, split), where_from(kind)));
}

[[noreturn]] void throw_short(const ByteFile& file, std::uint64_t expected,
                              std::string_view because) {
  throw Error(fmt::format("{}: truncated{}: {} {} found, {} expected ({})", file.path().string(),
                          file.gzip_cut_off() ? " gzip data" : "", file.position(), file.unit(),
                          expected, because));
}

/// Reads `total` bytes and the end of the file after them; keeps the first `keep`. Memory grows
/// with what the file really holds, never with what its header claims.
std::vector<std::uint8_t> read_payload(ByteFile& file, std::uint64_t total, std::uint64_t keep,
                                       std::string_view because) {
  const std::uint64_t header = file.position();
  std::vector<std::uint8_t> kept;
  kept.reserve(static_cast<std::size_t>(std::min(keep, file.size_bound())));
  std::vector<std::uint8_t> piece(kPiece);
  for (std::uint64_t done = 0; done < total;) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(total - done, kPiece));
    const std::size_t got = file.read(std::span(piece).first(want));
    const auto useful = static_cast<std::size_t>(
        std::min<std::uint64_t>(got, keep - std::min<std::uint64_t>(keep, done)));
    kept.insert(kept.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(useful));
    done += got;
    if (got < want) {
      throw_short(file, header + total, because);
    }
  }
  if (file.read(std::span(piece).first(1)) != 0) {
    throw Error(fmt::format("{}: more than the {} {} expected ({})", file.path().string(),
                            header + total, file.unit(), because));
  }
  if (file.gzip_cut_off()) {
    throw_short(file, header + total, "the gzip checksum after the data is missing");
  }
  return kept;
}

/// The big-endian header of an idx file of unsigned bytes: magic 0x000008DD for DD dimensions, then
/// the dimensions (http://yann.lecun.com/exdb/mnist, "the idx file format").
std::vector<std::int64_t> read_idx_header(ByteFile& file, std::size_t dimensions,
                                          std::string_view what) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t size = 4 + 4 * dimensions;
  const std::size_t got = file.read(std::span(bytes).first(size));
  const auto word = [&bytes](std::size_t index) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value = value << 8 | bytes[4 * index + i];
    }
    return value;
  };
  const auto magic = static_cast<std::uint32_t>(0x800 + dimensions);
  if (got >= 4 && word(0) != magic) {
    throw Error(fmt::format(
        "{}: magic number {:#010x} found; accepted: {:#010x} (idx file of {}, {} "
        "dimension{} of unsigned bytes)",
        file.path().string(), word(0), magic, what, dimensions, dimensions == 1 ? "" : "s"));
  }
  if (got < size) {
    throw_short(file, size, "the header of an idx file");
  }
  std::vector<std::int64_t> result;
  for (std::size_t i = 1; i <= dimensions; ++i) {
    result.push_back(word(i));
  }
  return result;
}

void check_header_field(const fs::path& path, std::string_view field, std::int64_t value,
                        std::int64_t high) {
  if (value < 1 || value > high) {
    throw Error(fmt::format("{}: {} {} in the header; accepted: 1 to {}", path.string(), value,
                            field, high));
  }
}

void check_label(const fs::path& path, std::int64_t index, std::uint8_t label) {
  if (label >= kClasses) {
    throw Error(fmt::format("{}: label {} at index {}; accepted: 0 to {}", path.string(), label,
                            index, kClasses - 1));
  }
}

/// The number of images to keep: all, or the first `limit`.
std::int64_t kept_images(const fs::path& path, std::int64_t found, std::int64_t limit) {
  if (limit > found) {
    throw Error(
        fmt::format("{}: the first {} images are wanted, {} found; accepted: 1 to {}, or "
                    "0 for all",
                    path.string(), limit, found, found));
  }
  return limit > 0 ? limit : found;
}

fs::path find_idx(DatasetKind kind, const fs::path& folder, Split split, const std::string& stem) {
  const std::string name = (split == Split::Train ? "train" : "t10k") + stem;
  const std::array<std::string, 2> names{name, name + ".gz"};
  return find_file(kind, folder, split, names);
}

/// Images, rows, columns.
std::vector<std::int64_t> read_image_header(ByteFile& images) {
  std::vector<std::int64_t> header = read_idx_header(images, 3, "images");
  check_header_field(images.path(), "images", header[0], kMaxImages);
  check_header_field(images.path(), "rows", header[1], kMaxSide);
  check_header_field(images.path(), "columns", header[2], kMaxSide);
  return header;
}

Dataset read_idx(DatasetKind kind, const fs::path& folder, Split split, std::int64_t limit) {
  const fs::path image_path = find_idx(kind, folder, split, "-images-idx3-ubyte");
  const fs::path label_path = find_idx(kind, folder, split, "-labels-idx1-ubyte");
  ByteFile images(image_path);
  ByteFile labels(label_path);
  const std::vector<std::int64_t> header = read_image_header(images);
  const std::int64_t count = read_idx_header(labels, 1, "labels")[0];
  if (count != header[0]) {
    throw Error(
        fmt::format("{}: {} labels found, but {} holds {} images; accepted: one label "
                    "for each image",
                    label_path.string(), count, image_path.string(), header[0]));
  }
  const std::int64_t kept = kept_images(image_path, count, limit);

  Dataset result;
  result.name = name_of(kind);
  result.classes = kClasses;
  result.shape = {1, header[1], header[2]};
  const auto size = static_cast<std::uint64_t>(result.shape.size());
  result.labels = read_payload(labels, static_cast<std::uint64_t>(count),
                               static_cast<std::uint64_t>(count), fmt::format("{} labels", count));
  for (std::int64_t i = 0; i < count; ++i) {
    check_label(label_path, i, result.labels[static_cast<std::size_t>(i)]);
  }
  result.labels.resize(static_cast<std::size_t>(kept));
  result.pixels = read_payload(images, static_cast<std::uint64_t>(count) * size,
                               static_cast<std::uint64_t>(kept) * size,
                               fmt::format("{} images of {} x {}", count, header[1], header[2]));
  return result;
}

/// A record of CIFAR-10's binary version: the label, then 32 x 32 pixels of red, of green and of
/// blue (https://www.cs.toronto.edu/~kriz/cifar.html).
constexpr std::int64_t kCifarSide = 32;
constexpr std::int64_t kCifarPlane = kCifarSide * kCifarSide;
constexpr std::int64_t kCifarRecord = 1 + 3 * kCifarPlane;

void read_cifar_file(const fs::path& path, Dataset& set) {
  ByteFile file(path);
  std::vector<std::uint8_t> record(kCifarRecord);
  for (std::int64_t index = 0;; ++index) {
    const std::size_t got = file.read(record);
    if (got == 0 && index > 0) {
      return;
    }
    if (got < record.size()) {
      throw_short(file, static_cast<std::uint64_t>((index + 1) * kCifarRecord),
                  fmt::format("CIFAR-10 records of {} bytes", kCifarRecord));
    }
    check_label(path, index, record[0]);
    set.labels.push_back(record[0]);
    const std::size_t base = set.pixels.size();
    set.pixels.resize(base + 3 * kCifarPlane);
    std::uint8_t* pixel = set.pixels.data() + base;
    const std::uint8_t* plane = record.data() + 1;
    for (std::int64_t i = 0; i < kCifarPlane; ++i) {
      for (std::int64_t channel = 0; channel < 3; ++channel) {
        pixel[3 * i + channel] = plane[channel * kCifarPlane + i];
      }
    }
  }
}

Dataset read_cifar(const fs::path& folder, Split split, std::int64_t limit) {
  std::vector<fs::path> paths;
  const int files = split == Split::Train ? 5 : 1;
  for (int i = 1; i <= files; ++i) {
    const std::array<std::string, 1> name{
        split == Split::Train ? fmt::format("data_batch_{}.bin", i) : "test_batch.bin"};
    paths.push_back(find_file(DatasetKind::Cifar10, folder, split, name));
  }
  Dataset result;
  result.name = name_of(DatasetKind::Cifar10);
  result.classes = kClasses;
  result.shape = {3, kCifarSide, kCifarSide};
  for (const fs::path& path : paths) {
    read_cifar_file(path, result);
  }
  const std::int64_t kept = kept_images(folder, result.size(), limit);
  result.labels.resize(static_cast<std::size_t>(kept));
  result.pixels.resize(static_cast<std::size_t>(kept * result.shape.size()));
  return result;
}

}  // namespace

Dataset read_dataset(DatasetKind kind, const fs::path& folder, Split split, std::int64_t limit) {
  if (limit < 0) {
    throw Error(fmt::format("{}: the first {} images are wanted; accepted: 0 (all) or more",
                            folder.string(), limit));
  }
  return kind == DatasetKind::Cifar10 ? read_cifar(folder, split, limit)
                                      : read_idx(kind, folder, split, limit);
}

ImageFacts read_image_facts(DatasetKind kind, const fs::path& folder) {
  constexpr std::int64_t kCifarImages = 50'000;
  if (kind == DatasetKind::Cifar10) {
    return {{3, kCifarSide, kCifarSide}, kClasses, kCifarImages};
  }
  ByteFile images(find_idx(kind, folder, Split::Train, "-images-idx3-ubyte"));
  const std::vector<std::int64_t> header = read_image_header(images);
  return {{1, header[1], header[2]}, kClasses, header[0]};
}

}  // namespace narrowmac
