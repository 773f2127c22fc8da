#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/cli/npy_text.h"
#include "tests/cli/program.h"

namespace narrowmac {
namespace {

class GemmRefusal : public testing::Test {
 protected:
  /// Expects exit code 2, the parts in the message, nothing on standard output and no result.
  void expect(const std::string& mac, const std::string& a, const std::string& b,
              const std::vector<std::string>& parts, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "gemm", "--mac", mac, "--a", a, "--b", b, "--out", folder_.file("C.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
    EXPECT_FALSE(std::filesystem::exists(folder_.file("C.npy")));
    for (const std::string& part : parts) {
      EXPECT_NE(outcome.err.find(part), std::string::npos)
          << "'" << part << "' is not in: " << outcome.err;
    }
  }
  void expect_mac(const std::string& text, const std::vector<std::string>& parts) {
    const std::string file = folder_.write("bad.toml", text);
    expect(file, good_, good_, parts);
  }
  void expect_npy(const std::string& bytes, const std::vector<std::string>& parts) {
    const std::string file = folder_.write("bad.npy", bytes);
    std::vector<std::string> all = parts;
    all.push_back(file);
    expect(mac_, file, good_, all);
  }

  TemporaryFolder folder_;
  std::string mac_ = shipped_mac("e5m2-e6m9");
  std::string good_ = folder_.write("good.npy", matrix_bytes(2, 2, {1, 2, 3, 4}));
};

const std::string kMac = "[mac]\na = 'e5m2'\nb = 'e5m2'\n";

TEST_F(GemmRefusal, OfAMissingFile) {
  expect(folder_.file("no.toml"), good_, good_, {folder_.file("no.toml"), "No such file"});
  expect(mac_, folder_.file("no.npy"), good_, {folder_.file("no.npy")});
}

TEST_F(GemmRefusal, OfAnUnknownKey) {
  expect_mac(kMac + "acumulator = 'e6m9'\n",
             {"mac.accumulator: is missing; is 'acumulator' meant?"});
  expect_mac(kMac + "accumulator = 'e6m9'\nroundin = 'down'\n",
             {":5: mac.roundin: unknown key; did you mean 'rounding'?"});
}

TEST_F(GemmRefusal, OfAWrongType) {
  expect_mac(kMac + "accumulator = 9\n",
             {":4: mac.accumulator: expected a string, found the integer 9"});
}

TEST_F(GemmRefusal, OfAnUnknownFormat) {
  expect_mac(kMac + "accumulator = 'e6m99'\n",
             {":4: mac.accumulator: number format 'e6m99'", "accepted: eXmY"});
}

TEST_F(GemmRefusal, OfImpossibleDesigns) {
  expect_mac(kMac + "accumulator = 'e6m9'\noverflow = 'wrap'\n",
             {":5: mac.overflow", "is a float"});
  expect_mac(kMac + "accumulator = 'e6m9'\nrounding = 'stochastic'\n",
             {"mac.random_bits", "1..24"});
  expect_mac(kMac +
                 "accumulator = 'e6m9'\n[mac.chunk]\nlength = 64\naccumulator = "
                 "'e6m9'\n[array]\nrows = 32\n"
                 "dataflow = 'ws'\n",
             {"chunk length 64", "32 rows"});
}

TEST_F(GemmRefusal, OfTextThatIsNoToml) {
  expect_mac("[mac\n", {":1:", "not TOML"});
  expect_mac(std::string("[\x01"), {":1:", "not TOML"});
}

TEST_F(GemmRefusal, OfAnNpyFileOfAnotherTypeOrderOrShape) {
  const std::string data(32, '\0');
  expect_npy(npy_with_header("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }", data),
             {"<i4"});
  expect_npy(npy_with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }", data),
             {"ortran"});
  expect_npy(npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }", data),
             {"dimension"});
  expect_npy(npy_with_header("{'descr': '>f8', 'fortran_order': False, 'shape': (2, 2), }", data),
             {">f8"});
}

TEST_F(GemmRefusal, OfATruncatedNpyFile) {
  const std::string whole = matrix_bytes(2, 2, {1, 2, 3, 4});
  expect_npy(whole.substr(0, whole.size() - 1), {});
  expect_npy(whole.substr(0, 40), {});
  expect_npy("", {});
  expect_npy("no npy at all, but longer than a header", {});
}

TEST_F(GemmRefusal, OfShapesThatDoNotFit) {
  const std::string b = folder_.write("b.npy", matrix_bytes(3, 1, {1, 2, 3}));
  expect(
      mac_, good_, b,
      {good_ + " is 2 x 2", b + " is 3 x 1", "the columns of A (2) must equal the rows of B (3)"});
  expect(mac_, good_, good_, {b + " is 3 x 1; accepted: 2 x 2"}, {"--c", b});
}

TEST_F(GemmRefusal, OfNaNForAFixedPointOperand) {
  const std::string a = folder_.write("nan.npy", matrix_bytes(1, 2, {1, std::nan("")}));
  expect(shipped_mac("int8-fx24.0"), a, good_, {a + ": element [0, 1] is NaN", "fx8.0"});
}

TEST_F(GemmRefusal, OfInfinityThatReachesAFixedPointAccumulator) {
  const std::string mac =
      folder_.write("mac.toml", kMac + "accumulator = 'fx24.0'\noverflow = 'wrap'\n");
  expect(mac, folder_.write("big.npy", matrix_bytes(1, 2, {1e9, 1})), good_, {"fx24.0"});
}

TEST_F(GemmRefusal, OfAnInfiniteC0ForAFixedPointAccumulator) {
  const std::string c0 = folder_.write("c0.npy", matrix_bytes(2, 2, {1, 2, HUGE_VAL, 4}));
  expect(shipped_mac("int8-fx24.0"), good_, good_,
         {c0 + ": element [1, 0] is infinity", "accumulator format fx24.0"}, {"--c", c0});
}

TEST_F(GemmRefusal, OfAnImpossibleOrderNamesTheMacFile) {
  const std::string mac =
      folder_.write("mac.toml", kMac + "accumulator = 'e6m9'\n[mac.chunk]\naccumulator = 'e6m9'\n");
  expect(mac, good_, good_, {mac + ": the chunk has no length"});
}

TEST_F(GemmRefusal, OfArraysThatCannotBe) {
  expect(mac_, good_, good_, {"--array", "'32'", "ROWSxCOLUMNS"}, {"--array", "32"});
  expect(mac_, good_, good_, {"--array", "'0x4'"}, {"--array", "0x4"});
  expect(mac_, good_, good_, {"--array", "'4x4x4'"}, {"--array", "4x4x4"});
  expect(mac_, good_, good_, {"--dataflow: needs --array"}, {"--dataflow", "ws"});
  expect(mac_, good_, good_, {"K = 2", "second accumulator"},
         {"--array", "1x4", "--dataflow", "ws"});
  expect(shipped_mac("e5m2-e6m9-chunk64"), good_, good_, {"chunk length 64", "32 rows"},
         {"--array", "32x32", "--dataflow", "is"});
}

TEST(GemmSystemError, AnOutputThatCannotBeWrittenExitsWith1) {
  const TemporaryFolder folder;
  const std::string good = folder.write("good.npy", matrix_bytes(1, 1, {1}));
  const Outcome outcome = run_program({"gemm", "--mac", shipped_mac("e5m2-e6m9"), "--a", good,
                                       "--b", good, "--out", folder.file("no/such/folder/C.npy")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("no/such/folder"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace narrowmac
