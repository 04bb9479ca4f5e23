#include "engine/page_budget.h"

#include <gmock/gmock.h>

#include <cmath>

#include "toolchain/testing.h"

namespace vortex {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class PageBudgetTest : public toolchain::ToolchainTest {
 protected:
  VortexConfig config(int64_t topk, double ratio) const {
    VortexConfig c;
    c.topk_val = topk;
    c.topk_ratio = ratio;
    c.block_reserved_bos = 1;
    c.block_reserved_eos = 2;
    c.compilation_cache_dir = (folder_ / "cache").string();
    return c;
  }
  Result<PageBudget> policy(const std::string& text, VortexConfig c) const {
    c.schedule_policy = text;
    return PageBudget::create(c);
  }
  PageBudget make(const std::string& text, const VortexConfig& c) const {
    auto made = policy(text, c);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().to_string());
    return std::move(made).value();
  }
  std::string error_of(const std::string& text) const {
    const auto made = policy(text, config(29, 0));
    return made.ok() ? "no error" : made.error().to_string();
  }
};

TEST_F(PageBudgetTest, DefaultIsTheLargerOfFixedAndShare) {
  EXPECT_EQ(default_budget(config(29, 0.0), 1000), 32);
  EXPECT_EQ(default_budget(config(29, 0.0625), 1000), 62) << "62.5 is cut";
  EXPECT_EQ(default_budget(config(29, 0.0625), 512), 32);
  EXPECT_EQ(default_budget(config(1, 0.1), 30), 4) << "3 in float32 is below bos + eos + topk";
}

TEST_F(PageBudgetTest, TheDefaultAsAPolicyIsTheDefault) {
  for (const double ratio : {0.0, 0.0625, 0.1, 0.7, 1.0}) {
    const VortexConfig c = config(6, ratio);
    const PageBudget code = make(
        "int fixed = topk_val + block_reserved_bos + block_reserved_eos;\n"
        "int share = (int)(cached_block_len * topk_ratio);\n"
        "return max(fixed, share);",
        c);
    const auto plain = PageBudget::create(c);
    for (int64_t pages = 1; pages < 40'000; pages += pages < 3000 ? 1 : 37)
      ASSERT_EQ(code(pages), (*plain)(pages)) << ratio << " " << pages;
  }
}

TEST_F(PageBudgetTest, ArithmeticIsFloat32AndCut) {
  const PageBudget code = make("return cached_block_len * topk_ratio + 0.999f;", config(1, 0.1));
  for (int pages = 100; pages < 30'000; ++pages) {
    const float exact = static_cast<float>(pages) * 0.1f + 0.999f;
    ASSERT_EQ(code(pages), static_cast<int>(exact)) << pages;
  }
  // 16,777,217 is not a float32: in double the answer would be another.
  const PageBudget rounded = make("float x = 16777216.0f; return (x + 1.0f) - x + 5;", config(1, 0));
  EXPECT_EQ(rounded(1000), 5);
}

TEST_F(PageBudgetTest, FunctionsOfDeviceCode) {
  const VortexConfig c = config(29, 0.25);
  const PageBudget root =
      make("\n    // grows with the root\n    return topk_val + (int)ceilf(sqrtf((float)cached_block_len));\n", c);
  const PageBudget steps = make(
      "#pragma unroll\nfor (int i = 0; i < 1; ++i) {}\n"
      "return cached_block_len < 256 ? 32 : min(64 + cached_block_len / 64, 256u);",
      c);
  const PageBudget intrinsics = make("return __float2int_rd(rsqrtf(0.0001f) + max(3, 4.5f)) - 104 + 50;", c);
  for (const int pages : {64, 100, 1000, 20'000}) {
    EXPECT_EQ(root(pages), std::min(pages, 29 + static_cast<int>(std::ceil(std::sqrt(static_cast<float>(pages))))));
    EXPECT_EQ(steps(pages), pages < 256 ? 32 : std::min(64 + pages / 64, 256));
    EXPECT_EQ(intrinsics(pages), 50);
  }
}

TEST_F(PageBudgetTest, ClampedToReservedAndHeld) {
  const VortexConfig c = config(29, 0);
  const PageBudget none = make("return -2147483647 - 1;", c), all = make("return 2147483647;", c);
  for (const int64_t pages : {1, 2, 3, 4, 1000}) {
    EXPECT_EQ(none(pages), std::min<int64_t>(pages, 3));
    EXPECT_EQ(all(pages), pages);
  }
}

TEST_F(PageBudgetTest, MaxTopkBoundsWhatScoresSelect) {
  VortexConfig c = config(29, 0.5);
  c.max_topk_val = 96;
  const auto budget = PageBudget::create(c);
  EXPECT_EQ((*budget)(100), 50);
  EXPECT_EQ((*budget)(1000), 96 + 3);
  EXPECT_EQ(make("return cached_block_len;", c)(1000), 96 + 3);
  EXPECT_EQ(make("return cached_block_len;", c)(50), 50);
}

TEST_F(PageBudgetTest, CompiledOnce) {
  count_compiler_runs();
  make("return 40;", config(29, 0));
  make("return 40;", config(6, 0.5));
  EXPECT_EQ(compiler_runs(), 1);
}

TEST_F(PageBudgetTest, ErrorsHaveThePlaceInTheText) {
  EXPECT_THAT(error_of("int a = 1;\n   return a + nothing;"), StartsWith("schedule_policy:2:15: 'nothing' was not"));
  EXPECT_THAT(error_of("return 1"), StartsWith("schedule_policy:1:"));
  EXPECT_THAT(error_of("if (topk_val > 3) return 5;"), HasSubstr("return"));
  EXPECT_THAT(error_of(" \n\t "), HasSubstr("the policy is empty"));
  EXPECT_EQ(policy("retrun 1;", config(1, 0)).error().code, ErrorCode::kConfiguration);
}

TEST_F(PageBudgetTest, CodeThatWouldEndTheEngine) {
  EXPECT_EQ(error_of("return 1000 / (cached_block_len - 77);"),
            "schedule_policy: the policy divides by zero for cached_block_len = 77");
  EXPECT_EQ(error_of("volatile int x = 0; while (cached_block_len == 5) x = x + 1; return 1;"),
            "schedule_policy: the policy does not end for cached_block_len = 5");
  EXPECT_EQ(error_of("exit(3); return 1;"), "schedule_policy: the policy ends the program for cached_block_len = 1");
  EXPECT_THAT(error_of("abort();"), HasSubstr("crashes"));
}

TEST(PageBudget, OfAFlowThatCountsItself) {
  VortexConfig c;
  c.block_reserved_eos = 2;
  c.topk_ratio = 0.5;
  const auto budget = PageBudget::create(c, 12);
  ASSERT_TRUE(budget.ok());
  EXPECT_EQ((*budget)(1000), 1 + 12 + 2);
  EXPECT_EQ((*budget)(7), 7);
  c.schedule_policy = "return 5;";
  const auto both = PageBudget::create(c, 12);
  ASSERT_FALSE(both.ok());
  EXPECT_NE(both.error().message.find("schedule_policy: the flow itself takes 12 pages"), std::string::npos);
}

}  // namespace
}  // namespace vortex
