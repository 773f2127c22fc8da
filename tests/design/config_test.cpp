#include "models/design/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

constexpr std::string_view kFile = R"(name = "first"
count = 5

[table]
text = "word"
whole = 7
real = 0.25
yes = true
list = [3, 1, 2]
words = ["b", "a"]
mixed = [1, "x", 0.5, true, [2, 3], {k = 4}]
day = 2026-01-02

[[table.item]]
name = "zero"
[[table.item]]
name = "one"
extra = 1
)";

ConfigTable file() { return ConfigTable::parse(kFile, "file.toml"); }

TEST(ConfigTable, ReadsEveryType) {
  const ConfigTable root = file();
  const ConfigTable table = root.table("table");
  EXPECT_EQ(root.string("name"), "first");
  EXPECT_EQ(root.integer("count", 1, 5), 5);
  EXPECT_EQ(table.number("real"), 0.25);
  EXPECT_TRUE(table.boolean("yes"));
  EXPECT_EQ(table.integers("list"), (std::vector<std::int64_t>{3, 1, 2}));
  EXPECT_EQ(table.strings("words"), (std::vector<std::string>{"b", "a"}));
  ASSERT_EQ(table.tables("item").size(), 2U);
  EXPECT_EQ(table.tables("item")[1].string("name"), "one");
  EXPECT_EQ(table.choice("text", {"no", "word"}), 1U);
  EXPECT_TRUE(table.tables("absent").empty());
}

TEST(ConfigTable, AnIntegerIsANumberButAFloatIsNoInteger) {
  const ConfigTable table = file().table("table");
  EXPECT_EQ(table.number("whole"), 7);
  EXPECT_EQ(message_of([&] { (void)table.integer("real", 0, 10); }),
            "file.toml:7: table.real: expected an integer, found the float 0.25");
}

TEST(ConfigTable, DefaultsStandInForMissingKeysOnly) {
  const ConfigTable table = file().table("table");
  EXPECT_EQ(table.string_or("none", "default"), "default");
  EXPECT_EQ(table.string_or("text", "default"), "word");
  EXPECT_EQ(table.integer_or("none", 3, 0, 10), 3);
  EXPECT_EQ(table.number_or("none", 1.5), 1.5);
  EXPECT_TRUE(table.boolean_or("none", true));
  EXPECT_THROW((void)table.integer_or("text", 3, 0, 10), Error);
}

TEST(ConfigTable, ElementsOfAnArrayComeBackAsToml) {
  EXPECT_EQ(file().table("table").toml_values("mixed"),
            (std::vector<std::string>{"1", "'x'", "0.5", "true", "[ 2, 3 ]", "{ k = 4 }"}));
}

TEST(ConfigTable, TablesOfAnArrayThatIsTakenAsTomlAreKnownWithAllTheirKeys) {
  const ConfigTable root = ConfigTable::parse("[[item]]\nname = 'a'\nformat = { bits = 4 }\n", "f");
  EXPECT_EQ(root.toml_values("item"),
            (std::vector<std::string>{"{ format = { bits = 4 }, name = 'a' }"}));
  EXPECT_NO_THROW(root.reject_unknown());
}

TEST(ConfigTable, KeysComeInFileOrder) {
  EXPECT_EQ(file().keys(), (std::vector<std::string>{"name", "count", "table"}));
  EXPECT_EQ(file().table("table").keys(),
            (std::vector<std::string>{"text", "whole", "real", "yes", "list", "words", "mixed",
                                      "day", "item"}));
}

TEST(ConfigTable, AMissingKeyIsNamedWithItsTable) {
  EXPECT_EQ(message_of([] { (void)file().string("other"); }), "file.toml: other: is missing");
  EXPECT_EQ(message_of([] { (void)file().table("table").string("other"); }),
            "file.toml:4: table.other: is missing");
}

TEST(ConfigTable, AWrongTypeNamesWhatWasFound) {
  const ConfigTable table = file().table("table");
  const auto string_error = [&](std::string_view key) {
    return message_of([&] { (void)table.string(key); });
  };
  EXPECT_EQ(string_error("whole"),
            "file.toml:6: table.whole: expected a string, found the integer 7");
  EXPECT_EQ(string_error("yes"),
            "file.toml:8: table.yes: expected a string, found the boolean true");
  EXPECT_EQ(string_error("list"), "file.toml:9: table.list: expected a string, found an array");
  EXPECT_EQ(string_error("day"),
            "file.toml:12: table.day: expected a string, found a date or time");
  EXPECT_EQ(string_error("item").substr(13),
            " table.item: expected a string, found an array of tables");
  EXPECT_EQ(message_of([] { (void)file().string("table"); }).substr(12),
            " table: expected a string, found a table");
  EXPECT_EQ(message_of([&] { (void)table.boolean("text"); }),
            "file.toml:5: table.text: expected true or false, found the string 'word'");
  EXPECT_EQ(message_of([&] { (void)table.number("text"); }),
            "file.toml:5: table.text: expected a number, found the string 'word'");
  EXPECT_EQ(message_of([&] { (void)table.table("text"); }),
            "file.toml:5: table.text: expected a table, found the string 'word'");
  EXPECT_EQ(message_of([&] { (void)table.tables("list"); }),
            "file.toml:9: table.list: expected an array of tables ([[list]]), found an array");
  EXPECT_EQ(message_of([&] { (void)table.integers("words"); }),
            "file.toml:10: table.words: expected an array of integers, found the string 'b'");
  EXPECT_EQ(message_of([&] { (void)table.strings("text"); }),
            "file.toml:5: table.text: expected an array of strings, found the string 'word'");
}

TEST(ConfigTable, AnIntegerOutOfRangeNamesTheRange) {
  const ConfigTable root = file();
  EXPECT_EQ(message_of([&] { (void)root.integer("count", 6, 9); }),
            "file.toml:2: count: found 5; accepted: 6..9");
  EXPECT_EQ(
      message_of([&] { (void)root.integer("count", 6, std::numeric_limits<std::int64_t>::max()); }),
      "file.toml:2: count: found 5; accepted: at least 6");
}

TEST(ConfigTable, AWordOutsideTheChoicesNamesThem) {
  EXPECT_EQ(message_of([] {
              (void)file().table("table").choice("text", {"os", "ws"});
            }),
            "file.toml:5: table.text: found 'word'; accepted: os, ws");
}

TEST(ConfigTable, NotANumberIsNoNumber) {
  const ConfigTable root = ConfigTable::parse("x = nan\n", "f");
  EXPECT_EQ(message_of([&] { (void)root.number("x"); }),
            "f:1: x: expected a number, found the float nan");
}

TEST(ConfigTable, AnUnknownKeyIsRefusedWithTheNearestAcceptedOne) {
  const ConfigTable root = ConfigTable::parse("rows = 3\ncolunms = 4\n", "array.toml");
  (void)root.integer_or("rows", 1, 1, 10);
  (void)root.integer_or("columns", 1, 1, 10);
  EXPECT_EQ(message_of([&] { root.reject_unknown(); }),
            "array.toml:2: colunms: unknown key; did you mean 'columns'? accepted: columns, rows");
}

TEST(ConfigTable, AnUnknownKeyFarFromEveryAcceptedOneGetsNoGuess) {
  const ConfigTable root = ConfigTable::parse("rows = 3\nguard_bits = 4\n", "array.toml");
  (void)root.integer_or("rows", 1, 1, 10);
  EXPECT_EQ(message_of([&] { root.reject_unknown(); }),
            "array.toml:2: guard_bits: unknown key; accepted: rows");
}

TEST(ConfigTable, UnknownKeysAreFoundAtAnyDepth) {
  const ConfigTable root = file();
  (void)root.string("name");
  (void)root.integer("count", 0, 9);
  const ConfigTable table = root.table("table");
  for (const std::string& key : table.keys()) {
    if (key != "item") (void)table.has(key);
  }
  EXPECT_NE(message_of([&] { root.reject_unknown(); }).find("file.toml:5: table.text: unknown key"),
            std::string::npos)
      << "asking whether a key is there does not make it known";
  (void)table.string("text");
  (void)table.integer("whole", 0, 9);
  (void)table.number("real");
  (void)table.boolean("yes");
  (void)table.integers("list");
  (void)table.strings("words");
  (void)table.toml_values("mixed");
  EXPECT_NE(message_of([&] { root.reject_unknown(); }).find("file.toml:12: table.day"),
            std::string::npos);
}

TEST(ConfigTable, UnknownKeysAreFoundInElementsOfArraysOfTables) {
  const ConfigTable root =
      ConfigTable::parse("[[item]]\nname = 'a'\n[[item]]\nname = 'b'\nnome = 1\n", "f.toml");
  for (const ConfigTable& item : root.tables("item")) (void)item.string("name");
  EXPECT_EQ(message_of([&] { root.reject_unknown(); }),
            "f.toml:5: item.1.nome: unknown key; did you mean 'name'? accepted: name");
}

TEST(ConfigTable, AKeyWithADotStaysOneKey) {
  const ConfigTable grid =
      ConfigTable::parse("[grid]\n\"mac.accumulator\" = ['e6m9']\n", "sweep.toml").table("grid");
  EXPECT_EQ(grid.keys(), std::vector<std::string>{"mac.accumulator"});
  EXPECT_EQ(grid.strings("mac.accumulator"), std::vector<std::string>{"e6m9"});
  EXPECT_EQ(message_of([&] { (void)grid.string("mac.accumulator"); }),
            "sweep.toml:2: grid.\"mac.accumulator\": expected a string, found an array");
}

TEST(ConfigTable, ErrorsOfATableNameItsLine) {
  EXPECT_STREQ(file().table("table").error("is wrong").what(), "file.toml:4: table: is wrong");
  EXPECT_STREQ(file().error("is wrong").what(), "file.toml: is wrong");
  EXPECT_EQ(file().error("x").kind(), Error::Kind::Input);
}

TEST(ConfigTable, MalformedTomlIsAnErrorWithLineAndColumn) {
  const auto refusal = [](std::string_view text) {
    return message_of([&] { (void)ConfigTable::parse(text, "bad.toml"); });
  };
  EXPECT_EQ(refusal("a = 1\nb = \n").substr(0, 22), "bad.toml:2:5: not TOML");
  EXPECT_EQ(refusal("a = 1\na = 2\n").substr(0, 20), "bad.toml:2:5: not TO");
  EXPECT_EQ(refusal("[mac").substr(0, 11), "bad.toml:1:");
}

TEST(ConfigTable, HostileBytesAreErrorsToo) {
  using namespace std::string_literals;
  for (const std::string& text :
       {"[\x01"s, "\xCA\xBF = 1"s, "\xD1\x91"s, "\xFF\xFE"s, "a = \"\x00\""s, "a\0 = 1"s, "[[[[[["s,
        "a = '"s, "\"\"\""s, "a = 0x"s, "a = 1__0"s, "\xED\xA0\x80"s, std::string(5000, '['),
        "a = " + std::string(5000, '[')}) {
    EXPECT_THROW((void)ConfigTable::parse(text, "bad.toml"), Error) << text.substr(0, 20);
  }
}

TEST(ConfigTable, AFileThatCannotBeReadIsNamed) {
  EXPECT_EQ(message_of([] { (void)ConfigTable::read_file("no/such/file.toml"); }),
            "no/such/file.toml: cannot be read (No such file or directory); accepted: a TOML file");
  EXPECT_EQ(message_of([] { (void)ConfigTable::read_file(testing::TempDir()); }),
            testing::TempDir() + ": is a directory; accepted: a TOML file");
}

TEST(ConfigTable, AFilesErrorsNameTheFile) {
  const std::string path = testing::TempDir() + "narrowmac_config_test.toml";
  std::ofstream(path) << "x = 1\n";
  EXPECT_EQ(message_of([&] { (void)ConfigTable::read_file(path).string("x"); }),
            path + ":1: x: expected a string, found the integer 1");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace narrowmac
