#include "sim/experiment/run_config.h"

#include <gtest/gtest.h>

#include <set>

#include "models/theory/accumulation_length.h"
#include "sim/experiment/files.h"
#include "sim/experiment/mac_config.h"
#include "sim/experiment/presets.h"
#include "sim/experiment/sweep_points.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/run_config_file.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

TEST_F(RunConfigFile, OperandFormatsFollowFromTheFormats) {
  const RunConfig config = read(kRun);
  const auto text = [&](Pass pass) { return describe(*config.training.macs.find("fc1", pass)); };
  EXPECT_TRUE(text(Pass::Forward).starts_with("e5m2 x e5m2 -> e6m9")) << text(Pass::Forward);
  EXPECT_TRUE(text(Pass::Backward).starts_with("e4m3 x e5m2 -> e6m9")) << text(Pass::Backward);
  EXPECT_TRUE(text(Pass::Gradient).starts_with("e5m2 x e4m3 -> e6m9")) << text(Pass::Gradient);
}

TEST_F(RunConfigFile, WithoutMacEveryGemmIsFp32) {
  EXPECT_EQ(read(kRun, {"mac=false"}).training.macs.find("fc1", Pass::Forward), nullptr);
  EXPECT_TRUE(read(kRun, {"formats=false"}).training.formats.gradient.is_identity());
}

TEST_F(RunConfigFile, APassInheritsEveryKeyItDoesNotSet) {
  const RunConfig config =
      read(std::string(kRun) + "[mac.GRAD]\nrounding = \"toward-zero\"\nchunk = false\n");
  const MacDesign& grad = *config.training.macs.find("fc1", Pass::Gradient);
  EXPECT_EQ(grad.accumulator.format, NumberFormat::parse("e6m9"));
  EXPECT_EQ(grad.accumulator.rounding.mode, RoundingMode::TowardZero);
  EXPECT_FALSE(grad.chunk.has_value());
  EXPECT_EQ(config.training.macs.find("fc1", Pass::Forward)->chunk->length, 64);
}

TEST_F(RunConfigFile, TensorsThatEnterAnArrayWithoutSubnormalsHaveNone) {
  const RunConfig config = read(kRun, {"mac.subnormals=false"});
  EXPECT_FALSE(config.training.formats.activation.conversion.subnormals);
  EXPECT_FALSE(config.training.formats.weight.conversion.subnormals);
  EXPECT_FALSE(config.training.formats.gradient.conversion.subnormals);
  EXPECT_TRUE(config.training.formats.weight_update.conversion.subnormals);
}

TEST_F(RunConfigFile, AMacWithoutSubnormalsRefusesTensorsWithThem) {
  expect_refused(std::string(kRun) + "[mac.GRAD]\nsubnormals = false\n", {},
                 {"formats", "activation", "conv1", "GRAD", "subnormals = false"});
  const RunConfig config = read(
      kRun, {"mac.subnormals=false", "mac.FWD.subnormals=true"});  // flushed tensors suit any MAC
  EXPECT_FALSE(config.training.formats.activation.conversion.subnormals);
}

TEST_F(RunConfigFile, LaterLayerEntriesGoOverEarlierOnes) {
  const RunConfig config = read(std::string(kRun) +
                                "[[mac.layer]]\nname = \"fc1\"\naccumulator = \"fp32\"\n"
                                "[[mac.layer]]\nname = \"fc1\"\npass = \"BWD\"\nchunk = false\n");
  const MacAssignment& macs = config.training.macs;
  EXPECT_EQ(macs.find("fc1", Pass::Forward)->accumulator.format, NumberFormat::parse("fp32"));
  EXPECT_TRUE(macs.find("fc1", Pass::Forward)->chunk.has_value());
  EXPECT_EQ(macs.find("fc1", Pass::Backward)->accumulator.format, NumberFormat::parse("fp32"));
  EXPECT_FALSE(macs.find("fc1", Pass::Backward)->chunk.has_value());
  EXPECT_EQ(macs.find("conv1", Pass::Backward)->accumulator.format, NumberFormat::parse("e6m9"));
}

TEST_F(RunConfigFile, TheResolvedFileIsTheSameRun) {
  const std::string extras[] = {
      "", "[mac.GRAD]\nrounding = \"stochastic\"\nrandom_bits = 9\n[mac.BWD]\nchunk = false\n",
      "[[mac.layer]]\nname = \"fc1\"\npass = \"FWD\"\naccumulator = \"fx24.4\"\noverflow = "
      "\"saturate\"\nchunk = false\n[array]\nrows = 64\ndataflow = \"ws\"\n[memory]\n"
      "operand_scratchpad_bytes = 65536\npsum_scratchpad_bytes = 65536\n"
      "scratchpad_bytes_per_cycle = 64\ndram_bytes_per_cycle = 12.5\ndram_latency_cycles = 100\n"};
  for (const std::string& extra : extras) {
    for (const std::vector<std::string>& set : std::vector<std::vector<std::string>>{
             {},
             {"training.loss_scale=dynamic", "data.train_images=100", "observe.sample=4"},
             {"training.schedule={kind = \"step\", milestones = [1, 3], factor = 0.3}",
              "data.normalisation={scale = 0.1, mean = [0.25], deviation = [0.3]}"},
             {"mac.product=\"e5m4\"", "mac.product_rounding=toward-zero"}}) {
      const RunConfig config = read(kRun + extra, set);
      const std::string text = to_toml(config, "tiny.toml");
      const RunConfig back = read_run_config(folder_.write("resolved.toml", text));
      EXPECT_EQ(to_toml(back, "tiny.toml"), text);
      EXPECT_EQ(run_hash(back), run_hash(config));
    }
  }
}

TEST_F(RunConfigFile, TheFp32RunComesBackWithoutMac) {
  const RunConfig config = read(kRun, {"mac=false", "formats=false"});
  const std::string text = to_toml(config, "tiny.toml");
  EXPECT_EQ(text.find("[mac"), std::string::npos);
  EXPECT_EQ(run_hash(read_run_config(folder_.write("resolved.toml", text))), run_hash(config));
}

const std::vector<std::string> kQuantised = {"formats=false", "quantization.gradient=psq",
                                             "quantization.activation_bits=7",
                                             "quantization.gradient_bits=4"};

std::vector<std::string> quantised_with(const std::vector<std::string>& more) {
  std::vector<std::string> set = kQuantised;
  set.insert(set.end(), more.begin(), more.end());
  return set;
}

TEST_F(RunConfigFile, QuantizationMakesOperandsTheUnsignedIntegersOfTheirCodes) {
  const RunConfig config = read(kRun, kQuantised);
  const auto text = [&](Pass pass) { return describe(*config.training.macs.find("fc1", pass)); };
  EXPECT_TRUE(text(Pass::Forward).starts_with("ufx7.0 x ufx8.0 -> e6m9")) << text(Pass::Forward);
  EXPECT_TRUE(text(Pass::Backward).starts_with("ufx4.0 x ufx8.0 -> e6m9")) << text(Pass::Backward);
  EXPECT_TRUE(text(Pass::Gradient).starts_with("ufx7.0 x ufx8.0 -> e6m9")) << text(Pass::Gradient);
}

TEST_F(RunConfigFile, GradientsThatAreNotQuantisedAreMultipliedInFp32) {
  const RunConfig config = read(kRun, {"formats=false", "quantization.gradient=none"});
  EXPECT_NE(config.training.macs.find("fc1", Pass::Forward), nullptr);
  EXPECT_EQ(config.training.macs.find("fc1", Pass::Backward), nullptr);
  EXPECT_EQ(config.training.macs.find("fc1", Pass::Gradient), nullptr);
}

TEST_F(RunConfigFile, QuantizationComesBackFromTheResolvedFile) {
  for (const std::vector<std::string>& set :
       {kQuantised, quantised_with({"mac=false", "quantization.rounding=nearest"}),
        std::vector<std::string>{"formats=false", "quantization.gradient=none"},
        quantised_with({"mac.BWD.accumulator=e6m7", "formats={weight_update=\"bf16\"}"})}) {
    const RunConfig config = read(kRun, set);
    const std::string text = to_toml(config, "tiny.toml");
    const RunConfig back = read_run_config(folder_.write("resolved.toml", text));
    EXPECT_EQ(back.training.quantization, config.training.quantization);
    EXPECT_EQ(to_toml(back, "tiny.toml"), text);
    EXPECT_EQ(run_hash(back), run_hash(config));
    EXPECT_NE(run_hash(back), run_hash(read(kRun, {"formats=false"})));
  }
  EXPECT_FALSE(read(kRun, {"quantization=false"}).training.quantization);
}

TEST_F(RunConfigFile, WhatIsWrongInQuantizationIsRefusedWithItsKey) {
  expect_refused(kRun, {"quantization.gradient=bhq"},
                 {"run.toml:", "formats.activation", "[quantization]", "formats = false"});
  expect_refused(kRun, {"formats=false", "quantization.gradient=lsq"},
                 {"quantization.gradient", "lsq", "ptq", "psq", "bhq", "none"});
  expect_refused(kRun, {"formats=false", "quantization.weight_bits=8"},
                 {"quantization", "gradient"});
  for (const char* key :
       {"activation_bits", "weight_bits", "gradient_bits", "weight_gradient_bits"}) {
    for (const char* bits : {"1", "17", "\"wide\""}) {
      expect_refused(kRun, quantised_with({std::string("quantization.") + key + "=" + bits}),
                     {key, bits[0] == '"' ? "wide" : bits});
    }
  }
  expect_refused(kRun, quantised_with({"quantization.rounding=up"}),
                 {"quantization.rounding", "up", "stochastic", "nearest-even"});
  expect_refused(kRun, quantised_with({"quantization.gradient_bit=4"}), {"gradient_bit"});
  expect_refused(kRun, {"quantization=true"}, {"quantization", "true", "false"});
  const std::vector<std::string> qat = {"formats=false", "quantization.gradient=none"};
  for (const char* key : {"gradient_bits=4", "weight_gradient_bits=8", "rounding=stochastic"}) {
    std::vector<std::string> set = qat;
    set.push_back(std::string("quantization.") + key);
    expect_refused(kRun, set, {"quantization.", "none", "fp32"});
  }
  std::vector<std::string> set = qat;
  set.emplace_back("mac.BWD.accumulator=e6m3");
  expect_refused(kRun, set, {"mac.BWD", "none", "fp32"});
  expect_refused(std::string(kRun) + "[[mac.layer]]\nname = \"fc1\"\npass = \"GRAD\"\n", qat,
                 {"mac.layer", "none", "fp32"});
}

TEST_F(RunConfigFile, TheHashSeesWhatDeterminesResultsAndNothingElse) {
  const std::string hash = run_hash(read(kRun));
  EXPECT_EQ(hash.size(), 16U);
  EXPECT_EQ(run_hash(read(kRun, {"run.name=other", "data.path=elsewhere"})), hash);
  EXPECT_EQ(run_hash(read(std::string("# a comment\n") + kRun)), hash);
  EXPECT_EQ(run_hash(read(kRun, {"training.momentum=0.9"})), hash) << "the default spelled out";
  for (const char* change :
       {"run.seed=4", "data.train_images=7", "training.learning_rate=0.050000000000000003122",
        "training.batch=17", "formats.gradient=e5m2", "mac.chunk.length=63", "array.rows=16",
        "observe.rows=3", "mac.accumulator=e6m8"}) {
    if (std::string(change).find("003122") != std::string::npos) {
      EXPECT_EQ(run_hash(read(kRun, {change})), hash) << "the same double";
    } else {
      EXPECT_NE(run_hash(read(kRun, {change})), hash) << change;
    }
  }
  folder_.write("tiny.toml", std::string(kNetwork) + "bias = false\n");
  EXPECT_NE(run_hash(read(kRun)), hash) << "another network in the same file";
}

TEST_F(RunConfigFile, TheHashOfAKnownRunStaysWhatItIs) {
  // Sweeps find their finished points by it: a change here makes everybody compute again.
  EXPECT_EQ(run_hash(read(kRun)), "4f87dcfcf7481d6f");
}

/// A run file whose images exist: theory needs their shape.
class PredictedMantissa : public testing::Test {
 protected:
  static MacDesign mac(const RunConfig& config, const std::string& layer, Pass pass) {
    return *config.training.macs.find(layer, pass);
  }
  static int bits(const RunConfig& config, const std::string& layer, Pass pass) {
    return mac(config, layer, pass).accumulator.format.fraction_bits;
  }
  RunConfig read(const std::vector<std::string>& set) const {
    return read_run_config(run_ / "run.toml", set);
  }
  TinyRun run_;
};

int theory(std::int64_t length, std::int64_t chunk = 0) {
  Accumulation sum;
  sum.length = length;
  sum.chunk = chunk;
  return minimum_mantissa(sum);
}

TEST_F(PredictedMantissa, IsTheTheorysForEveryLayerAndPass) {
  const RunConfig config = read({"mac.accumulator_mantissa=predicted+1"});
  EXPECT_EQ(bits(config, "conv1", Pass::Forward), theory(9) + 1);
  EXPECT_EQ(bits(config, "conv1", Pass::Gradient), theory(10 * 6 * 6) + 1);
  EXPECT_EQ(bits(config, "fc1", Pass::Forward), theory(4 * 6 * 6) + 1);
  EXPECT_GT(theory(10 * 6 * 6), theory(9));
  EXPECT_EQ(mac(config, "fc1", Pass::Forward).accumulator.format.to_string(), "e6m6");
}

TEST_F(PredictedMantissa, IsThatOfBothAccumulatorsOfAChunk) {
  const RunConfig config = read({"training.batch=96", "mac.accumulator_mantissa=predicted",
                                 "mac.chunk={length = 8, accumulator = \"e6m20\"}"});
  const MacDesign design = mac(config, "conv1", Pass::Gradient);
  EXPECT_EQ(design.accumulator.format.fraction_bits, theory(96 * 36, 8));
  EXPECT_EQ(design.chunk->accumulator.format, design.accumulator.format);
}

TEST_F(PredictedMantissa, HoldsInOnePassOnlyIfThatPassSaysSo) {
  const RunConfig config = read({"mac.GRAD.accumulator_mantissa=predicted-2"});
  EXPECT_EQ(bits(config, "conv1", Pass::Gradient), theory(360) - 2);
  EXPECT_EQ(bits(config, "conv1", Pass::Forward), 5);
  const RunConfig inherited =
      read({"mac.accumulator_mantissa=predicted", "mac.GRAD.accumulator=e6m11"});
  EXPECT_EQ(bits(inherited, "conv1", Pass::Gradient), 11) << "a table that names its accumulator";
  EXPECT_EQ(bits(inherited, "conv1", Pass::Forward), theory(9));
}

TEST_F(PredictedMantissa, ANumberIsTheSameInEveryLayerAndNoWidthIsBelowOne) {
  EXPECT_EQ(bits(read({"mac.accumulator_mantissa=7"}), "fc1", Pass::Backward), 7);
  EXPECT_EQ(bits(read({"mac.accumulator_mantissa=predicted-20"}), "fc1", Pass::Backward), 1);
}

TEST_F(PredictedMantissa, ExtraBitsComeOnTopOfTheRule) {
  EXPECT_EQ(bits(read({"mac.accumulator_mantissa=7", "mac.accumulator_extra_bits=-3"}), "fc1",
                 Pass::Forward),
            4);
}

TEST_F(PredictedMantissa, IsAPlainFormatInTheResolvedFile) {
  const RunConfig config = read({"mac.accumulator_mantissa=predicted"});
  const std::string text = to_toml(config, "tiny.toml");
  EXPECT_EQ(text.find("predicted"), std::string::npos);
  EXPECT_EQ(run_hash(read_run_config(run_.write("resolved.toml", text))), run_hash(config));
}

TEST_F(PredictedMantissa, IsRefusedWhereItMeansNothing) {
  for (const char* value : {"\"predicted*2\"", "\"predicted-\"", "\"wide\"", "0", "24"}) {
    expect_error([&] { (void)read({std::string("mac.accumulator_mantissa=") + value}); },
                 {"mac.accumulator_mantissa"});
  }
  expect_error(
      [&] {
        (void)read({"mac.accumulator=int32", "mac.overflow=saturate",
                    "mac.accumulator_mantissa=predicted"});
      },
      {"accumulator_mantissa", "conv1", "eXmY"});
}

TEST_F(RunConfigFile, UnknownKeysAreRefusedWithTheNearestKnownOne) {
  expect_refused(std::string(kRun) + "roundin = \"down\"\n", {},
                 {"run.toml", "mac.chunk.roundin", "unknown key", "rounding"});
  expect_refused(kRun, {"training.lerning_rate=0.1"},
                 {"--set training.lerning_rate=0.1", "did you mean 'learning_rate'"});
  expect_refused(kRun, {"trainin.epochs=1"}, {"trainin", "did you mean 'training'"});
}

TEST_F(RunConfigFile, ASettingIsKeyAndValue) {
  expect_refused(kRun, {"training.epochs"}, {"--set training.epochs", "accepted: KEY=VALUE"});
  expect_refused(kRun, {"training.epochs=many"}, {"training.epochs", "expected an integer"});
  expect_refused(kRun, {"training.epochs=0"}, {"training.epochs", "found 0"});
}

TEST_F(RunConfigFile, OperandFormatsMustNotBeSetInMac) {
  expect_refused(kRun, {"mac.a=e4m3"}, {"mac.a", "must not be set"});
}

TEST_F(RunConfigFile, ALayerMustExistAndHaveAGemm) {
  for (const char* name : {"relu1", "conv9"}) {
    expect_refused(std::string(kRun) + "[[mac.layer]]\nname = \"" + name + "\"\n", {},
                   {name, "accepted: the layers of tiny with a GEMM: conv1, fc1"});
  }
}

TEST_F(RunConfigFile, ValuesOutOfRangeSayWhatIsAccepted) {
  expect_refused(kRun, {"training.momentum=1"}, {"training.momentum", "at least 0, below 1"});
  expect_refused(kRun, {"training.schedule=linear"}, {"training.schedule", "\"cosine\""});
  expect_refused(kRun, {"training.loss_scale=0"}, {"training.loss_scale", "above 0"});
  expect_refused(kRun, {"training.loss_scale=auto"}, {"training.loss_scale", "\"dynamic\""});
  expect_refused(kRun, {"training.optimizer=adam"}, {"training.optimizer", "accepted: sgd"});
  expect_refused(kRun, {"data.dataset=imagenet"},
                 {"data.dataset", "fashion-mnist, mnist, cifar10"});
  expect_refused(kRun, {"run.name=a/b"}, {"run.name", "letters, digits"});
  expect_refused(kRun, {"mac=true"}, {"mac", "false for none"});
  expect_refused(kRun, {"data.normalisation={deviation = [0]}"}, {"deviation", "above 0"});
}

TEST_F(RunConfigFile, PrecisionStatisticsAreThoseOfAFullPrecisionRun) {
  const std::string full = "observe.precision=true";
  EXPECT_TRUE(read(kRun, {full, "mac=false", "formats=false"}).precision);
  EXPECT_FALSE(read(kRun).precision);
  expect_refused(kRun, {full},
                 {"observe.precision", "found true beside [mac]", "full-precision", "mac = false"});
  expect_refused(kRun, {full, "mac=false"}, {"observe.precision", "[formats]", "formats = false"});
  expect_refused(kRun, {full, "mac=false", "formats={weight_update = \"e5m10\"}"}, {"[formats]"});
  expect_refused(kRun, {full, "mac=false", "formats=false", "quantization.gradient=psq"},
                 {"observe.precision", "[quantization]", "quantization = false"});
}

TEST_F(RunConfigFile, ARunWithPrecisionStatisticsIsAnotherRunThanOneWithout) {
  const RunConfig without = read(kRun, {"mac=false", "formats=false"});
  const RunConfig with = read(kRun, {"mac=false", "formats=false", "observe.precision=true"});
  EXPECT_NE(run_hash(with), run_hash(without));
  EXPECT_EQ(to_toml(without, "tiny.toml").find("precision"), std::string::npos);
  EXPECT_TRUE(read(to_toml(with, "tiny.toml")).precision);
}

TEST_F(RunConfigFile, ANetworkIsAFileOrAPreset) {
  expect_refused(kRun, {"network.preset=cnn"}, {"network", "both file and preset"});
  expect_refused(kRun, {"network.file=missing.toml"}, {"network.file", "missing.toml"});
  expect_refused(kRun, {"network={preset = \"cnnn\"}"}, {"network.preset", "cnnn", "accepted"});
  EXPECT_EQ(read(kRun, {"network={preset = \"cnn\"}"}).network.name, "cnn");
}

TEST_F(RunConfigFile, FashionMnistHasADefaultFolderAndTheOthersHaveNone) {
  EXPECT_EQ(read(kRun, {"data={dataset = \"fashion-mnist\"}"}).data.folder,
            "/usr/share/datasets/fashion-mnist");
  expect_refused(kRun, {"data={dataset = \"mnist\"}"}, {"data.path", "is missing"});
}

TEST(ShippedFiles, EveryExperimentAndSweepIsReadAndBeginsWithALineThatSaysWhatItIs) {
  const auto experiments = list_presets("experiments");
  EXPECT_GE(experiments.size(), 6U);
  for (const std::filesystem::path& path : experiments) {
    EXPECT_NO_THROW((void)read_run_config(path)) << path;
    EXPECT_TRUE(read_file(path).starts_with("# ")) << path;
  }
  const std::map<std::string, std::size_t> points = {{"quickstart", 12},
                                                     {"quickstart-three-seeds", 36},
                                                     {"int8-accumulators", 4},
                                                     {"adders", 36},
                                                     {"prediction-cnn", 165},
                                                     {"prediction-resnet8", 165},
                                                     {"seed-gradient-quantizers", 65},
                                                     {"seed-assignment", 110},
                                                     {"seed-accumulators", 40}};
  for (const std::filesystem::path& path : list_presets("sweeps")) {
    EXPECT_TRUE(read_file(path).starts_with("# ")) << path;
    const auto known = points.find(path.stem().string());
    ASSERT_NE(known, points.end()) << path;
    EXPECT_EQ(read_sweep(path, {}).size(), known->second) << path;
  }
}

}  // namespace
}  // namespace narrowmac
