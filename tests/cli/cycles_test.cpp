#include <gtest/gtest.h>

#include <map>
#include <random>
#include <sstream>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

/// `narrowmac cycles ... --format csv`, row by row.
std::vector<Row> cycles(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cycles");
  arguments.insert(arguments.end(), {"--format", "csv"});
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream stream(outcome.out);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> columns = split(line);
  std::vector<Row> rows;
  while (std::getline(stream, line)) {
    const std::vector<std::string> fields = split(line);
    EXPECT_EQ(fields.size(), columns.size()) << line;
    Row row;
    for (std::size_t i = 0; i < fields.size(); ++i) row[columns[i]] = fields[i];
    rows.push_back(row);
  }
  return rows;
}

std::int64_t number(const Row& row, const std::string& column) {
  return std::stoll(row.at(column));
}

std::int64_t sum(const std::vector<Row>& rows, const std::string& column) {
  std::int64_t total = 0;
  for (const Row& row : rows) total += number(row, column);
  return total;
}

std::int64_t folds_along(std::int64_t size, std::int64_t side) { return (size + side - 1) / side; }

/// SCALE-Sim's count plus one, from the published rule.
std::int64_t scale_sim_cycles(const std::string& dataflow, std::int64_t m, std::int64_t n,
                              std::int64_t k, std::int64_t rows, std::int64_t columns) {
  if (dataflow == "os") {
    return folds_along(m, rows) * folds_along(n, columns) * (k + rows + columns - 2);
  }
  const std::int64_t across = dataflow == "ws" ? n : m;
  const std::int64_t streamed = dataflow == "ws" ? m : n;
  return folds_along(k, rows) * folds_along(across, columns) * (streamed + 2 * rows + columns - 2);
}

class CyclesCommandTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(CyclesCommandTest, EveryRowOfATopologyIsScaleSimsCountPlusOne) {
  std::mt19937 random(1);
  const auto pick = [&random](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  std::string csv =
      "Layer name, IFMAP h, IFMAP w, Filter h, Filter w, Channels, Filters, Stride,\n";
  struct Shape {
    std::int64_t m, n, k;
  };
  std::vector<Shape> shapes;
  for (int layer = 0; layer < 60; ++layer) {
    const int h = pick(1, 60), w = pick(1, 60), fh = pick(1, std::min(h, 7));
    const int fw = pick(1, std::min(w, 7)), c = pick(1, 300), n = pick(1, 300), s = pick(1, 4);
    csv += "L" + std::to_string(layer);
    for (const int value : {h, w, fh, fw, c, n, s}) csv += ", " + std::to_string(value);
    csv += ",\n";
    // ceil((H - F + S) / S) outputs along a side
    const auto outputs = [s](int size, int filter) { return (size - filter + 2 * s - 1) / s; };
    shapes.push_back({std::int64_t{outputs(h, fh)} * outputs(w, fw), n, std::int64_t{fh} * fw * c});
  }
  const std::vector<Row> rows = cycles(
      {folder_.write("net.csv", csv), "--array", "32x32,8x128,96x16,1x7", "--dataflow", "all"});
  ASSERT_EQ(rows.size(), 4U * 3U * 60U);
  const std::int64_t sides[4][2] = {{32, 32}, {8, 128}, {96, 16}, {1, 7}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Shape& shape = shapes[i % 60];
    const Row& row = rows[i];
    ASSERT_EQ(row.at("layer"), "L" + std::to_string(i % 60));
    ASSERT_EQ(number(row, "cycles"), scale_sim_cycles(row.at("dataflow"), shape.m, shape.n, shape.k,
                                                      sides[i / 180][0], sides[i / 180][1]))
        << row.at("array") << " " << row.at("dataflow") << " " << row.at("layer");
  }
}

TEST_F(CyclesCommandTest, SimulatedTransactionsGiveEveryRowOfTheClosedForm) {
  const std::vector<std::string> study = {"cnn",          "--array", "16x16,8x32",
                                          "--dataflow",   "all",     "--passes",
                                          "FWD,BWD,GRAD", "--batch", "2"};
  for (const std::string memory : {"", "ws-64x64-limited"}) {
    std::vector<std::string> arguments = study;
    if (!memory.empty()) arguments.insert(arguments.end(), {"--memory", memory});
    const std::vector<Row> closed_form = cycles(arguments);
    arguments.insert(arguments.end(), {"--fidelity", "transaction"});
    EXPECT_EQ(cycles(arguments), closed_form) << memory;
    EXPECT_EQ(sum(closed_form, "dram_stall_cycles") > 0, !memory.empty());
  }
}

TEST_F(CyclesCommandTest, PartsAddUpToTheCyclesAlsoWithMemoryAndPipelines) {
  const std::string array = folder_.write(
      "array.toml",
      "[array]\nrows = 16\ncolumns = 8\npolicy = 'overlapped'\nmultiplier_latency = 1\n"
      "adder_latency = 3\ninterleave = 2\n[memory]\noperand_scratchpad_bytes = 65536\n"
      "psum_scratchpad_bytes = 4096\nscratchpad_bytes_per_cycle = 32\ndram_bytes_per_cycle = 4\n");
  const std::vector<Row> rows = cycles({"cnn", "--memory", array, "--dataflow", "os,ws,is",
                                        "--passes", "FWD,BWD,GRAD", "--batch", "2"});
  ASSERT_EQ(rows.size(), 3U * 4U * 3U);
  for (const Row& row : rows) {
    EXPECT_EQ(number(row, "cycles"), number(row, "load_cycles") + number(row, "fill_cycles") +
                                         number(row, "compute_cycles") +
                                         number(row, "drain_cycles") + number(row, "stall_cycles"));
    EXPECT_EQ(number(row, "stall_cycles"),
              number(row, "pipeline_stall_cycles") + number(row, "starvation_stall_cycles") +
                  number(row, "psum_spill_stall_cycles") + number(row, "dram_stall_cycles"));
    const double macs = static_cast<double>(number(row, "m") * number(row, "n") * number(row, "k"));
    EXPECT_DOUBLE_EQ(std::stod(row.at("utilization")),
                     macs / (static_cast<double>(number(row, "cycles")) * 16 * 8));
  }
  EXPECT_GT(sum(rows, "pipeline_stall_cycles"), 0);
  EXPECT_GT(sum(rows, "dram_stall_cycles"), 0);
  EXPECT_GT(sum(rows, "psum_spill_stall_cycles"), 0);
}

TEST_F(CyclesCommandTest, OfANetworkHasTheShapesOfItsTrainingStep) {
  // cnn on 1 x 28 x 28, batch 3: conv2 reads 16 channels of 14 x 14 and gives 32
  const std::vector<Row> rows = cycles(
      {"cnn", "--array", "8x8", "--dataflow", "os", "--batch", "3", "--passes", "GRAD,FWD,BWD"});
  ASSERT_EQ(rows.size(), 12U);
  EXPECT_EQ(rows[3].at("layer"), "conv2");
  const std::int64_t pixels = 3 * 14 * 14;
  const std::int64_t expected[3][3] = {
      {pixels, 32, 16 * 9}, {pixels, 16, 32 * 9}, {16 * 9, 32, pixels}};
  const char* passes[] = {"FWD", "BWD", "GRAD"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[3 + i].at("pass"), passes[i]);
    EXPECT_EQ(number(rows[3 + i], "m"), expected[i][0]);
    EXPECT_EQ(number(rows[3 + i], "n"), expected[i][1]);
    EXPECT_EQ(number(rows[3 + i], "k"), expected[i][2]);
  }
  // Without --batch 128 images, as in the shipped runs; --input changes the image.
  const std::string file = std::string(NARROWMAC_CONFIGS_FOLDER) + "/networks/cnn.toml";
  const std::vector<Row> rgb =
      cycles({file, "--array", "8x8", "--dataflow", "os", "--input", "3x32x32"});
  EXPECT_EQ(number(rgb[0], "m"), 128 * 32 * 32);
  EXPECT_EQ(number(rgb[0], "k"), 27);
}

TEST_F(CyclesCommandTest, MarksTheBestDataflowOfEachLayerPassAndArray) {
  const std::vector<Row> rows =
      cycles({"alexnet", "--array", "32x32,16x64", "--dataflow", "all", "--passes", "FWD,GRAD"});
  ASSERT_EQ(rows.size(), 2U * 3U * 8U * 2U);
  for (std::size_t array = 0; array < 2; ++array) {
    for (std::size_t gemm = 0; gemm < 16; ++gemm) {
      std::vector<const Row*> candidates;
      for (std::size_t flow = 0; flow < 3; ++flow) {
        candidates.push_back(&rows[(array * 3 + flow) * 16 + gemm]);
      }
      std::int64_t least = number(*candidates[0], "cycles");
      for (const Row* row : candidates) least = std::min(least, number(*row, "cycles"));
      int marked = 0;
      for (const Row* row : candidates) {
        if (row->at("best") != "yes") continue;
        ++marked;
        EXPECT_EQ(number(*row, "cycles"), least);
      }
      EXPECT_EQ(marked, 1);
    }
  }
}

TEST_F(CyclesCommandTest, NarrowPsumsCutTrafficAndStalls) {
  const auto with_mac = [](const std::string& mac) {
    return cycles({"resnet18", "--memory", "ws-64x64-limited", "--mac", shipped_mac(mac)});
  };
  const std::vector<Row> wide = with_mac("e5m2-fp32");
  const std::vector<Row> narrow = with_mac("e5m2-e6m9");
  const auto dram = [](const std::vector<Row>& rows) {
    return sum(rows, "dram_read_bytes") + sum(rows, "dram_write_bytes");
  };
  EXPECT_EQ(sum(narrow, "psum_write_bytes") * 2, sum(wide, "psum_write_bytes"));
  EXPECT_LT(dram(narrow), 0.6 * static_cast<double>(dram(wide)));
  EXPECT_LT(sum(narrow, "stall_cycles"), 0.6 * static_cast<double>(sum(wide, "stall_cycles")));
}

TEST_F(CyclesCommandTest, AScaleSimConfigGivesArrayDataflowAndMemory) {
  const std::string cfg = folder_.write(
      "a.cfg",
      "[architecture_presets]\nArrayHeight : 16\nArrayWidth : 4\nIfmapSramSzkB : 64\n"
      "FilterSramSzkB : 64\nOfmapSramSzkB : 64\nDataflow : is\nBandwidth : 2\n[run_presets]\n"
      "InterfaceBandwidth : USER\n");
  const std::string csv = folder_.write("g.csv", "name,M,N,K\ng,100,50,70\n");
  const std::vector<Row> rows = cycles({csv, "--memory", cfg});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("array"), "16x4");
  EXPECT_EQ(rows[0].at("dataflow"), "is");
  EXPECT_EQ(number(rows[0], "cycles") - number(rows[0], "stall_cycles"),
            scale_sim_cycles("is", 100, 50, 70, 16, 4));
  EXPECT_GT(number(rows[0], "dram_stall_cycles"), 0);
  const std::vector<Row> wider = cycles({csv, "--memory", cfg, "--array", "32x32"});
  EXPECT_EQ(wider[0].at("array"), "32x32") << "options go over the file";
}

TEST_F(CyclesCommandTest, PoliciesShortenAndTheTableHasTotals) {
  const auto total = [](const std::string& policy) {
    return sum(cycles({"alexnet", "--array", "64x64", "--dataflow", "ws", "--policy", policy}),
               "cycles");
  };
  EXPECT_LT(total("ragged"), total("padded"));
  EXPECT_LT(total("overlapped"), total("padded"));
  const Outcome table =
      run_program({"cycles", "alexnet", "--array", "64x64", "--dataflow", "os,ws"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_NE(table.out.find("Totals"), std::string::npos);
  EXPECT_NE(table.out.find("best"), std::string::npos);
  EXPECT_NE(table.out.find("bound by"), std::string::npos);
}

TEST_F(CyclesCommandTest, WhatIsWrongIsNamedAndTheExitCodeIs2) {
  const std::string csv = folder_.write("bad.csv", "name,M,N,K\ng,1,x,3\n");
  const std::string cfg = folder_.write("bad.cfg", "[general]\nArrayHeihgt = 4\n");
  const std::string no_memory =
      folder_.write("array.toml", "[array]\nrows = 4\ncolumns = 4\ndataflow = 'os'\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{csv, "--array", "8x8", "--dataflow", "os"}, "bad.csv:2: N: found 'x'"},
      {{"cnn", "--memory", cfg}, "bad.cfg:2: unknown key 'ArrayHeihgt'"},
      {{"cnn", "--memory", no_memory}, "memory: missing"},
      {{"cnn", "--dataflow", "os"}, "--array: missing"},
      {{"cnn", "--array", "8x8"}, "--dataflow: missing"},
      {{"cnn", "--array", "8x", "--dataflow", "os"}, "--array: found '8x'"},
      {{"cnn", "--array", "8x8,0x4", "--dataflow", "os"}, "--array: found '0x4'"},
      {{"nothing", "--array", "8x8", "--dataflow", "os"}, "found \"nothing\"; accepted:"},
      {{"none.csv", "--array", "8x8", "--dataflow", "os"}, "none.csv: cannot be read"},
      {{"alexnet", "--array", "8x8", "--dataflow", "os", "--input", "3x8x8"}, "--input:"},
      {{"cnn", "--array", "8x8", "--dataflow", "os", "--input", "3x8"}, "--input: found '3x8'"},
      {{"cnn", "--array", "8x8", "--dataflow", "rs"}, "--dataflow"},
      {{"cnn", "--array", "8x8", "--dataflow", "os", "--passes", "fwd"}, "--passes"},
  };
  for (const auto& [arguments, message] : cases) {
    std::vector<std::string> command = {"cycles"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run_program(command);
    EXPECT_EQ(outcome.exit_code, 2) << message;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_TRUE(outcome.out.empty());
  }
}

}  // namespace
}  // namespace narrowmac
