#include "eval/comparison.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace vortex::eval {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ComparisonTest : public ::testing::Test {
 protected:
  ComparisonTest() {
    std::string name = std::filesystem::temp_directory_path() / "vortex-compare-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~ComparisonTest() override { std::filesystem::remove_all(folder_); }

  static std::string result(double decode, const std::string& prefill, double p50, int input = 512) {
    return fmt::format(
        R"({{"input_len": {}, "output_len": 8, "batch": 1, "synthetic_context": false, "decode_tokens_per_s": {},)"
        R"( "prefill_tokens_per_s": {}, "itl_ms": {{"p50": {}, "note": "}} \" {{"}}}}
)",
        input, decode, prefill, p50);
  }
  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }
  static std::string error_of(const auto& result) { return result.ok() ? "no error" : result.error().to_string(); }

  std::filesystem::path folder_;
};

TEST_F(ComparisonTest, MediansAndRatiosToTheFirst) {
  const auto base = read_runs(write("base", result(10, "100", 8) + result(30, "300", 4) + result(20, "200", 6)));
  const auto other = read_runs(write("other", result(60, "50", 2) + result(40, "50", 4)));
  ASSERT_TRUE(base.ok() && other.ok()) << error_of(base) << error_of(other);
  const auto figures = compare(std::vector{*base, *other});
  ASSERT_TRUE(figures.ok());
  ASSERT_EQ(figures->size(), 3u);
  const auto named = [&](const std::string& name) { return *std::ranges::find(*figures, name, &ComparedFigure::name); };
  EXPECT_THAT(named("decode_tokens_per_s").medians, ElementsAre(20, 50));
  EXPECT_THAT(named("decode_tokens_per_s").ratios, ElementsAre(1, 2.5));
  EXPECT_THAT(named("prefill_tokens_per_s").ratios, ElementsAre(1, 0.25));
  EXPECT_THAT(named("itl_ms/p50").ratios, ElementsAre(1, DoubleEq(2)));
}

TEST_F(ComparisonTest, WhatAContenderLacksIsLeftOut) {
  const auto base = read_runs(write("base", result(10, "100", 8))),
             other = read_runs(write("other", result(10, "null", 8)));
  const auto figures = compare(std::vector{*base, *other});
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->size(), 2u);
}

TEST_F(ComparisonTest, OnlyEqualTasksAreCompared) {
  const auto base = read_runs(write("base", result(10, "100", 8))),
             other = read_runs(write("other", result(10, "1", 8, 64)));
  EXPECT_THAT(error_of(compare(std::vector{*base, *other})), HasSubstr("other: measured {"));
  EXPECT_THAT(error_of(read_runs(write("mixed", result(1, "1", 1) + result(1, "1", 1, 64)))),
              HasSubstr("mixed: runs of {"));
}

TEST_F(ComparisonTest, FilesThatHoldNoResults) {
  EXPECT_THAT(error_of(read_runs(write("empty", " \n"))), HasSubstr("holds no result"));
  EXPECT_THAT(error_of(read_runs(write("list", "[1]"))), HasSubstr("not a result of `vortex bench latency --json`"));
  EXPECT_THAT(error_of(read_runs(write("cut", result(1, "1", 1).substr(0, 60)))), HasSubstr("cut"));
  EXPECT_THAT(error_of(read_runs(write("else", R"({"accuracy": 1})"))), HasSubstr("not a result"));
  EXPECT_THAT(error_of(read_runs(folder_ / "none")), HasSubstr("none"));
}

}  // namespace
}  // namespace vortex::eval
