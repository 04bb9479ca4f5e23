#include "eval/variants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names(const VariantLists& lists) {
  const auto variants = make_variants(lists);
  std::vector<std::string> out;
  for (const EvalVariant& variant : *variants) out.push_back(variant.lab.name);
  return out;
}

TEST(Variants, NothingIsDense) { EXPECT_THAT(names({}), ElementsAre("dense")); }

TEST(Variants, NamesTellWhatDiffers) {
  EXPECT_THAT(names({.flows = {"dense", "a", "oracle"}, .topk = {6, 29}}),
              ElementsAre("dense", "a, topk 6", "a, topk 29", "oracle, topk 6", "oracle, topk 29"));
  EXPECT_THAT(names({.flows = {"a"}, .topk = {6, 6}}), ElementsAre("a"));
  const auto variants = make_variants({.flows = {"a"}, .topk = {6, 29}});
  EXPECT_EQ((*variants)[0].series, "a") << "budgets are points of one line";
}

TEST(Variants, PageCountsKeepTheirTokens) {
  const auto variants = make_variants({.flows = {"a"}, .block_sizes = {16, 32}});
  const VortexConfig& wide = *(*variants)[1].lab.config;
  EXPECT_EQ(wide.block_size, 32);
  EXPECT_EQ(wide.topk_val, 15);
  EXPECT_EQ(wide.block_reserved_bos, 1) << "rounded up";
}

TEST(Variants, FilesAreModulePaths) {
  const auto variants = make_variants({.flows = {"mine.py"}});
  EXPECT_EQ((*variants)[0].lab.config->module_path, "mine.py");
  EXPECT_EQ((*variants)[0].lab.config->module_name, std::nullopt);
}

TEST(Variants, ImpossibleSettingsAreNamed) {
  const auto refused = make_variants({.flows = {"a"}, .topk = {0}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("topk_val: 0"));
}

}  // namespace
}  // namespace vortex::eval
