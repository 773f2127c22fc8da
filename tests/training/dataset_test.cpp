#include "sim/training/dataset.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "tests/training/dataset_files.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::idx;
using testing::pattern;
using testing::TemporaryFolder;
using testing::write_gzip;
using testing::write_plain;

const char* const kImages = "train-images-idx3-ubyte";
const char* const kLabels = "train-labels-idx1-ubyte";
constexpr const char* kDebianFolder = "/usr/share/datasets/fashion-mnist";

/// Three images of 4 x 5 pixels with labels 9, 0, 3.
class SmallMnist : public ::testing::Test {
 protected:
  SmallMnist() {
    write_plain(file(kImages), idx({3, 4, 5}, pattern(60)));
    write_plain(file(kLabels), idx({3}, {9, 0, 3}));
  }
  [[nodiscard]] fs::path file(const std::string& name) const { return folder_.path() / name; }
  Dataset read(std::int64_t limit = 0) const {
    return read_dataset(DatasetKind::Mnist, folder_.path(), Split::Train, limit);
  }
  /// Every message begins with the folder's path; what follows is returned.
  [[nodiscard]] std::string message(std::int64_t limit = 0) const {
    try {
      read(limit);
    } catch (const Error& error) {
      const std::string text = error.what();
      const std::string prefix = folder_.path().string() + "/";
      EXPECT_EQ(text.substr(0, prefix.size()), prefix) << text;
      return text.size() > prefix.size() ? text.substr(prefix.size()) : text;
    }
    return "no error";
  }
  [[nodiscard]] std::string folder() const { return folder_.path().string() + "/"; }

  TemporaryFolder folder_;
};

TEST_F(SmallMnist, PlainFilesGiveTheirPixelsAndLabels) {
  const Dataset set = read();
  EXPECT_EQ(set.name, "mnist");
  EXPECT_EQ(set.shape, (FeatureShape{1, 4, 5}));
  EXPECT_EQ(set.classes, 10);
  EXPECT_EQ(set.size(), 3);
  EXPECT_EQ(set.labels, (Bytes{9, 0, 3}));
  EXPECT_EQ(set.pixels, pattern(60));
}

TEST_F(SmallMnist, GzipFilesGiveTheSameAsPlainOnes) {
  fs::remove(file(kImages));
  fs::remove(file(kLabels));
  write_gzip(file(kImages + std::string(".gz")), idx({3, 4, 5}, pattern(60)));
  write_gzip(file(kLabels + std::string(".gz")), idx({3}, {9, 0, 3}));
  const Dataset set = read();
  EXPECT_EQ(set.labels, (Bytes{9, 0, 3}));
  EXPECT_EQ(set.pixels, pattern(60));
}

TEST_F(SmallMnist, TheTestSplitHasFilesOfItsOwn) {
  write_plain(file("t10k-images-idx3-ubyte"), idx({1, 4, 5}, pattern(20)));
  write_gzip(file("t10k-labels-idx1-ubyte.gz"), idx({1}, {7}));
  const Dataset set = read_dataset(DatasetKind::Mnist, folder_.path(), Split::Test);
  EXPECT_EQ(set.labels, (Bytes{7}));
}

TEST_F(SmallMnist, ALimitKeepsTheFirstImages) {
  const Dataset set = read(2);
  EXPECT_EQ(set.labels, (Bytes{9, 0}));
  Bytes first = pattern(60);
  first.resize(40);
  EXPECT_EQ(set.pixels, first);
  EXPECT_EQ(read(3).size(), 3);
}

TEST_F(SmallMnist, ALimitBeyondTheFileOrBelowZeroIsRefused) {
  EXPECT_EQ(message(4), std::string(kImages) +
                            ": the first 4 images are wanted, 3 found; accepted: 1 to 3, or 0 "
                            "for all");
  EXPECT_THROW(read(-1), Error);
}

TEST_F(SmallMnist, AWrongMagicIsNamed) {
  write_plain(file(kImages), idx({3}, {9, 0, 3}));
  EXPECT_EQ(message(), std::string(kImages) +
                           ": magic number 0x00000801 found; accepted: 0x00000803 (idx file of "
                           "images, 3 dimensions of unsigned bytes)");
}

TEST_F(SmallMnist, AWrongMagicOfLabelsIsNamed) {
  write_plain(file(kLabels), {0, 0, 13, 1, 0, 0, 0, 3});
  EXPECT_EQ(message(), std::string(kLabels) +
                           ": magic number 0x00000d01 found; accepted: 0x00000801 (idx file of "
                           "labels, 1 dimension of unsigned bytes)");
}

TEST_F(SmallMnist, GzipDataOfSomethingElseIsAWrongMagic) {
  fs::remove(file(kImages));
  write_gzip(file(kImages + std::string(".gz")), {'h', 'e', 'l', 'l', 'o'});
  EXPECT_EQ(message(), std::string(kImages) +
                           ".gz: magic number 0x68656c6c found; accepted: 0x00000803 (idx file "
                           "of images, 3 dimensions of unsigned bytes)");
}

TEST_F(SmallMnist, ATruncatedPlainFileStatesFoundAndExpectedSize) {
  fs::resize_file(file(kImages), 16 + 59);
  EXPECT_EQ(message(),
            std::string(kImages) + ": truncated: 75 bytes found, 76 expected (3 images of 4 x 5)");
  // The whole file is checked even when its missing end is not wanted.
  EXPECT_EQ(message(1), message());
}

TEST_F(SmallMnist, TruncatedLabelsStateFoundAndExpectedSize) {
  fs::resize_file(file(kLabels), 10);
  EXPECT_EQ(message(),
            std::string(kLabels) + ": truncated: 10 bytes found, 11 expected (3 labels)");
}

TEST_F(SmallMnist, ATruncatedHeaderIsATruncatedFile) {
  fs::resize_file(file(kImages), 9);
  EXPECT_EQ(message(), std::string(kImages) +
                           ": truncated: 9 bytes found, 16 expected (the header of an idx file)");
  fs::resize_file(file(kImages), 0);
  EXPECT_EQ(message(), std::string(kImages) +
                           ": truncated: 0 bytes found, 16 expected (the header of an idx file)");
}

TEST_F(SmallMnist, TruncatedGzipDataAreRefusedWhereverTheyEnd) {
  fs::remove(file(kImages));
  const fs::path path = file(kImages + std::string(".gz"));
  write_gzip(path, idx({3, 4, 5}, pattern(60)));
  const auto whole = fs::file_size(path);
  ASSERT_NO_THROW(read());
  for (auto size = whole - 1; size > 18; --size) {
    fs::resize_file(path, size);
    const std::string text = message();
    EXPECT_NE(text.find("truncated gzip data: "), std::string::npos) << size << ": " << text;
    EXPECT_NE(text.find(" bytes (uncompressed) found, "), std::string::npos) << text;
  }
  for (auto size = std::uintmax_t{18}; size > 0; --size) {
    fs::resize_file(path, size);
    EXPECT_THROW(read(), Error) << size;
  }
}

TEST_F(SmallMnist, DamagedGzipDataAreRefused) {
  fs::remove(file(kImages));
  const fs::path path = file(kImages + std::string(".gz"));
  write_gzip(path, idx({3, 4, 5}, pattern(60)));
  std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(-6, std::ios::end);  // inside the checksum
  stream.put('\x55');
  stream.close();
  const std::string text = message();
  EXPECT_NE(text.find("damaged gzip data (incorrect data check)"), std::string::npos) << text;
}

TEST_F(SmallMnist, BytesBehindTheLastImageAreRefused) {
  write_plain(file(kImages), idx({3, 4, 5}, pattern(61)));
  EXPECT_EQ(message(),
            std::string(kImages) + ": more than the 76 bytes expected (3 images of 4 x 5)");
}

TEST_F(SmallMnist, CountsOfImagesAndLabelsMustAgree) {
  write_plain(file(kLabels), idx({2}, {9, 0}));
  EXPECT_EQ(message(), std::string(kLabels) + ": 2 labels found, but " + folder() + kImages +
                           " holds 3 images; accepted: one label for each image");
}

TEST_F(SmallMnist, ALabelBeyondNineIsNamedWithItsIndex) {
  write_plain(file(kLabels), idx({3}, {9, 10, 3}));
  EXPECT_EQ(message(), std::string(kLabels) + ": label 10 at index 1; accepted: 0 to 9");
}

TEST_F(SmallMnist, NoImagesAndNoPixelsAreRefused) {
  write_plain(file(kImages), idx({0, 4, 5}, {}));
  write_plain(file(kLabels), idx({0}, {}));
  EXPECT_EQ(message(), std::string(kImages) + ": 0 images in the header; accepted: 1 to 100000000");
  write_plain(file(kImages), idx({3, 0, 5}, {}));
  EXPECT_EQ(message(), std::string(kImages) + ": 0 rows in the header; accepted: 1 to 4096");
}

TEST_F(SmallMnist, AHostileHeaderIsRefusedWithoutItsMemory) {
  write_plain(file(kImages), idx({4'000'000'000U, 4, 5}, pattern(60)));
  EXPECT_EQ(message(),
            std::string(kImages) + ": 4000000000 images in the header; accepted: 1 to 100000000");
  // 10^8 images of 4096 x 4096 would be 1.7 petabytes: what is not there is not allocated.
  write_plain(file(kImages), idx({100'000'000U, 4096, 4096}, pattern(60)));
  write_plain(file(kLabels), idx({100'000'000U}, {1}));
  EXPECT_EQ(message(), std::string(kLabels) +
                           ": truncated: 9 bytes found, 100000008 expected (100000000 labels)");
}

TEST_F(SmallMnist, AMissingFileNamesWhatIsExpected) {
  fs::remove(file(kLabels));
  EXPECT_EQ(message(), std::string(kLabels) +
                           ": no such file; data set mnist needs train-images-idx3-ubyte and "
                           "train-labels-idx1-ubyte, each plain or with .gz; the four idx files "
                           "of MNIST, gzip or plain");
}

TEST(FashionMnist, AMissingFolderNamesTheDebianPackage) {
  const TemporaryFolder folder;
  try {
    read_dataset(DatasetKind::FashionMnist, folder.path() / "nowhere", Split::Test);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              (folder.path() / "nowhere").string() +
                  ": no such folder; data set fashion-mnist needs a folder with "
                  "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or with .gz; "
                  "Debian's package dataset-fashion-mnist puts them in "
                  "/usr/share/datasets/fashion-mnist (apt-get install dataset-fashion-mnist)");
    EXPECT_EQ(error.kind(), Error::Kind::Input);
  }
}

/// Adler-32 over the pixels in order.
std::uint32_t checksum(const Dataset& set) {
  return static_cast<std::uint32_t>(
      adler32_z(adler32_z(0, nullptr, 0), set.pixels.data(), set.pixels.size()));
}

TEST(FashionMnist, DebiansFilesHaveTheirSizesLabelsAndPixels) {
  if (!fs::is_directory(kDebianFolder)) {
    GTEST_SKIP() << "package dataset-fashion-mnist is not installed";
  }
  struct Expected {
    Split split;
    std::int64_t images;
    std::uint32_t checksum;
  };
  for (const Expected& expected :
       {Expected{Split::Train, 60000, 0xc38ba20cU}, Expected{Split::Test, 10000, 0x89ed726bU}}) {
    const Dataset set = read_dataset(DatasetKind::FashionMnist, kDebianFolder, expected.split);
    EXPECT_EQ(set.name, "fashion-mnist");
    EXPECT_EQ(set.shape, (FeatureShape{1, 28, 28}));
    ASSERT_EQ(set.size(), expected.images);
    ASSERT_EQ(set.pixels.size(), static_cast<std::size_t>(expected.images * 28 * 28));
    std::array<std::int64_t, 10> histogram{};
    for (const std::uint8_t label : set.labels) {
      ++histogram[label];
    }
    for (const std::int64_t count : histogram) {
      EXPECT_EQ(count, expected.images / 10);
    }
    EXPECT_EQ(checksum(set), expected.checksum);
  }
}

class SmallCifar : public ::testing::Test {
 protected:
  /// One record: the label, then planes of red, green and blue.
  static Bytes record(std::uint8_t label, std::uint8_t seed) {
    Bytes bytes = pattern(1 + 3072);
    for (std::uint8_t& byte : bytes) {
      byte = static_cast<std::uint8_t>(byte + seed);
    }
    bytes[0] = label;
    return bytes;
  }
  [[nodiscard]] fs::path file(const std::string& name) const { return folder_.path() / name; }
  [[nodiscard]] std::string message(Split split) const {
    try {
      read_dataset(DatasetKind::Cifar10, folder_.path(), split);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  TemporaryFolder folder_;
};

TEST_F(SmallCifar, PlanesBecomeChannelsOfEachPixel) {
  Bytes bytes = record(3, 1);
  const Bytes second = record(9, 2);
  bytes.insert(bytes.end(), second.begin(), second.end());
  write_plain(file("test_batch.bin"), bytes);
  const Dataset set = read_dataset(DatasetKind::Cifar10, folder_.path(), Split::Test);
  EXPECT_EQ(set.name, "cifar-10");
  EXPECT_EQ(set.shape, (FeatureShape{3, 32, 32}));
  EXPECT_EQ(set.labels, (Bytes{3, 9}));
  ASSERT_EQ(set.pixels.size(), 2U * 3072U);
  for (std::size_t image = 0; image < 2; ++image) {
    for (std::size_t pixel = 0; pixel < 1024; ++pixel) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        ASSERT_EQ(set.pixels[image * 3072 + pixel * 3 + channel],
                  bytes[image * 3073 + 1 + channel * 1024 + pixel]);
      }
    }
  }
}

TEST_F(SmallCifar, TheFiveTrainingFilesFollowEachOther) {
  for (std::uint8_t i = 1; i <= 5; ++i) {
    write_plain(file("data_batch_" + std::to_string(i) + ".bin"), record(i, i));
  }
  const Dataset set = read_dataset(DatasetKind::Cifar10, folder_.path(), Split::Train);
  EXPECT_EQ(set.labels, (Bytes{1, 2, 3, 4, 5}));
  EXPECT_EQ(read_dataset(DatasetKind::Cifar10, folder_.path(), Split::Train, 2).labels,
            (Bytes{1, 2}));
}

TEST_F(SmallCifar, MissingTruncatedEmptyAndMislabelledFilesAreRefused) {
  const std::string name = file("test_batch.bin").string();
  EXPECT_EQ(message(Split::Test), name +
                                      ": no such file; data set cifar-10 needs test_batch.bin; "
                                      "the binary version of CIFAR-10 (folder "
                                      "cifar-10-batches-bin)");
  Bytes bytes = record(3, 0);
  bytes.push_back(4);
  write_plain(name, bytes);
  EXPECT_EQ(message(Split::Test),
            name + ": truncated: 3074 bytes found, 6146 expected (CIFAR-10 records of 3073 bytes)");
  write_plain(name, {});
  EXPECT_EQ(message(Split::Test),
            name + ": truncated: 0 bytes found, 3073 expected (CIFAR-10 records of 3073 bytes)");
  write_plain(name, record(10, 0));
  EXPECT_EQ(message(Split::Test), name + ": label 10 at index 0; accepted: 0 to 9");
}

}  // namespace
}  // namespace narrowmac
