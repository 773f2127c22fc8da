#include <gtest/gtest.h>

#include "models/design/config.h"
#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

constexpr std::string_view kRun = R"([run]
name = "a"
seed = 1
[mac]
accumulator = "e6m9"
[mac.chunk]
length = 64
[[mac.layer]]
name = "conv1"
[[mac.layer]]
name = "fc2"
)";

ConfigTable run() { return ConfigTable::parse(kRun, "run.toml"); }

TEST(ConfigSet, TakesTomlValuesAndBareWords) {
  ConfigTable root = run();
  root.set("run.seed", "7", "--set", false);
  root.set("run.rate", "0.05", "--set", false);
  root.set("run.shuffle", "false", "--set", false);
  root.set("run.name", "\"two words\"", "--set", false);
  root.set("run.file", "configs/networks/cnn.toml", "--set", false);
  root.set("run.list", "[1, 2]", "--set", false);
  root.set("mac.accumulator", "fx16.-4", "--set", false);
  root.set("mac.overflow", "infinity", "--set", false);  // not the float inf
  EXPECT_EQ(root.table("run").integer("seed", 0, 9), 7);
  EXPECT_EQ(root.table("run").number("rate"), 0.05);
  EXPECT_FALSE(root.table("run").boolean("shuffle"));
  EXPECT_EQ(root.table("run").string("name"), "two words");
  EXPECT_EQ(root.table("run").string("file"), "configs/networks/cnn.toml");
  EXPECT_EQ(root.table("run").integers("list"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(root.table("mac").string("accumulator"), "fx16.-4");
  EXPECT_EQ(root.table("mac").string("overflow"), "infinity");
}

TEST(ConfigSet, ReachesElementsOfArraysOfTables) {
  ConfigTable root = run();
  root.set("mac.layer.1.accumulator", "fp32", "--set", false);
  EXPECT_EQ(root.table("mac").tables("layer")[1].string("accumulator"), "fp32");
  EXPECT_FALSE(root.table("mac").tables("layer")[0].has("accumulator"));
}

TEST(ConfigSet, ReplacesAWholeTable) {
  ConfigTable root = run();
  root.set("mac.chunk", "false", "--set", false);
  EXPECT_FALSE(root.table("mac").boolean("chunk"));
  root.set("mac.chunk", "{length = 8}", "--set", false);
  EXPECT_EQ(root.table("mac").table("chunk").integer("length", 1, 9), 8);
}

TEST(ConfigSet, ReplacesAnElementOfAnArray) {
  ConfigTable root = ConfigTable::parse("list = [1, 2, 3]\n", "f");
  root.set("list.1", "9", "--set", false);
  EXPECT_EQ(root.integers("list"), (std::vector<std::int64_t>{1, 9, 3}));
  EXPECT_EQ(message_of([&] { root.set("list.3", "9", "--set list.3=9", false); }),
            "--set list.3=9: list.3: the array has 3 elements, counted from 0");
}

TEST(ConfigSet, AMissingTableIsNamedWithThoseThatExist) {
  ConfigTable root = run();
  EXPECT_EQ(
      message_of([&] { root.set("mc.accumulator", "e6m3", "--set mc.accumulator=e6m3", false); }),
      "--set mc.accumulator=e6m3: mc.accumulator: there is no table 'mc'; accepted: mac, run");
  EXPECT_EQ(
      message_of([&] { root.set("mac.FWD.rounding", "down", "--set x", false); }),
      "--set x: mac.FWD.rounding: there is no table 'mac.FWD'; accepted: mac.chunk, mac.layer");
  EXPECT_EQ(message_of([&] { root.set("mac.layer.2.name", "x", "--set x", false); }),
            "--set x: mac.layer.2.name: there is no table 'mac.layer.2'; accepted: mac.layer.0, "
            "mac.layer.1");
  EXPECT_EQ(message_of([&] { root.set("run.seed.x", "1", "--set x", false); }),
            "--set x: run.seed.x: 'run.seed' is the integer 1, not a table");
}

TEST(ConfigSet, CreatesTablesWhereThatIsAllowed) {
  ConfigTable root = run();
  root.set("mac.GRAD.accumulator", "fp32", "point", true);
  EXPECT_EQ(root.table("mac").table("GRAD").string("accumulator"), "fp32");
}

TEST(ConfigSet, ATableThatItCreatedAndNobodyReadsIsRefusedWithItsOrigin) {
  ConfigTable root = ConfigTable::parse("", "run.toml");
  root.set("mc.accumulator", "e6m3", "--set mc.accumulator=e6m3", true);
  (void)root.has("mac");
  EXPECT_EQ(message_of([&] { root.reject_unknown(); }),
            "--set mc.accumulator=e6m3: mc: unknown key; did you mean 'mac'? accepted: mac");
}

TEST(ConfigSet, AnUnknownKeyIsRefusedWithItsOrigin) {
  ConfigTable root = run();
  root.set("mac.acumulator", "e6m3", "--set mac.acumulator=e6m3", false);
  const ConfigTable mac = root.table("mac");
  (void)root.table("run").string("name");
  (void)root.table("run").integer("seed", 0, 9);
  (void)mac.string("accumulator");
  (void)mac.table("chunk").integer("length", 1, 99);
  for (const ConfigTable& layer : mac.tables("layer")) (void)layer.string("name");
  EXPECT_EQ(message_of([&] { root.reject_unknown(); }),
            "--set mac.acumulator=e6m3: mac.acumulator: unknown key; did you mean 'accumulator'? "
            "accepted: accumulator, chunk, layer");
}

TEST(ConfigSet, AWrongTypeIsReportedWithItsOrigin) {
  ConfigTable root = run();
  root.set("run.seed", "many", "--set run.seed=many", false);
  EXPECT_EQ(message_of([&] { (void)root.table("run").integer("seed", 0, 9); }),
            "--set run.seed=many: run.seed: expected an integer, found the string 'many'");
  EXPECT_EQ(message_of([&] { (void)root.table("run").integer("name", 0, 9); }),
            "run.toml:2: run.name: expected an integer, found the string 'a'");
}

TEST(ConfigSet, RefusesWhatIsNeitherTomlNorAWord) {
  ConfigTable root = run();
  const std::string accepted =
      "; accepted: a TOML value (5, 0.05, true, \"text\", [1, 2]) or a bare word";
  for (const std::string value :
       {"", "two words", "[1, 2", "1\nseed = 2", "\"open", "a=b", "1 # x\n2"}) {
    EXPECT_EQ(message_of([&] { root.set("run.name", value, "--set", false); }),
              "--set: run.name: found '" + value + "'" + accepted);
  }
  EXPECT_EQ(root.table("run").integer("seed", 0, 9), 1);
}

TEST(ConfigSet, RefusesKeysThatAreNone) {
  ConfigTable root = run();
  for (const std::string key : {"", ".", "run.", ".seed", "run..seed"}) {
    EXPECT_THROW(root.set(key, "1", "--set", false), Error) << key;
  }
}

TEST(ConfigMerge, PutsValuesOverValuesTableByTable) {
  ConfigTable root = run();
  const ConfigTable sweep = ConfigTable::parse(
      "[[point]]\nmac.accumulator = 'e6m3'\nmac.chunk = false\nmac.GRAD.rounding = 'down'\n",
      "sweep.toml");
  root.merge(sweep.tables("point")[0]);
  const ConfigTable mac = root.table("mac");
  EXPECT_EQ(mac.string("accumulator"), "e6m3");
  EXPECT_FALSE(mac.boolean("chunk"));
  EXPECT_EQ(mac.table("GRAD").string("rounding"), "down");
  EXPECT_EQ(mac.tables("layer").size(), 2U);
  EXPECT_EQ(root.table("run").string("name"), "a");
  EXPECT_NO_THROW(sweep.reject_unknown());
}

TEST(ConfigMerge, ErrorsNameTheFileThatTheValueCameFrom) {
  ConfigTable root = run();
  root.merge(ConfigTable::parse("[run]\nseed = 2\n\n[mac]\naccumulator = 3\n", "point.toml"));
  EXPECT_EQ(root.table("run").integer("seed", 0, 9), 2);
  EXPECT_EQ(message_of([&] { (void)root.table("mac").string("accumulator"); }),
            "point.toml:5: mac.accumulator: expected a string, found the integer 3");
  EXPECT_EQ(message_of([&] { (void)root.table("run").integer("name", 0, 9); }),
            "run.toml:2: run.name: expected an integer, found the string 'a'");
}

TEST(ConfigToml, PrintsADocumentThatParsesBackToTheSameValues) {
  ConfigTable root = ConfigTable::parse(
      "x = 0.1\ny = 1e-300\nz = 9007199254740993\nt = \"a\\\"b\\n\"\nu = 'e\xC3\xA9'\n[a.b]\nc = "
      "[1, [2]]\n"
      "[[d]]\ne = true\n[[d]]\ne = false\n",
      "f");
  root.set("a.b.c", "3.0", "--set", false);
  const ConfigTable again = ConfigTable::parse(root.to_toml(), "printed");
  EXPECT_EQ(again.number("x"), 0.1);
  EXPECT_EQ(again.number("y"), 1e-300);
  EXPECT_EQ(again.integer("z", 0, std::numeric_limits<std::int64_t>::max()), 9007199254740993);
  EXPECT_EQ(again.string("t"), "a\"b\n");
  EXPECT_EQ(again.string("u"), "e\xC3\xA9");
  EXPECT_EQ(again.table("a").table("b").number("c"), 3);
  EXPECT_FALSE(again.tables("d")[1].boolean("e"));
  EXPECT_EQ(again.to_toml(), root.to_toml());
}

}  // namespace
}  // namespace narrowmac
