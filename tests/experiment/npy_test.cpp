#include "sim/experiment/npy.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "sim/experiment/files.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/temporary_directory.h"

namespace narrowmac {
namespace {

std::string le16(unsigned value) {
  return {static_cast<char>(value & 0xff), static_cast<char>(value >> 8)};
}

/// A file of version 1.0 around any header text, as NumPy would write it.
std::string npy(const std::string& header, const std::string& data) {
  return "\x93NUMPY" + std::string("\1\0", 2) + le16(static_cast<unsigned>(header.size())) +
         header + data;
}

std::string header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

class Npy : public testing::Test {
 protected:
  void expect_refused(const std::string& bytes, const std::vector<std::string>& parts) const {
    const auto path = folder_.write("x.npy", bytes);
    std::vector<std::string> all = {"x.npy"};
    all.insert(all.end(), parts.begin(), parts.end());
    expect_error([&] { (void)read_npy_matrix(path); }, all);
  }
  TemporaryDirectory folder_;
};

TEST_F(Npy, FloatsComeBackBitForBitInAnyNumberOfDimensions) {
  const std::vector<float> values = {1.5F,
                                     -0.0F,
                                     std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::denorm_min(),
                                     3e38F,
                                     -7.0F};
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{6}, {2, 3}, {1, 2, 3, 1}}) {
    write_npy(folder_ / "x.npy", shape, std::span<const float>(values));
    const NpyArray array = read_npy(folder_ / "x.npy");
    ASSERT_FALSE(array.is_double());
    EXPECT_EQ(array.shape, shape);
    ASSERT_EQ(array.floats().size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(array.floats()[i]),
                std::bit_cast<std::uint32_t>(values[i]));
    }
  }
}

TEST_F(Npy, DoublesScalarsAndEmptyMatricesComeBack) {
  const std::vector<double> values = {0.1};
  write_npy(folder_ / "scalar.npy", std::vector<std::int64_t>{}, std::span<const double>(values));
  EXPECT_EQ(read_npy(folder_ / "scalar.npy").doubles(), values);
  write_npy(folder_ / "empty.npy", std::vector<std::int64_t>{3, 0}, std::span<const double>());
  const NpyArray empty = read_npy_matrix(folder_ / "empty.npy");
  EXPECT_EQ(empty.shape, (std::vector<std::int64_t>{3, 0}));
  EXPECT_TRUE(empty.doubles().empty());
}

TEST_F(Npy, DataStartAtAMultipleOf64BytesAsTheFormatAsks) {
  const std::vector<float> values(12, 1.0F);
  const std::string bytes =
      npy_bytes(std::vector<std::int64_t>{3, 4}, std::span<const float>(values));
  EXPECT_EQ((bytes.size() - 48) % 64, 0U);
  EXPECT_NE(bytes.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"),
            std::string::npos);
}

TEST_F(Npy, Version2IsReadToo) {
  const std::string text = header("<f4", "False", "(1, 1)");
  const std::string bytes = "\x93NUMPY" + std::string("\2\0", 2) +
                            le16(static_cast<unsigned>(text.size())) + std::string(2, '\0') + text +
                            std::string(4, '\0');
  EXPECT_EQ(read_npy(folder_.write("v2.npy", bytes)).floats(), std::vector<float>{0.0F});
}

TEST_F(Npy, OtherTypesAreRefusedNamingWhatIsAccepted) {
  expect_refused(npy(header("<i8", "False", "(1, 1)"), std::string(8, '\0')),
                 {"'<i8'", "accepted: float32 ('<f4') or float64 ('<f8')"});
  expect_refused(npy(header(">f4", "False", "(1, 1)"), std::string(4, '\0')), {"'>f4'"});
  expect_refused(npy(header("<f2", "False", "(1, 1)"), std::string(2, '\0')), {"'<f2'"});
  expect_refused(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1, 1)}", "1234"),
                 {"structured type"});
}

TEST_F(Npy, FortranOrderIsRefused) {
  expect_refused(npy(header("<f4", "True", "(2, 2)"), std::string(16, '\0')),
                 {"found Fortran order", "accepted: C order"});
}

TEST_F(Npy, AMatrixHasTwoDimensions) {
  expect_refused(npy(header("<f4", "False", "(4,)"), std::string(16, '\0')),
                 {"shape (4,) with 1 dimensions", "accepted: two dimensions"});
}

TEST_F(Npy, TruncatedAndOverlongDataAreRefused) {
  expect_refused(npy(header("<f4", "False", "(2, 2)"), std::string(12, '\0')),
                 {"shape (2, 2) needs 4 elements of 4 bytes", "found 12 bytes", "truncated"});
  expect_refused(npy(header("<f4", "False", "(2, 2)"), std::string(20, '\0')), {"too long"});
  expect_refused("\x93NUMPY" + std::string("\1\0\x40\0{'d", 7), {"truncated in its header"});
}

TEST_F(Npy, AHugeShapeIsRefusedBeforeAnythingIsAllocated) {
  expect_refused(npy(header("<f8", "False", "(4611686018427387904, 4)"), std::string(8, '\0')),
                 {"more than 2^63", "found 8 bytes"});
  expect_refused(npy(header("<f8", "False", "(1099511627776, 1024)"), std::string(8, '\0')),
                 {"truncated"});
  expect_refused(npy(header("<f4", "False", "(99999999999999999999, 1)"), ""), {"malformed shape"});
}

TEST_F(Npy, AnythingElseIsNoNpyFile) {
  expect_refused("PK\3\4 a zip archive", {"no NumPy magic"});
  expect_refused("", {"no NumPy magic"});
  expect_refused("\x93NUMPY" + std::string("\3\0", 2) + "abcd",
                 {"found NumPy format 3.0", "accepted: 1.0 or 2.0"});
  expect_refused(npy("{'descr': '<f4'}", ""), {"lacks descr, fortran_order or shape"});
  expect_refused(npy("garbage", ""), {"malformed header"});
  expect_refused(npy("{'descr': '<f4", ""), {"a quote is not closed"});
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}", ""),
                 {"malformed shape"});
}

}  // namespace
}  // namespace narrowmac
