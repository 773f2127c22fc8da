#include "sim/experiment/formats_config.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/experiment/sweep_points.h"
#include "tests/experiment/run_config_file.h"

namespace narrowmac {
namespace {

constexpr const char* kFixedLayers = R"([[formats.layer]]
name = "conv1"
activation = { format = "ufx8.8", rounding = "nearest-away", scaling = "none" }
weight = { format = "fx9.8", rounding = "nearest-away", scaling = "none" }
weight_gradient = { format = "fx11.10", rounding = "nearest-away", scaling = "none" }
weight_residual = { format = "fx12.20", rounding = "nearest-away", scaling = "none" }
[[mac.layer]]
name = "fc1"
pass = "BWD"
accumulator = "fp32"
chunk = false
[[formats.layer]]
name = "fc1"
gradient = { format = "fx7.9", scaling = "none" }
)";

TEST_F(RunConfigFile, ALayersFormatsDecideItsOperandsInEveryPass) {
  const RunConfig config = read(std::string(kRun) + kFixedLayers);
  const auto text = [&](const char* layer, Pass pass) {
    return describe(*config.training.macs.find(layer, pass));
  };
  EXPECT_TRUE(
      text("conv1", Pass::Forward).starts_with("ufx8.8 x fx9.8 -> e6m9 nearest-even, chunk"))
      << text("conv1", Pass::Forward);
  EXPECT_TRUE(text("conv1", Pass::Backward).starts_with("e4m3 x fx9.8 -> e6m9"));
  EXPECT_TRUE(text("conv1", Pass::Gradient).starts_with("ufx8.8 x e4m3 -> e6m9"));
  EXPECT_TRUE(text("fc1", Pass::Forward).starts_with("e5m2 x e5m2 -> e6m9"));
  EXPECT_EQ(text("fc1", Pass::Backward), "fx7.9 x e5m2 -> e8m23 nearest-even");
  EXPECT_TRUE(text("fc1", Pass::Gradient).starts_with("e5m2 x fx7.9 -> e6m9"));
  const Formats& formats = config.training.formats;
  EXPECT_EQ(formats.of("conv1").gradient, formats.gradient);
  EXPECT_EQ(formats.of("conv1").weight_residual->conversion.format, NumberFormat::parse("fx12.20"));
  EXPECT_FALSE(formats.of("fc1").weight_residual);
  EXPECT_EQ(config.training.macs.layers().count("conv1"), 0U) << "it has no MAC of its own";
}

TEST_F(RunConfigFile, ExtraBitsGoToTheLowerEndOfAClassAndNotToTheImage) {
  const auto formats = [&](const std::string& set) {
    return read(std::string(kRun) + kFixedLayers, {"formats.extra_bits." + set}).training.formats;
  };
  const Formats weight = formats("weight=-2");
  EXPECT_EQ(weight.of("conv1").weight.conversion.format, NumberFormat::parse("fx7.6"));
  // The residual begins where the weight ends, and ends where it did.
  EXPECT_EQ(weight.of("conv1").weight_residual->conversion.format, NumberFormat::parse("fx14.20"));
  EXPECT_EQ(weight.of("fc1").weight, formats("gradient=1").of("fc1").weight);

  const Formats gradient = formats("gradient=1");
  EXPECT_EQ(gradient.of("fc1").gradient.conversion.format, NumberFormat::parse("fx8.10"));
  EXPECT_EQ(formats("weight_gradient=-3").of("conv1").weight_gradient.conversion.format,
            NumberFormat::parse("fx8.7"));
  EXPECT_EQ(formats("weight_residual=2").of("conv1").weight_residual->conversion.format,
            NumberFormat::parse("fx14.22"));

  // It keeps a sign and a bit where it would vanish.
  EXPECT_EQ(formats("weight=12").of("conv1").weight_residual->conversion.format,
            NumberFormat::parse("fx2.20"));
  EXPECT_EQ(formats("weight_residual=-11").of("conv1").weight_residual->conversion.format,
            NumberFormat::parse("fx2.9"));

  const std::string activation = "formats.activation={format = \"ufx6.5\", scaling = \"none\"}";
  const Formats activations =
      read(kRun, {activation, "formats.extra_bits.activation=-1"}).training.formats;
  EXPECT_EQ(activations.of("conv1").activation.conversion.format, NumberFormat::parse("ufx6.5"))
      << "the image";
  EXPECT_EQ(activations.of("fc1").activation.conversion.format, NumberFormat::parse("ufx5.4"));
}

TEST_F(RunConfigFile, ExtraBitsOfAccumulatorsReachEveryLayersMac) {
  const RunConfig config =
      read(std::string(kRun) + kFixedLayers,
           {"mac.accumulator_extra_bits=-2", "mac.GRAD.accumulator_extra_bits=1"});
  const MacAssignment& macs = config.training.macs;
  EXPECT_EQ(macs.find("conv1", Pass::Forward)->accumulator.format, NumberFormat::parse("e6m7"));
  EXPECT_EQ(macs.find("conv1", Pass::Forward)->chunk->accumulator.format,
            NumberFormat::parse("e6m7"));
  EXPECT_EQ(macs.find("fc1", Pass::Backward)->accumulator.format, NumberFormat::parse("e8m21"));
  EXPECT_EQ(macs.find("fc1", Pass::Gradient)->accumulator.format, NumberFormat::parse("e6m10"));
  const std::string text = to_toml(config, "tiny.toml");
  EXPECT_EQ(to_toml(read_run_config(folder_.write("resolved.toml", text)), "tiny.toml"), text);
}

TEST_F(RunConfigFile, ExtraBitsThatNoFormatHasAreRefused) {
  const auto refuse = [&](const std::string& set, std::vector<std::string> parts) {
    expect_error([&] { (void)read(std::string(kRun) + kFixedLayers, {set}); }, parts);
  };
  refuse("formats.extra_bits.weight=-8", {"weight", "layer conv1", "1 bits", "at least 2"});
  refuse("formats.extra_bits.weight_residual=20", {"weight_residual", "24 bits"});
  refuse("formats.extra_bits.bias=1", {"bias"});
  refuse("mac.accumulator_extra_bits=-9", {"accumulator_extra_bits", "accepted"});
  expect_error([&] { (void)read(kRun, {"formats.extra_bits.weight=1"}); },
               {"weight", "fixed-point format"});
}

TEST_F(RunConfigFile, FormatsOfLayersComeBackFromTheResolvedFile) {
  const std::string all = "formats.weight_residual={format = \"fx10.18\", scaling = \"none\"}";
  const std::string weight = "formats.weight={format = \"fx10.9\", scaling = \"none\"}";
  const std::string out = "formats.layer.1.weight_residual=none";
  std::set<std::string> hashes = {run_hash(read(kRun))};
  for (const std::vector<std::string>& set :
       std::vector<std::vector<std::string>>{{},
                                             {"mac=false"},
                                             {weight, all},
                                             {weight, all, out},
                                             {"training.weight_clip=1"},
                                             {"formats.weight_gradient=e5m2"},
                                             {"mac.layer=[]"}}) {
    const RunConfig config = read(std::string(kRun) + kFixedLayers, set);
    const std::string text = to_toml(config, "tiny.toml");
    const RunConfig back = read_run_config(folder_.write("resolved.toml", text));
    EXPECT_EQ(to_toml(back, "tiny.toml"), text);
    EXPECT_TRUE(hashes.insert(run_hash(back)).second) << text;
    for (const std::string layer : {"conv1", "fc1"}) {
      EXPECT_EQ(back.training.formats.of(layer), config.training.formats.of(layer));
      for (const Pass pass : kPasses) {
        if (!config.mac) continue;
        EXPECT_EQ(*back.training.macs.find(layer, pass), *config.training.macs.find(layer, pass));
      }
    }
  }
}

TEST_F(RunConfigFile, WhatSaysNothingNewChangesNeitherTextNorHash) {
  const RunConfig plain = read(kRun);
  EXPECT_EQ(to_toml(plain, "tiny.toml").find("weight_gradient"), std::string::npos);
  EXPECT_EQ(to_toml(plain, "tiny.toml").find("weight_clip"), std::string::npos);
  const RunConfig spelled =
      read(std::string(kRun) + "[[formats.layer]]\nname = \"fc1\"\ngradient = \"e4m3\"\n",
           {"formats.weight_gradient=fp32", "formats.weight_residual=none"});
  EXPECT_EQ(to_toml(spelled, "tiny.toml"), to_toml(plain, "tiny.toml"));
  EXPECT_EQ(run_hash(spelled), run_hash(plain));
}

TEST_F(RunConfigFile, ASweepsPointReplacesTheFormatsOfLayers) {
  folder_.write("run.toml", std::string(kRun) + kFixedLayers);
  const std::vector<SweepPoint> points = read_sweep(folder_.write("sweep.toml", R"([sweep]
base = "run.toml"
[[sweep.point]]
label = "base"
[[sweep.point]]
label = "one more bit"
[[sweep.point.formats.layer]]
name = "conv1"
weight = { format = "fx10.9", scaling = "none" }
[[sweep.point]]
label = "none"
formats.layer = []
)"),
                                                    {});
  ASSERT_EQ(points.size(), 3U);
  const auto weight = [&](std::size_t point) {
    return points[point].config.training.formats.of("conv1").weight.conversion.format.to_string();
  };
  EXPECT_EQ(weight(0), "fx9.8");
  EXPECT_EQ(weight(1), "fx10.9");
  EXPECT_EQ(weight(2), "e5m2");
  EXPECT_EQ(points[1].config.training.macs.find("conv1", Pass::Forward)->b,
            NumberFormat::parse("fx10.9"));
  EXPECT_EQ(points[1].config.training.formats.layers.count("fc1"), 0U) << "the array is replaced";
  const RunConfig set = read(std::string(kRun) + kFixedLayers,
                             {"formats.layer.0.weight={format = \"fx12.11\", scaling = \"none\"}"});
  EXPECT_EQ(set.training.formats.of("conv1").weight.conversion.format,
            NumberFormat::parse("fx12.11"));
}

TEST_F(RunConfigFile, WhatIsWrongInTheFormatsOfLayersIsRefusedWithItsPlace) {
  const std::string run = std::string(kRun) + kFixedLayers;
  expect_refused(run, {"formats.layer.0.name=conv7"},
                 {"formats.layer", "name", "conv7", "accepted", "conv1, fc1"});
  expect_refused(std::string(kRun) + "[[formats.layer]]\nname = \"relu1\"\n", {},
                 {"run.toml:25: formats.layer.0.name", "relu1", "conv1, fc1"});
  expect_refused(run, {"formats.layer.1.name=conv1"}, {"formats.layer", "\"conv1\" again"});
  expect_refused(run, {"formats.layer.1.weights=e5m2"}, {"formats.layer", "weights"});
  expect_refused(
      run, {"formats.weight_update=bf16"},
      {"run.toml:29: formats.layer.0.weight_residual", "weight_update", "e8m7", "one of the two"});
  const std::string fixed_point = "accepted: weight and weight_residual in fixed point";
  expect_refused(run, {"formats.layer.0.weight_residual=fp32"},
                 {"weight_residual", "residual e8m23", fixed_point});
  expect_refused(run, {"formats.layer.0.weight_residual=fx12.20"},
                 {"residual fx12.20", "scaled to max-abs", fixed_point, "scaling = \"none\""});
  expect_refused(run, {"formats.layer.0.weight=e5m2"}, {"conv1's weight e5m2", fixed_point});
  expect_refused(run, {"formats.layer.0.weight={format = \"fx25.24\", scaling = \"none\"}"},
                 {"weight fx25.24", "24 bits"});
  expect_refused(run, {"formats.weight_residual={format = \"fx9.20\", scaling = \"none\"}"},
                 {"formats.weight_residual", "fc1's weight e5m2", fixed_point});
  expect_refused(run, {"training.weight_clip=0"}, {"training.weight_clip", "above 0"});
  expect_refused(run, {"formats.activation=false"}, {"formats.activation"});
  for (const char* key : {"weight_gradient=\"e5m2\"", "weight_residual=\"none\"", "layer=[]"}) {
    expect_refused(kRun, {std::string("formats={") + key + "}", "quantization.gradient=psq"},
                   {"formats.", "[quantization]", "quantization = false"});
  }
}

TEST_F(RunConfigFile, LayersThatReadOneTensorMustHaveOneFormatForIt) {
  folder_.write("tiny.toml", std::string(kNetwork) + R"([[layer]]
name = "fc2"
type = "linear"
channels = 10
inputs = ["flatten"]
[[layer]]
name = "sum"
type = "add"
inputs = ["fc1", "fc2"]
)");
  const std::string run =
      std::string(kRun) + "[[formats.layer]]\nname = \"fc1\"\nactivation = \"e4m3\"\n";
  expect_refused(run, {},
                 {"run.toml:26: formats.layer.0.activation", "fc2", "fc1", "e5m2", "e4m3",
                  "\"flatten\"", "one format for both"});
  EXPECT_EQ(read(run + "[[formats.layer]]\nname = \"fc2\"\nactivation = \"e4m3\"\n")
                .training.formats.layers.size(),
            2U);
}

}  // namespace
}  // namespace narrowmac
