#include "tensor/paged.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace vortex {
namespace {

using ::testing::ElementsAre;

/// Two heads, pages of 4 tokens, slabs of 8: two pages a slab.
PageView two_heads() {
  PageView view;
  view.kv_heads = 2;
  view.page_tokens = 4;
  view.slab_tokens = 8;
  return view;
}

SequencePlan sequence(std::span<const SlabId> table, int tokens, int budget) {
  SequencePlan s;
  s.table = table;
  s.tokens = tokens;
  s.pages = (tokens + 3) / 4;
  s.budget = budget;
  s.selected = std::min(budget, s.pages);
  s.last_tokens = tokens - (s.pages - 1) * 4;
  return s;
}

TEST(PageView, PageIdIsSlabThenHeadThenPage) {
  const SlabId table[] = {7, 2};
  const PageView view = two_heads();
  EXPECT_EQ(view.page_id(table, 0, 0), (7 * 2 + 0) * 2 + 0);
  EXPECT_EQ(view.page_id(table, 1, 0), (7 * 2 + 0) * 2 + 1);
  EXPECT_EQ(view.page_id(table, 0, 1), (7 * 2 + 1) * 2 + 0);
  EXPECT_EQ(view.page_id(table, 3, 1), (2 * 2 + 1) * 2 + 1);
}

TEST(FieldView, PagesFollowEachOther) {
  std::byte memory[96];
  const FieldSpec spec{"centroids", 1, 8, DType::kBF16};
  const FieldView field{memory, spec.page_bytes(), spec.rows, spec.cols, spec.dtype};
  EXPECT_EQ(spec.page_bytes(), 16);
  EXPECT_EQ(field.page(3) - memory, 48);
}

TEST(PageList, AllPagesOfEveryRow) {
  const SlabId first[] = {0, 1}, second[] = {3};
  StepPlan plan;
  plan.kv_heads = 2;
  plan.sequences = {sequence(first, 9, 3), sequence(second, 4, 1)};
  EXPECT_FALSE(plan.any_sparse());
  PageList list;
  list_all_pages(plan, two_heads(), &list);
  ASSERT_EQ(list.rows(), 4);
  EXPECT_THAT(list.offsets, ElementsAre(0, 3, 6, 7, 8));
  EXPECT_THAT(list.row(0), ElementsAre(0, 1, 4));
  EXPECT_THAT(list.row(1), ElementsAre(2, 3, 6));
  EXPECT_THAT(list.row(2), ElementsAre(12));
  EXPECT_THAT(list.row(3), ElementsAre(14));
  EXPECT_THAT(list.last_tokens, ElementsAre(1, 1, 4, 4));
}

TEST(PageList, ReservedPagesStandAtBothEnds) {
  const SlabId table[] = {0, 1, 2}, small[] = {5};
  StepPlan plan;
  plan.kv_heads = 2;
  plan.reserved_bos = 1;
  plan.reserved_eos = 2;
  plan.sequences = {sequence(table, 22, 5), sequence(small, 8, 5)};
  EXPECT_TRUE(plan.any_sparse());
  PageList list;
  list_reserved_pages(plan, two_heads(), &list);
  ASSERT_EQ(list.rows(), 4);
  EXPECT_THAT(list.row(0), ElementsAre(0, -1, -1, 8, 9)) << "page 0, two free slots, pages 4 and 5 of slab 2";
  EXPECT_THAT(list.row(1), ElementsAre(2, -1, -1, 10, 11));
  EXPECT_THAT(list.row(2), ElementsAre(20, 21)) << "a short row lists everything";
  EXPECT_THAT(list.last_tokens, ElementsAre(2, 2, 4, 4));
}

TEST(PageList, IsReusedWithoutLeftovers) {
  const SlabId table[] = {0};
  StepPlan plan;
  plan.kv_heads = 2;
  plan.sequences = {sequence(table, 8, 2)};
  PageList list;
  list_all_pages(plan, two_heads(), &list);
  list_all_pages(plan, two_heads(), &list);
  EXPECT_THAT(list.offsets, ElementsAre(0, 2, 4));
  EXPECT_EQ(list.pages.size(), 4u);
}

TEST(PageListDeathTest, BudgetBelowReservedPagesIsOurBug) {
  const SlabId table[] = {0, 1, 2};
  StepPlan plan;
  plan.kv_heads = 1;
  plan.reserved_eos = 2;
  plan.sequences = {sequence(table, 22, 2)};
  PageList list;
  EXPECT_DEATH(list_reserved_pages(plan, two_heads(), &list), "budget 2 below the reserved pages");
}

}  // namespace
}  // namespace vortex
