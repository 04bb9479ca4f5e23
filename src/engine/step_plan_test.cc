#include "engine/step_plan.h"

#include <gtest/gtest.h>

namespace vortex {
namespace {

VortexConfig config(int64_t topk, double ratio) {
  VortexConfig c;
  c.topk_val = topk;
  c.topk_ratio = ratio;
  c.block_reserved_bos = 1;
  c.block_reserved_eos = 2;
  return c;
}

TEST(StepPlanTest, LastPageCountsItsTokens) {
  const SequencePlan full = plan_sequence({}, 32, 16, nullptr);
  EXPECT_EQ(full.pages, 2);
  EXPECT_EQ(full.last_tokens, 16);
  const SequencePlan partial = plan_sequence({}, 33, 16, nullptr);
  EXPECT_EQ(partial.pages, 3);
  EXPECT_EQ(partial.last_tokens, 1);
}

TEST(StepPlanTest, ShortRowsAreDense) {
  const auto budget = PageBudget::create(config(29, 0.0));
  EXPECT_FALSE(plan_sequence({}, 32 * 16, 16, &*budget).sparse());
  const SequencePlan sparse = plan_sequence({}, 32 * 16 + 1, 16, &*budget);
  EXPECT_TRUE(sparse.sparse());
  EXPECT_EQ(sparse.pages, 33);
  EXPECT_EQ(sparse.selected, 32);
  EXPECT_FALSE(plan_sequence({}, 100000, 16, nullptr).sparse());
}

}  // namespace
}  // namespace vortex
