#include "models/cost/rtl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/cost/step_vectors.h"
#include "models/design/config.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"

namespace narrowmac {
namespace {

RtlDesign design_of(const std::string& keys) {
  RtlDesign design;
  design.mac = parse_mac(ConfigTable::parse("[mac]\n" + keys, "test").table("mac"));
  return design;
}

constexpr const char* kE5m2 = "a = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e6m5\"\n";

std::string error_of(const RtlDesign& design) {
  try {
    check_rtl(design);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool installed(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (std::filesystem::exists(std::filesystem::path(folder) / program)) return true;
  }
  return false;
}

/// A folder of its own for each test.
class Rtl : public testing::Test {
 protected:
  Rtl() : folder_(testing::TempDir() + "rtl-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Rtl() override { std::filesystem::remove_all(folder_); }
  Rtl(const Rtl&) = delete;
  Rtl& operator=(const Rtl&) = delete;

  /// What the emitted testbench says in Icarus.
  std::string simulate(const std::vector<RtlFile>& files) const {
    for (const RtlFile& file : files) {
      std::ofstream(folder_ / file.name, std::ios::binary) << file.text;
    }
    const std::string command = "cd '" + folder_.string() +
                                "' && iverilog -g2001 -o tb -c files.f mac_tb.v >log 2>&1 && "
                                "vvp tb >>log 2>&1";
    const int code = std::system(command.c_str());
    std::ostringstream text;
    text << std::ifstream(folder_ / "log").rdbuf();
    return code == 0 ? text.str() : "failed: " + text.str();
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(Rtl, TestbenchPassesInIcarusForEveryKindOfDesign) {
  if (!installed("iverilog")) GTEST_SKIP() << "no iverilog; scripts/setup installs it";
  RtlDesign pipelined = design_of(
      std::string(kE5m2) + "rounding = \"stochastic\"\nrandom_bits = 6\nproduct = \"e5m4\"\n");
  pipelined.multiplier_stages = 3;
  pipelined.adder_stages = 3;
  pipelined.interleave = 4;
  const RtlDesign designs[] = {
      pipelined,
      design_of(std::string(kE5m2) +
                "overflow = \"saturate\"\nsubnormals = false\nspecial_values = false\n"),
      design_of("a = \"int8\"\nb = \"uint4\"\naccumulator = \"fx16.-2\"\noverflow = \"wrap\"\n"
                "rounding = \"nearest-away\"\n[mac.chunk]\nlength = 7\naccumulator = \"e5m4\"\n"
                "overflow = \"infinity\"\n"),
      design_of("a = \"e4m3fn\"\nb = \"e2m1\"\naccumulator = \"e5m7\"\n"
                "rounding = \"truncate-aligned\"\nguard_bits = 1\n"),
  };
  for (const RtlDesign& design : designs) {
    EXPECT_NE(simulate(rtl_folder(design)).find("PASS: "), std::string::npos)
        << describe(design.mac) << "\n"
        << simulate(rtl_folder(design));
  }
}

TEST_F(Rtl, TestbenchFailsIfTheRoundingIsWrong) {
  if (!installed("iverilog")) GTEST_SKIP() << "no iverilog; scripts/setup installs it";
  std::vector<RtlFile> files = rtl_folder(design_of(kE5m2));
  for (RtlFile& file : files) {
    const std::string tie = "(odd | sticky |";
    const std::size_t at = file.name == "nm_round_up.v" ? file.text.find(tie) : std::string::npos;
    if (at != std::string::npos) file.text.replace(at, tie.size(), "(~odd | sticky |");
  }
  EXPECT_NE(simulate(files).find("FAIL: "), std::string::npos);
}

/// x^32 + x^22 + x^2 + x + 1, `steps` times.
std::uint32_t lfsr_after(std::uint32_t state, int steps) {
  for (int i = 0; i < steps; ++i) {
    state = state << 1 | ((state >> 31 ^ state >> 21 ^ state >> 1 ^ state) & 1U);
  }
  return state;
}

TEST_F(Rtl, RandomWordsShareNoBitsAndChunksEndWhereTheyShould) {
  if (!installed("iverilog")) GTEST_SKIP() << "no iverilog; scripts/setup installs it";
  std::vector<RtlFile> files = rtl_folder(design_of(kE5m2));
  for (RtlFile& file : files) {
    if (file.name != "mac_tb.v") continue;
    file.text = R"(module mac_tb;
  reg clock = 0, reset = 1, start = 0, last = 0;
  wire [7:0] random;
  wire chunk_end;
  integer i;
  nm_lfsr #(.WORD(8), .SEED(32'h12345)) words(.clock(clock), .reset(reset), .random(random));
  nm_chunk_counter #(.LENGTH(3)) chunks(.clock(clock), .start(start), .last(last), .chunk_end(chunk_end));
  initial begin
    #1 clock = 1; #1 clock = 0; reset = 0;
    for (i = 0; i < 40; i = i + 1) begin
      // Sums of 8 products: chunks of 3, 3 and 2.
      start = i % 8 == 0; last = i % 8 == 7;
      #1 $display("%0d %0d", random, chunk_end);
      clock = 1; #1 clock = 0;
    end
    $finish;
  end
endmodule
)";
  }
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const bool ends = i % 8 == 2 || i % 8 == 5 || i % 8 == 7;
    expected += std::to_string(lfsr_after(0x12345, 8 * i) & 255U) + (ends ? " 1\n" : " 0\n");
  }
  const std::string found = simulate(files);
  EXPECT_NE(found.find(expected), std::string::npos) << found << "\nexpected\n" << expected;
}

TEST(RtlFolder, DependsOnDesignAndSeedOnly) {
  const RtlDesign design = design_of(kE5m2);
  const std::vector<RtlFile> once = rtl_folder(design, 7);
  const std::vector<RtlFile> again = rtl_folder(design, 7);
  const std::vector<RtlFile> other = rtl_folder(design, 8);
  bool differs = false;
  ASSERT_EQ(once.size(), again.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].text, again[i].text) << once[i].name;
    EXPECT_EQ(once[i].text.find('@' + std::string("PREFIX")), std::string::npos) << once[i].name;
    differs = differs || once[i].text != other[i].text;
  }
  EXPECT_TRUE(differs);
}

TEST(RtlFolder, ListsEveryModuleThatItHolds) {
  const std::vector<RtlFile> files = rtl_folder(design_of(kE5m2));
  const auto list = std::find_if(files.begin(), files.end(),
                                 [](const RtlFile& file) { return file.name == "files.f"; });
  ASSERT_NE(list, files.end());
  for (const RtlFile& file : files) {
    if (!file.name.ends_with(".v") || file.name == "mac_tb.v") continue;
    EXPECT_NE(list->text.find("\n" + file.name + "\n"), std::string::npos) << file.name;
  }
}

TEST(RtlDesigns, WithoutVerilogAreRefusedByTheirKey) {
  EXPECT_NE(error_of(design_of(std::string(kE5m2) + "order = \"exact\"\n")).find("mac.order"),
            std::string::npos);
  EXPECT_NE(error_of(design_of(std::string(kE5m2) + "[mac.dot]\nterms = 4\nfraction_bits = 9\n"))
                .find("mac.dot"),
            std::string::npos);
  RtlDesign deep = design_of(kE5m2);
  deep.adder_stages = 4;
  EXPECT_NE(error_of(deep).find("array.adder_latency = 4"), std::string::npos);
  RtlDesign chunked =
      design_of(std::string(kE5m2) + "[mac.chunk]\nlength = 4\naccumulator = \"e6m5\"\n");
  chunked.adder_stages = 2;
  EXPECT_NE(error_of(chunked).find("accepted here: 1..1"), std::string::npos);
  chunked.adder_stages = 1;
  EXPECT_EQ(error_of(chunked), "");
}

TEST(StepVectors, MeetTiesCancellationSubnormalsAndOverflow) {
  const MacDesign mac = design_of(kE5m2).mac;
  const NumberFormat& format = mac.accumulator.format;
  int ties = 0, cancelled = 0, small = 0, infinite = 0, not_numbers = 0;
  for (const StepVector& step : step_vectors(mac, 20000, 1)) {
    const double product = decode(step.a, mac.a) * decode(step.b, mac.b);
    const double before = decode(step.accumulator, format);
    const double next = decode(step.next, format);
    const double exact = before + product;  // 53 bits are enough for these formats' neighbours
    if (std::isnan(next)) ++not_numbers;
    if (std::isinf(next) && std::isfinite(before) && std::isfinite(product)) ++infinite;
    if (!std::isfinite(next)) continue;
    if (next != 0 && std::fabs(next) < format.smallest_normal()) ++small;
    if (product != 0 && std::fabs(exact) < std::fabs(product) / 8) ++cancelled;
    const double unit =
        std::ldexp(1.0, std::max(std::ilogb(next), format.min_exponent()) - format.fraction_bits);
    if (next != 0 && std::fabs(next - exact) == unit / 2) ++ties;
  }
  EXPECT_GT(ties, 100);
  EXPECT_GT(cancelled, 100);
  EXPECT_GT(small, 100);
  EXPECT_GT(infinite, 20);
  EXPECT_GT(not_numbers, 50);
}

TEST(StepVectors, WithoutSpecialValuesHoldNone) {
  const MacDesign mac =
      design_of(std::string(kE5m2) + "overflow = \"saturate\"\nspecial_values = false\n").mac;
  for (const StepVector& step : step_vectors(mac, 5000, 1)) {
    EXPECT_TRUE(std::isfinite(decode(step.a, mac.a)));
    EXPECT_TRUE(std::isfinite(decode(step.accumulator, mac.accumulator.format)));
    EXPECT_TRUE(std::isfinite(decode(step.next, mac.accumulator.format)));
  }
}

}  // namespace
}  // namespace narrowmac
