#include <gtest/gtest.h>

#include <string>

#include "models/design/config.h"
#include "models/quantizers/tensor_quantizer.h"

namespace narrowmac {
namespace {

TensorFormat parse(const std::string& value) {
  const ConfigTable root =
      ConfigTable::parse("[formats]\nactivation = " + value + "\n", "run.toml");
  const TensorFormat result = parse_tensor_format(root.table("formats"), "activation");
  root.reject_unknown();
  return result;
}

std::string message(const std::string& value) {
  try {
    parse(value);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TensorFormat, AStringIsAFormatWithDefaults) {
  const TensorFormat format = parse("\"e5m2\"");
  EXPECT_EQ(format.conversion.format, NumberFormat::parse("e5m2"));
  EXPECT_EQ(format.conversion.rounding, Rounding{});
  EXPECT_EQ(format.conversion.overflow, Overflow::Saturate);
  EXPECT_TRUE(format.conversion.subnormals);
  EXPECT_EQ(format.scaling, Scaling::None);
}

TEST(TensorFormat, FixedPointIsScaledByDefault) {
  EXPECT_EQ(parse("\"int8\"").scaling, Scaling::MaxAbs);
  EXPECT_EQ(parse("{ format = \"fx8.4\" }").scaling, Scaling::MaxAbs);
  EXPECT_EQ(parse("{ format = \"fx8.4\", scaling = \"none\" }").scaling, Scaling::None);
  EXPECT_EQ(parse("{ format = \"bf16\" }").scaling, Scaling::None);
}

TEST(TensorFormat, ATableSetsEverything) {
  const TensorFormat format = parse(
      "{ format = \"e4m3fn\", rounding = \"stochastic\", random_bits = 8, scaling = \"sigma\", "
      "sigmas = 3, overflow = \"infinity\", subnormals = false }");
  EXPECT_EQ(format.conversion.format, NumberFormat::parse("e4m3fn"));
  EXPECT_EQ(format.conversion.rounding, (Rounding{RoundingMode::Stochastic, 8}));
  EXPECT_EQ(format.conversion.overflow, Overflow::Infinity);
  EXPECT_FALSE(format.conversion.subnormals);
  EXPECT_EQ(format.scaling, Scaling::Sigma);
  EXPECT_EQ(format.sigmas, 3.0);
}

TEST(TensorFormat, PrintsWhatItParses) {
  for (const char* text :
       {"\"fp32\"", "\"e5m2\"", "\"int8\"",
        "{ format = \"int8\", rounding = \"stochastic\", random_bits = 24, overflow = \"wrap\" }",
        "{ format = \"e4m3\", scaling = \"sigma\", sigmas = 2.1, overflow = \"infinity\" }",
        "{ format = \"e4m3\", scaling = \"sigma\", sigmas = 1e30, rounding = \"down\" }",
        "{ format = \"ufx8.4\", scaling = \"none\", rounding = \"nearest-away\" }",
        "{ format = \"e2m1\", subnormals = false, rounding = \"toward-zero\" }"}) {
    const TensorFormat format = parse(text);
    EXPECT_EQ(parse(to_toml(format)), format) << to_toml(format);
  }
}

TEST(TensorFormat, DescribesItselfInALine) {
  EXPECT_EQ(parse("\"int8\"").describe(),
            "fx8.0 nearest-even, scaled to max-abs, overflow saturate");
  EXPECT_EQ(parse("{ format = \"e5m2\", rounding = \"stochastic\", random_bits = 8, scaling = "
                  "\"sigma\", subnormals = false }")
                .describe(),
            "e5m2 stochastic(8 bits), scaled to 4 sigma, overflow saturate, no subnormals");
}

TEST(TensorFormat, ErrorsNameFileLineAndKey) {
  struct Case {
    const char* text;
    const char* key;
    const char* reason;
  };
  for (const Case& wrong : {
           Case{"\"e5m99\"", "formats.activation", "e5m99"},
           Case{"5", "formats.activation", ""},
           Case{"{ rounding = \"down\" }", "formats.activation.format", ""},
           Case{"{ format = \"e9m1\" }", "formats.activation.format", "e9m1"},
           Case{"{ format = \"fx8.200\" }", "formats.activation.format", "F up to 149"},
           Case{"{ format = \"e5m2\", rounding = \"up\" }", "formats.activation.rounding",
                "nearest-even"},
           Case{"{ format = \"e5m2\", rounding = \"stochastic\" }",
                "formats.activation.random_bits", ""},
           Case{"{ format = \"e5m2\", rounding = \"stochastic\", random_bits = 25 }",
                "formats.activation.random_bits", "25"},
           Case{"{ format = \"e5m2\", random_bits = 8 }", "formats.activation.random_bits",
                "stochastic"},
           Case{"{ format = \"e5m2\", sigmas = 4 }", "formats.activation.sigmas", "sigma"},
           Case{"{ format = \"e5m2\", scaling = \"sigma\", sigmas = -1 }",
                "formats.activation.sigmas", "positive"},
           Case{"{ format = \"e5m2\", overflow = \"wrap\" }", "formats.activation.overflow",
                "saturate"},
           Case{"{ format = \"int8\", overflow = \"infinity\" }", "formats.activation.overflow",
                "wrap"},
           Case{"{ format = \"int8\", subnormals = true }", "formats.activation.subnormals",
                "float"},
           Case{"{ format = \"e5m2\", scale = \"sigma\" }", "formats.activation.scale", ""},
       }) {
    const std::string text = message(wrong.text);
    EXPECT_NE(text.find("run.toml:"), std::string::npos) << wrong.text << ": " << text;
    EXPECT_NE(text.find(wrong.key), std::string::npos) << wrong.text << ": " << text;
    EXPECT_NE(text.find(wrong.reason), std::string::npos) << wrong.text << ": " << text;
  }
}

}  // namespace
}  // namespace narrowmac
